#include "proxy/server/left_sockets.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "tls/owned_descriptor.hpp"

namespace proxy {
namespace {

/// Whether a process has such a number is no answer: it may be another one's by now.
bool is_left(const std::string& path) noexcept {
    struct stat info {};
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode) || path.size() >= sizeof name.sun_path)
        return false;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    const tls::OwnedDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 &&
           errno == ECONNREFUSED;
}

}  // namespace

void remove_left_sockets(const std::string& prefix) noexcept {
    try {
        const std::size_t slash = prefix.rfind('/');
        if (slash == std::string::npos) return;
        const std::string before = prefix.substr(slash + 1);
        std::error_code error;
        std::filesystem::directory_iterator one(prefix.substr(0, slash + 1), error);
        for (; !error && one != std::filesystem::directory_iterator(); one.increment(error)) {
            const std::string name = one->path().filename().string();
            const bool is_one = name.starts_with(before) && name.size() > before.size() &&
                                name.find_first_not_of("0123456789", before.size()) == std::string::npos;
            if (is_one && is_left(one->path().string())) ::unlink(one->path().c_str());
        }
    } catch (const std::exception&) {
        // Without memory they stay until the next time.
    }
}

}  // namespace proxy
