// Which file a path leads to: whoever keeps one open cannot see by itself that it was removed.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <string>

namespace proxy {

struct FileId {
    dev_t device = 0;
    ino_t inode = 0;  ///< 0: there is none
    bool operator==(const FileId&) const = default;
};

/// nullopt: nobody can say, for now.
inline std::optional<FileId> file_id(const std::string& path) noexcept {
    struct stat file {};
    if (::stat(path.c_str(), &file) == 0) return FileId{.device = file.st_dev, .inode = file.st_ino};
    return errno == ENOENT || errno == ENOTDIR ? std::optional(FileId()) : std::nullopt;
}

}  // namespace proxy
