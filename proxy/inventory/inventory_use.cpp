#include "proxy/inventory/inventory_use.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace proxy {
namespace {

/// Bytes of the file, of which each process that is there locks some, shared with the others.
constexpr off_t presence_byte = 0;
constexpr off_t service_byte = 1;

struct flock lock_of(short type, off_t byte) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return lock;
}

void set(int fd, short type, off_t byte) noexcept {
    const struct flock lock = lock_of(type, byte);
    ::fcntl(fd, F_SETLK, &lock);
}

}  // namespace

std::string lock_file(const std::string& inventory) { return inventory + ".lock"; }

InventoryUse::InventoryUse(const std::string& inventory)
    : fd_(::open(lock_file(inventory).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640)) {
    if (fd_ < 0) return;
    set(fd_, F_RDLCK, presence_byte);
    set(fd_, F_RDLCK, service_byte);
}

InventoryUse::~InventoryUse() {
    if (fd_ >= 0) ::close(fd_);
}

/// Asked for after the own locks were taken: of two that begin at once, one at least sees the
/// other.
InventoryUse::Other InventoryUse::other() const noexcept { return other_on(fd_); }

InventoryUse::Other InventoryUse::seen_from_outside(const std::string& inventory) noexcept {
    const int fd = ::open(lock_file(inventory).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const Other seen = other_on(fd);
    if (fd >= 0) ::close(fd);
    return seen;
}

InventoryUse::Other InventoryUse::other_on(int fd) noexcept {
    if (fd < 0) return {};
    struct flock lock = lock_of(F_WRLCK, service_byte);
    if (::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        return {.state = Other::State::serving, .pid = lock.l_pid};
    lock = lock_of(F_WRLCK, presence_byte);
    if (::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        return {.state = Other::State::draining, .pid = lock.l_pid};
    return {};
}

void InventoryUse::draining() noexcept {
    if (fd_ >= 0) set(fd_, F_UNLCK, service_byte);
}

}  // namespace proxy
