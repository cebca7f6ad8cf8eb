#include "proxy/capture/capture_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "protocol/capture_ring.hpp"
#include "proxy/capture/capture_time.hpp"

namespace proxy {
namespace {

constexpr std::string_view prefix = "capture-", suffix = ".pcapng";
/// How many seconds, from its start on, are tried for a name that no other capture has.
constexpr int max_stamps = 100'000;
/// Somebody else may have put files where ours would be.
constexpr unsigned max_number = 1'000'000'000;

std::string why_failed() { return ::strerrordesc_np(errno); }

/// How much of `blocks` are whole ones within `size`: each has its length behind its type.
std::size_t whole_blocks(protocol::Bytes blocks, std::size_t size) {
    std::size_t whole = 0;
    while (whole + 8 <= size) {
        std::uint32_t length = 0;
        std::memcpy(&length, blocks.data() + whole + 4, sizeof length);
        if (length == 0 || length > size - whole) break;
        whole += length;
    }
    return whole;
}

struct Old {
    std::string name;
    std::uint64_t size = 0;
    timespec changed{};
};

/// What captures have left in a folder, the oldest first.
std::vector<Old> captures_in(int folder) {
    std::vector<Old> found;
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy >= 0 ? ::fdopendir(copy) : nullptr, ::closedir);
    if (!entries) {
        if (copy >= 0) ::close(copy);
        return found;
    }
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        struct stat file {};
        if (!name.starts_with(prefix) || !protocol::ring_file(entry->d_name)) continue;  // others were named by people
        if (::fstatat(folder, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(file.st_mode)) continue;
        found.push_back({std::string(name), static_cast<std::uint64_t>(file.st_size), file.st_mtim});
    }
    std::sort(found.begin(), found.end(), [](const Old& a, const Old& b) {
        return std::tie(a.changed.tv_sec, a.changed.tv_nsec, a.name) <
               std::tie(b.changed.tv_sec, b.changed.tv_nsec, b.name);
    });
    return found;
}

/// Whoever writes one holds its lock, in this process or another; we hold it until the file is
/// gone.
bool removed_unless_written(int folder, const std::string& name) {
    const int fd = ::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno == ENOENT;
    const bool removed = ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::unlinkat(folder, name.c_str(), 0) == 0;
    ::close(fd);
    return removed;
}

}  // namespace

CaptureFiles::CaptureFiles(Settings settings, std::chrono::system_clock::time_point started)
    : settings_(std::move(settings)) {
    try {
        open_folder();
        if (settings_.file.empty()) make_room();
        begin_ring(started);
        look();
    } catch (...) {
        close();
        throw;
    }
}

CaptureFiles::~CaptureFiles() { close(); }

void CaptureFiles::close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    if (folder_ >= 0) ::close(std::exchange(folder_, -1));
}

void CaptureFiles::open_folder() {
    std::string& file = settings_.file;
    std::filesystem::path dir = std::filesystem::path(settings_.dir).lexically_normal();
    if (!dir.has_filename()) dir = dir.parent_path();  // "captures/": a link would be followed
    settings_.dir = dir.string();
    if (!file.empty()) {
        if (file.front() != '/') file = (dir / file).lexically_normal().string();
        const bool elsewhere = std::filesystem::path(file).parent_path() != dir;
        if (elsewhere) return;  // whoever named it knows that folder
    }
    std::error_code error;
    std::filesystem::create_directories(dir.parent_path(), error);
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
        throw CaptureOver(CaptureEnd::disk, "cannot make the folder " + settings_.dir + ": " + why_failed());
    folder_ = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status {};
    if (folder_ < 0 || ::fstat(folder_, &status) != 0)
        throw CaptureOver(CaptureEnd::disk,
                          "cannot open the folder " + settings_.dir + ": " + why_failed() +
                              (errno == ENOTDIR || errno == ELOOP ? " (a symbolic link is not followed)" : ""));
    if (status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
        throw CaptureOver(CaptureEnd::disk, "the folder " + settings_.dir +
                                                " is open to others: it must belong to the user of pgairlock, with "
                                                "mode 0700 (chmod 700)");
}

/// Its first file. The name is its start's, or, where another capture has that, the next second's
/// that none has: a reader tells by it which files belong together.
void CaptureFiles::begin_ring(std::chrono::system_clock::time_point started) {
    if (!settings_.file.empty()) {
        if (!open_file()) throw_cannot_make();
        return;
    }
    const std::vector<Old> others = captures_in(folder_);
    for (int i = 0; i < max_stamps; ++i) {
        stamp_ = utc_for_names(started + std::chrono::seconds(i));
        const std::string name = std::string(prefix) + stamp_ + "-";
        const bool taken =
            std::any_of(others.begin(), others.end(), [&](const Old& other) { return other.name.starts_with(name); });
        if (!taken && open_file()) return;
        if (!taken && errno != EEXIST) break;
    }
    throw_cannot_make();
}

void CaptureFiles::throw_cannot_make() const {
    throw CaptureOver(CaptureEnd::disk, "cannot make the file " + path_ + ": " + why_failed());
}

/// False, with errno: there is none.
bool CaptureFiles::open_file() {
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_APPEND;
    const bool ring = settings_.file.empty();
    path_ = settings_.file;
    if (ring)
        path_ = settings_.dir + "/" + std::string(prefix) + stamp_ + "-" + std::to_string(number_ + 1) +
                std::string(suffix);
    const int fd = ring ? ::openat(folder_, path_.substr(settings_.dir.size() + 1).c_str(), flags, 0600)
                        : ::open(path_.c_str(), flags, 0600);
    if (fd < 0) return false;
    // Somebody who makes room may hold it for a moment, and then have removed it.
    while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    struct stat file {};
    if (::fstat(fd, &file) == 0 && file.st_nlink == 0) {
        ::close(fd);
        return open_file();
    }
    ++number_;
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
    size_ = 0;
    opened_ = Clock::now();
    return true;
}

/// Those that nobody writes any more, the oldest first, until one more file is within
/// max_total_size.
void CaptureFiles::make_room() const {
    const std::vector<Old> files = captures_in(folder_);
    std::uint64_t total = settings_.max_file_size;
    for (const Old& file : files) total += file.size;
    for (const Old& file : files) {
        if (total <= settings_.max_total_size) return;
        if (removed_unless_written(folder_, file.name)) total -= file.size;
    }
}

void CaptureFiles::next_file() {
    ::flock(fd_, LOCK_UN);  // it may be the one that has to go
    make_room();
    while (!open_file()) {
        if (errno != EEXIST || ++number_ == max_number) throw_cannot_make();
    }
}

bool CaptureFiles::wants_next(std::size_t more) const noexcept {
    if (!settings_.file.empty()) return false;
    return size_ + more > settings_.max_file_size || Clock::now() - opened_ >= settings_.max_file_age;
}

void CaptureFiles::look(std::size_t more) const {
    struct stat file {};
    if (::fstat(fd_, &file) == 0 && file.st_nlink == 0) throw CaptureOver(CaptureEnd::removed, path_ + " was deleted");
    struct statvfs system {};
    if (settings_.min_free_space == 0 || ::fstatvfs(fd_, &system) != 0) return;
    const std::uint64_t free = std::uint64_t{system.f_bavail} * system.f_frsize;
    if (free < settings_.min_free_space + more)
        throw CaptureOver(CaptureEnd::disk, "the file system of " + path_ + " has " + std::to_string(free >> 20) +
                                                " MiB free, less than min_free_space");
}

void CaptureFiles::write(protocol::Bytes blocks) {
    look(blocks.size());
    std::size_t done = 0;
    while (done < blocks.size()) {
        const ssize_t n = ::write(fd_, blocks.data() + done, blocks.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            const std::string error = why_failed();
            const std::size_t whole = whole_blocks(blocks, done);
            if (::ftruncate(fd_, static_cast<off_t>(size_ + whole)) == 0) done = whole;
            size_ += done;
            written_ += done;
            throw CaptureOver(CaptureEnd::disk, "cannot write to " + path_ + ": " + error);
        }
        done += static_cast<std::size_t>(n);
    }
    size_ += done;
    written_ += done;
}

}  // namespace proxy
