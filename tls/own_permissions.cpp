#include "tls/own_permissions.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tls {

std::string tighten(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return {};
    struct stat status {};
    const bool ours = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
    // What config/file.cpp would refuse.
    const mode_t others = status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    const bool open_to_others = ours && (status.st_mode & others) != 0;
    const bool done = open_to_others && ::fchmod(fd, S_IRUSR | S_IWUSR) == 0;
    ::close(fd);
    return done ? path + " was open to group or others: its permissions are u=rw (0600) again" : std::string();
}

std::string tighten_folder(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY);
    if (fd < 0) return {};
    struct stat status {};
    constexpr mode_t others = S_IWGRP | S_IWOTH;
    const bool open_to_others = ::fstat(fd, &status) == 0 && (status.st_mode & others) != 0;
    const bool done = open_to_others && ::fchmod(fd, status.st_mode & ~others & 07777) == 0;
    ::close(fd);
    if (!open_to_others) return {};
    if (!done) return "group or others can replace the files in " + path + ": take their right to write there away";
    return "group or others could replace the files in " + path + ": only its owner may write there again";
}

}  // namespace tls
