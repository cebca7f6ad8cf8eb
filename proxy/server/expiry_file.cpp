#include "proxy/server/expiry_file.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "tls/owned_descriptor.hpp"

namespace proxy {
namespace {

/// Ten thousand lines of a name and a digest.
constexpr std::size_t max_size = 4 * 1024 * 1024;

std::string last_reason() { return std::generic_category().message(errno); }

/// Why not; empty: all of it.
std::string write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return last_reason();
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

}  // namespace

std::string ExpiryFile::read() {
    const tls::OwnedDescriptor fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    std::string text;
    char some[16 * 1024];
    ssize_t n = fd.get() < 0 ? -1 : 1;
    while (n > 0 && text.size() < max_size) {
        n = ::read(fd.get(), some, sizeof some);
        if (n > 0) text.append(some, static_cast<std::size_t>(n));
    }
    if (n < 0 && errno != ENOENT)
        spdlog::warn("{}: {}: ends of certificates that were told are told again", path_, last_reason());
    return text;
}

/// Not synced: what a loss of power takes is told again.
bool ExpiryFile::write(const std::string& text) {
    const std::string beside = path_ + ".new";
    std::string failure;
    {
        const tls::OwnedDescriptor fd(
            ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        failure = fd.get() < 0 ? last_reason() : write_all(fd.get(), text);
    }
    if (failure.empty() && ::rename(beside.c_str(), path_.c_str()) != 0) failure = last_reason();
    if (failure.empty()) return true;
    ::unlink(beside.c_str());
    if (!std::exchange(is_told_, true))
        spdlog::warn("{}: {}: ends of certificates that were told are told again after a restart", path_, failure);
    return false;
}

}  // namespace proxy
