#include "proxy/alert/alert_spool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace proxy {
namespace {

namespace fs = std::filesystem;

/// Beyond any that is written here.
constexpr std::uintmax_t max_file = 1024 * 1024;

std::string last_error() { return std::strerror(errno); }

/// Empty: all of it is on the disk.
std::string write_whole(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return last_error();
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fdatasync(fd) == 0 ? std::string() : last_error();
}

std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

AlertSpool::Found AlertSpool::load() {
    Found found;
    std::error_code error;
    std::vector<fs::path> useless;
    for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
        if (at->path().extension() != ".json") {
            if (at->path().extension() == ".new") useless.push_back(at->path());  // never finished
            continue;
        }
        if (found.messages.size() >= max_messages) continue;
        std::error_code unknown;
        const bool readable = at->is_regular_file(unknown) && at->file_size(unknown) <= max_file;
        auto message = readable ? from_spool(content_of(at->path())) : std::nullopt;
        // Whose name is another was not written here.
        if (message && path_of(message->id) == at->path()) {
            found.messages.push_back(std::move(*message));
        } else {
            ++found.damaged;
            useless.push_back(at->path());
        }
    }
    for (const fs::path& path : useless) fs::remove(path, error);
    std::sort(found.messages.begin(), found.messages.end(), [](const AlertMessage& a, const AlertMessage& b) {
        return std::tie(a.first_at, a.id) < std::tie(b.first_at, b.id);
    });
    return found;
}

std::string AlertSpool::keep(const AlertMessage& message) {
    const auto make_folder = [&] {
        ::mkdir(fs::path(folder_).parent_path().c_str(), 0700);
        ::mkdir(folder_.c_str(), 0700);
    };
    if (!std::exchange(made_, true)) make_folder();
    const std::string path = path_of(message.id), half = path + ".new";
    const auto create = [&] {
        return ::open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    };
    int fd = create();
    if (fd < 0 && errno == ENOENT) {  // somebody has removed the folder
        make_folder();
        fd = create();
    }
    if (fd < 0) return last_error();
    std::string failure = write_whole(fd, to_spool(message));
    if (::close(fd) != 0 && failure.empty()) failure = last_error();
    if (failure.empty() && ::rename(half.c_str(), path.c_str()) != 0) failure = last_error();
    if (!failure.empty()) ::unlink(half.c_str());
    return failure;
}

void AlertSpool::forget(const std::string& id) { ::unlink(path_of(id).c_str()); }

}  // namespace proxy
