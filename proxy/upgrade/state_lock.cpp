#include "proxy/upgrade/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace proxy {
namespace {

/// Who has it, for people.
void write_owner(int fd) {
    std::array<char, 32> text{};
    const int size = std::snprintf(text.data(), text.size(), "%d\n", ::getpid());
    const bool written =
        ::ftruncate(fd, 0) == 0 && ::pwrite(fd, text.data(), static_cast<std::size_t>(size), 0) == size;
    static_cast<void>(written);  // nobody but people miss it
}

std::string owner(int fd) {
    std::array<char, 32> text{};
    if (::pread(fd, text.data(), text.size() - 1, 0) <= 0) return "another process";
    const long pid = std::strtol(text.data(), nullptr, 10);
    return pid > 0 ? "process " + std::to_string(pid) : "another process";
}

}  // namespace

StateLock::StateLock(const std::string& state_dir)
    : fd_(::open((state_dir + "/pgairlock.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                 0640)) {
    if (!fd_) return;
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) {
        write_owner(fd_.get());
    } else if (errno == EWOULDBLOCK) {
        throw std::runtime_error("the state directory " + state_dir + " is in use by " + owner(fd_.get()) +
                                 ": give each pgairlock a runtime.state_dir of its own. A running one is replaced by "
                                 "\"pgairlock upgrade\"");
    } else {
        fd_.close();  // no file system for locks
    }
}

void StateLock::claim() const noexcept {
    if (fd_) write_owner(fd_.get());
}

tls::OwnedDescriptor StateLock::copy() const { return tls::OwnedDescriptor(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)); }

}  // namespace proxy
