#include "proxy/capture/capture_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "protocol/capture_ring.hpp"
#include "proxy/capture/owned_descriptor.hpp"

namespace proxy {
namespace {

std::string errno_text() { return ::strerrordesc_np(errno); }

struct Found {
    std::string name;
    std::uint64_t size = 0;
    timespec changed{};
    bool of_ring = false;
};

/// Whether a file that somebody named is a capture of ours: its section says who wrote it.
bool begins_as_ours(int folder, const char* name) {
    const OwnedDescriptor file(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 512> beginning{};
    if (!file) return false;
    const ssize_t n = ::read(file.get(), beginning.data(), beginning.size());
    if (n <= 0) return false;
    const std::string_view text(beginning.data(), static_cast<std::size_t>(n));
    return text.starts_with("\x0a\x0d\x0d\x0a") && text.find("pgairlock ") != std::string_view::npos;
}

/// The oldest first.
std::vector<Found> captures_in(int folder, bool also_named) {
    std::vector<Found> found;
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy >= 0 ? ::fdopendir(copy) : nullptr, ::closedir);
    if (!entries) {
        if (copy >= 0) ::close(copy);
        return found;
    }
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        struct stat file {};
        const bool of_ring = name.starts_with(capture_file_prefix) && protocol::ring_file(entry->d_name);
        if (!of_ring && !also_named) continue;
        if (::fstatat(folder, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(file.st_mode)) continue;
        if (!of_ring && !begins_as_ours(folder, entry->d_name)) continue;
        found.push_back({std::string(name), static_cast<std::uint64_t>(file.st_size), file.st_mtim, of_ring});
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
        return std::tie(a.changed.tv_sec, a.changed.tv_nsec, a.name) <
               std::tie(b.changed.tv_sec, b.changed.tv_nsec, b.name);
    });
    return found;
}

enum class Removal { by_us, gone_before, not_now };

/// Whoever writes one holds its lock, in this process or another; we hold it until the file is
/// gone.
Removal remove_unless_written(int folder, const std::string& name) {
    const OwnedDescriptor file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!file) return errno == ENOENT ? Removal::gone_before : Removal::not_now;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return Removal::not_now;
    if (::unlinkat(folder, name.c_str(), 0) == 0) return Removal::by_us;
    return errno == ENOENT ? Removal::gone_before : Removal::not_now;
}

/// It is there.
std::string obstacle_within(const std::string& dir, const struct stat& folder) {
    if (S_ISLNK(folder.st_mode)) return dir + " is a symbolic link, which is not followed: name the folder itself";
    if (!S_ISDIR(folder.st_mode)) return dir + " is no folder: name another one, or move that file away";
    if (folder.st_uid != ::geteuid())
        return dir + " belongs to uid " + std::to_string(folder.st_uid) + ", and pgairlock runs as uid " +
               std::to_string(::geteuid()) + " here: it must belong to pgairlock's user (chown)";
    if ((folder.st_mode & 077) != 0) return dir + " is open to others: chmod 700 " + dir;
    if (::access(dir.c_str(), W_OK | X_OK) != 0) return dir + " cannot be written to: " + errno_text();
    return {};
}

}  // namespace

std::shared_ptr<CaptureFolder> CaptureFolder::of(int folder) {
    static std::mutex mutex;
    static std::map<std::pair<dev_t, ino_t>, std::weak_ptr<CaptureFolder>> known;
    struct stat status {};
    if (::fstat(folder, &status) != 0) return std::make_shared<CaptureFolder>();
    const std::lock_guard lock(mutex);
    std::erase_if(known, [](const auto& one) { return one.second.expired(); });
    std::weak_ptr<CaptureFolder>& one = known[{status.st_dev, status.st_ino}];
    std::shared_ptr<CaptureFolder> found = one.lock();
    if (!found) one = found = std::make_shared<CaptureFolder>();
    return found;
}

bool CaptureFolder::make_room(int folder, std::uint64_t more, std::uint64_t max_total, std::vector<Removed>& removed) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t before = total_;
    std::uint64_t total = 0;
    const std::vector<Found> files = captures_in(folder, true);
    for (const Found& file : files) total += file.size;
    for (const Found& file : files) {
        if (total + more <= max_total) break;
        if (!file.of_ring) continue;
        const Removal removal = remove_unless_written(folder, file.name);
        if (removal == Removal::not_now) continue;
        total -= file.size;
        if (removal == Removal::by_us) removed.push_back({file.name, file.size});
    }
    // With what was written meanwhile. What of it the look has seen counts twice until the next
    // one, which comes the earlier for that.
    total_ += total - before;
    return total + more <= max_total;
}

std::vector<std::string> CaptureFolder::ring_files(int folder) {
    std::vector<std::string> names;
    for (Found& file : captures_in(folder, false)) names.push_back(std::move(file.name));
    return names;
}

std::string CaptureFolder::obstacle(const std::string& dir, std::uint64_t min_free_space) {
    std::filesystem::path there = std::filesystem::path(dir).lexically_normal();
    if (!there.has_filename()) there = there.parent_path();
    struct stat folder {};
    if (::lstat(there.c_str(), &folder) == 0) {
        if (std::string why = obstacle_within(there.string(), folder); !why.empty()) return why;
    } else if (errno != ENOENT) {
        return there.string() + " cannot be looked at: " + errno_text();
    } else {
        // It is made, with those above it.
        do {
            there = there.parent_path();
        } while (there.has_relative_path() && ::stat(there.c_str(), &folder) != 0 && errno == ENOENT);
        if (::stat(there.c_str(), &folder) != 0 || !S_ISDIR(folder.st_mode))
            return dir + " cannot be made: " + there.string() + " is no folder";
        if (::access(there.c_str(), W_OK | X_OK) != 0)
            return dir + " cannot be made: no permission to write to " + there.string();
    }
    struct statvfs system {};
    if (min_free_space == 0 || ::statvfs(there.c_str(), &system) != 0) return {};
    const std::uint64_t free = std::uint64_t{system.f_bavail} * system.f_frsize;
    if (free >= min_free_space) return {};
    return "the file system of " + dir + " has " + std::to_string(free >> 20U) + " MiB free, and min_free_space is " +
           std::to_string(min_free_space >> 20U) + " MiB: make room, name another folder, or lower min_free_space";
}

}  // namespace proxy
