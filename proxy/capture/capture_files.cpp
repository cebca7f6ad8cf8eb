#include "proxy/capture/capture_files.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "proxy/capture/capture_time.hpp"

namespace proxy {
namespace {

/// A ring whose file is a smaller part of max_total_size than this one does without the next.
constexpr std::uint64_t smallest_part = 64;
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

}  // namespace

CaptureFiles::CaptureFiles(Settings settings, std::chrono::system_clock::time_point started)
    : settings_(std::move(settings)) {
    open_folder();
    if (folder_ && settings_.max_total_size > 0) {
        use_ = CaptureFolder::of(folder_.get());
        // A ring's next file has room at once; one that somebody named finds it as it grows.
        make_room(settings_.file.empty() ? settings_.max_file_size : 1);
        if (!use_->has_room(1, settings_.max_total_size)) throw CaptureOver(CaptureEnd::size, why_full());
    }
    begin_ring(started);
    try {
        look();
    } catch (const CaptureOver&) {
        remove_empty();
        throw;
    }
}

/// Unless it is gone already: another one may have its name.
void CaptureFiles::remove_empty() noexcept {
    struct stat file {};
    if (fd_ && size_ == 0 && ::fstat(fd_.get(), &file) == 0 && file.st_nlink > 0) ::unlink(path_.c_str());
}

void CaptureFiles::close() noexcept {
    fd_.close();
    folder_.close();
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
    folder_ = OwnedDescriptor(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!folder_ || ::fstat(folder_.get(), &status) != 0)
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
    const std::vector<std::string> others = CaptureFolder::ring_files(folder_.get());
    for (int i = 0; i < max_stamps; ++i) {
        stamp_ = utc_for_names(started + std::chrono::seconds(i));
        const std::string name = std::string(capture_file_prefix) + stamp_ + "-";
        const bool taken = std::any_of(others.begin(), others.end(),
                                       [&](const std::string& other) { return other.starts_with(name); });
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
        path_ = settings_.dir + "/" + capture_file_prefix + stamp_ + "-" + std::to_string(number_ + 1) +
                capture_file_suffix;
    OwnedDescriptor made(ring ? ::openat(folder_.get(), path_.substr(settings_.dir.size() + 1).c_str(), flags, 0600)
                              : ::open(path_.c_str(), flags, 0600));
    if (!made) return false;
    // Somebody who makes room may hold it for a moment, and then have removed it.
    while (::flock(made.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    struct stat file {};
    if (::fstat(made.get(), &file) == 0 && file.st_nlink == 0) {
        made.close();
        return open_file();
    }
    ++number_;
    fd_ = std::move(made);
    size_ = 0;
    opened_ = Clock::now();
    return true;
}

/// `more` bytes within max_total_size. False: there is no room.
bool CaptureFiles::make_room(std::uint64_t more) {
    std::vector<CaptureFolder::Removed> gone;
    const bool has_room = use_->make_room(folder_.get(), more, settings_.max_total_size, gone);
    removed_ += gone.size();
    for (const CaptureFolder::Removed& one : gone)
        spdlog::info("captures: removed {}/{}, {} bytes: the oldest beyond max_total_size", settings_.dir, one.name,
                     one.size);
    return has_room;
}

void CaptureFiles::next_file() {
    ::flock(fd_.get(), LOCK_UN);  // it may be the one that has to go
    if (use_) make_room(settings_.max_file_size);
    while (!open_file()) {
        if (errno != EEXIST || ++number_ == max_number) throw_cannot_make();
    }
}

CaptureFiles::Room CaptureFiles::room_for(std::size_t more) {
    if (wants_next(more)) return Room::in_next_file;
    if (!use_ || use_->has_room(more, settings_.max_total_size) || make_room(more)) return Room::here;
    // What this ring itself has written is the oldest that can go.
    const bool has_enough = size_ + more >= settings_.max_total_size / smallest_part;
    return settings_.file.empty() && has_enough ? Room::in_next_file : Room::nowhere;
}

std::string CaptureFiles::why_full() const {
    return "max_total_size of " + settings_.dir +
           " is used up by files that are being written or that somebody named: move them away, or stop a capture";
}

bool CaptureFiles::wants_next(std::size_t more) const noexcept {
    if (!settings_.file.empty()) return false;
    return size_ + more > settings_.max_file_size || Clock::now() - opened_ >= settings_.max_file_age;
}

void CaptureFiles::look(std::size_t more) const {
    struct stat file {};
    if (::fstat(fd_.get(), &file) == 0 && file.st_nlink == 0)
        throw CaptureOver(CaptureEnd::removed, path_ + " was deleted");
    struct statvfs system {};
    if (settings_.min_free_space == 0 || ::fstatvfs(fd_.get(), &system) != 0) return;
    const std::uint64_t free = std::uint64_t{system.f_bavail} * system.f_frsize;
    if (free < settings_.min_free_space + more)
        throw CaptureOver(CaptureEnd::disk, "the file system of " + path_ + " has " + std::to_string(free >> 20) +
                                                " MiB free, less than min_free_space");
}

void CaptureFiles::write(protocol::Bytes blocks) {
    look(blocks.size());
    std::size_t done = 0;
    while (done < blocks.size()) {
        const ssize_t n = ::write(fd_.get(), blocks.data() + done, blocks.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            const std::string error = why_failed();
            const std::size_t whole = whole_blocks(blocks, done);
            if (::ftruncate(fd_.get(), static_cast<off_t>(size_ + whole)) == 0) done = whole;
            count(done);
            throw CaptureOver(CaptureEnd::disk, "cannot write to " + path_ + ": " + error);
        }
        done += static_cast<std::size_t>(n);
    }
    count(done);
}

void CaptureFiles::count(std::size_t bytes) noexcept {
    size_ += bytes;
    written_ += bytes;
    if (use_) use_->wrote(bytes);
}

}  // namespace proxy
