#include "proxy/alert/alert_spool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "tls/owned_descriptor.hpp"

namespace proxy {
namespace {

namespace fs = std::filesystem;

/// Beyond any that is written here.
constexpr off_t max_file = 1024 * 1024;
/// Files that are looked at in one go: of a million only the oldest are held in memory.
constexpr std::ptrdiff_t max_listed = 4 * AlertSpool::max_messages;

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

/// What was renamed, made or removed in it is so after a power failure as well.
std::string sync_folder(const std::string& folder) {
    const tls::OwnedDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && ::fsync(fd.get()) == 0 ? std::string() : last_error();
}

/// All of it. Empty optional: not now; `why` says so.
std::optional<std::string> content_of(const fs::path& path, std::string& why) {
    const tls::OwnedDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        why = last_error();
        return std::nullopt;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > max_file) {
        why = path.filename().string() + " is no message of ours";
        return std::nullopt;
    }
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t n = ::read(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            why = n < 0 ? last_error() : "it became shorter";
            return std::nullopt;
        }
        done += static_cast<std::size_t>(n);
    }
    return text;
}

struct Listed {
    std::vector<fs::path> messages;  // the oldest first
    std::vector<fs::path> useless;
    std::size_t left = 0;
    std::string error;
};

Listed list(const std::string& folder, const std::function<bool(const std::string&)>& is_known) {
    using File = std::pair<fs::file_time_type, fs::path>;
    std::vector<File> files;
    Listed all;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        const fs::path& path = at->path();
        if (path.extension() == ".new") all.useless.push_back(path);  // never finished
        if (path.extension() != ".json" || (is_known && is_known(path.stem().string()))) continue;
        std::error_code unknown;
        files.emplace_back(fs::last_write_time(path, unknown), path);
        if (files.size() < 2 * max_listed) continue;
        std::nth_element(files.begin(), files.begin() + max_listed, files.end());
        all.left += files.size() - max_listed;
        files.resize(max_listed);
    }
    if (error && error != std::errc::no_such_file_or_directory) all.error = error.message();
    std::sort(files.begin(), files.end());
    for (File& file : files) all.messages.push_back(std::move(file.second));
    return all;
}

}  // namespace

AlertSpool::Found AlertSpool::load(std::size_t room, const std::function<bool(const std::string&)>& is_known) {
    Listed listed = list(folder_, is_known);
    Found found;
    found.left = listed.left;
    found.error = listed.error;
    for (const fs::path& path : listed.messages) {
        if (found.messages.size() >= room) {
            ++found.left;
            continue;
        }
        const auto content = content_of(path, found.error);
        if (!content) {
            ++found.unread;
            continue;
        }
        auto message = from_spool(*content);
        // Whose name is another was not written here.
        if (message && path_of(message->id) == path) {
            found.messages.push_back(std::move(*message));
        } else {
            ++found.damaged;
            listed.useless.push_back(path);
        }
    }
    for (const fs::path& path : listed.useless) ::unlink(path.c_str());
    std::sort(found.messages.begin(), found.messages.end(), [](const AlertMessage& a, const AlertMessage& b) {
        return std::tie(a.first_at, a.id) < std::tie(b.first_at, b.id);
    });
    return found;
}

std::string AlertSpool::keep(const AlertMessage& message) {
    const auto make_folder = [&] {
        const fs::path parent = fs::path(folder_).parent_path();
        const bool made = ::mkdir(parent.c_str(), 0700) == 0;
        if (made) sync_folder(parent.parent_path().string());
        if (::mkdir(folder_.c_str(), 0700) == 0) sync_folder(parent.string());
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
    if (!failure.empty()) {
        ::unlink(half.c_str());
        return failure;
    }
    return sync_folder(folder_);
}

void AlertSpool::forget(const std::string& id) { ::unlink(path_of(id).c_str()); }

}  // namespace proxy
