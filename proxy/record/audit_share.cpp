#include "proxy/record/audit_share.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace proxy {
namespace {

/// Longer than any place: four numbers and a chain's value.
constexpr std::size_t max_place = 256;

int open_beside(const std::string& path) noexcept {
    if (path.empty()) return -1;
    return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
}

void lock(int fd, short type) noexcept {
    struct flock whole {};
    whole.l_type = type;
    whole.l_whence = SEEK_SET;
    while (::fcntl(fd, F_OFD_SETLKW, &whole) != 0 && errno == EINTR) {
    }
}

}  // namespace

AuditShare::AuditShare(const std::string& path) : fd_(open_beside(path)) {}

std::string AuditShare::path_beside(const std::string& audit) {
    const std::size_t name = audit.rfind('/') + 1;  // npos + 1 is 0
    return audit.substr(0, name) + "." + audit.substr(name) + ".lock";
}

std::optional<AuditShare::Place> AuditShare::begin() noexcept {
    if (!fd_) return std::nullopt;
    lock(fd_.get(), F_WRLCK);
    std::array<char, max_place + 1> text{};
    if (::pread(fd_.get(), text.data(), max_place, 0) <= 0) return std::nullopt;
    std::uintmax_t device = 0, inode = 0;
    std::intmax_t end = 0;
    std::array<char, 65> chain{};
    char last = 0;
    const int found = std::sscanf(text.data(), "1 %" SCNuMAX " %" SCNuMAX " %" SCNdMAX " %64[-0-9a-f]%c", &device,
                                  &inode, &end, chain.data(), &last);
    if (found != 5 || last != '\n') return std::nullopt;
    return Place{.device = static_cast<dev_t>(device),
                 .inode = static_cast<ino_t>(inode),
                 .end = static_cast<off_t>(end),
                 .chain = chain[0] == '-' ? ChainValue() : ChainValue(chain.data())};
}

void AuditShare::done(const Place& place) noexcept {
    if (!fd_) return;
    const std::string_view chain = place.chain.empty() ? "-" : std::string_view(place.chain);
    std::array<char, max_place> text{};
    const int size = std::snprintf(text.data(), text.size(), "1 %ju %ju %jd %.*s\n",
                                   static_cast<std::uintmax_t>(place.device), static_cast<std::uintmax_t>(place.inode),
                                   static_cast<std::intmax_t>(place.end), static_cast<int>(chain.size()), chain.data());
    const auto length = static_cast<std::size_t>(size);
    // A place that is not whole is none: the next one reads the file itself.
    const bool written = ::pwrite(fd_.get(), text.data(), length, 0) == size && ::ftruncate(fd_.get(), size) == 0;
    if (!written && ::ftruncate(fd_.get(), 0) != 0) {
        // Nothing can be done about it: a place that does not fit the file is not believed either.
    }
    lock(fd_.get(), F_UNLCK);
}

void AuditShare::give_up() noexcept {
    if (fd_) lock(fd_.get(), F_UNLCK);
}

}  // namespace proxy
