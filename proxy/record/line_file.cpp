#include "proxy/record/line_file.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "proxy/record/own_thread.hpp"

namespace proxy {
namespace {

/// A network file system that answers at all does so within this.
constexpr std::chrono::seconds open_patience{10};

/// How much of `bytes` the kernel took; errno says why it was not all.
std::size_t write_all(int fd, std::string_view bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n > 0) {
            done += static_cast<std::size_t>(n);
        } else if (n < 0 && errno == EAGAIN) {
            // Whoever shares our standard output with us has made it so.
            pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
            ::poll(&wait, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    return done;
}

/// As a process leaves it that was killed, or whose machine lost its power.
bool ends_in_half_line(int fd, const std::string& path) {
    struct stat file {};
    if (::fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size == 0) return false;
    const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (reader < 0) return false;
    char last = '\n';
    const bool read = ::pread(reader, &last, 1, file.st_size - 1) == 1;
    ::close(reader);
    return read && last != '\n';
}

/// What opening has come to; the descriptor is closed by whoever forgets it last.
struct Opened {
    explicit Opened(std::string p) : path(std::move(p)) {}
    ~Opened() {
        if (fd >= 0) ::close(fd);
    }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;

    const std::string path;
    int fd = -1;
    bool torn = false;
    const char* error = nullptr;
    int number = 0;  // its errno
};

constexpr const char* unread_fifo = "it is a FIFO that nobody reads";
constexpr const char* a_socket = "it is a socket";
constexpr const char* no_sink = "it is neither a file nor a pipe nor a terminal";

/// What lines can be appended to.
bool is_sink(const struct stat& file) {
    return S_ISREG(file.st_mode) || S_ISCHR(file.st_mode) || S_ISFIFO(file.st_mode);
}

/// errno alone says "No such device or address" here.
const char* why_not_opened(const std::string& path) {
    const int error = errno;
    struct stat file {};
    if (error == ENXIO && ::stat(path.c_str(), &file) == 0) {
        if (S_ISFIFO(file.st_mode)) return unread_fifo;
        if (S_ISSOCK(file.st_mode)) return a_socket;
    }
    return ::strerrordesc_np(error);
}

void try_to_open(Opened& attempt) {
    // O_NONBLOCK: opening a FIFO must not wait for its reader. 0640: it names users and addresses.
    constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    attempt.fd = ::open(attempt.path.c_str(), flags, 0640);
    struct stat file {};
    if (attempt.fd < 0 || ::fstat(attempt.fd, &file) != 0) {
        attempt.number = errno;
        attempt.error = why_not_opened(attempt.path);
    } else if (!is_sink(file)) {
        attempt.error = no_sink;
    } else {
        ::fcntl(attempt.fd, F_SETFL, O_APPEND);  // writing may wait: a thread of its own does it
        attempt.torn = ends_in_half_line(attempt.fd, attempt.path);
    }
}

Obstacle why_not_accessible(const std::string& path, int how) {
    if (::access(path.c_str(), how) == 0) return {};
    const int error = errno;
    return {.error = ::strerrordesc_np(error), .is_of_this_user = error == EACCES || error == EPERM};
}

/// Of what is there.
Obstacle why_not_appended_to(const std::string& path, const struct stat& file) {
    if (S_ISDIR(file.st_mode)) return {.error = ::strerrordesc_np(EISDIR)};
    if (S_ISSOCK(file.st_mode)) return {.error = a_socket};
    if (!is_sink(file)) return {.error = no_sink};
    Obstacle obstacle = why_not_accessible(path, W_OK);
    if (!S_ISFIFO(file.st_mode) || !obstacle.error.empty()) return obstacle;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return {.error = why_not_opened(path)};
    ::close(fd);
    return {};
}

/// Nobody makes files there, whoever asks, though access(2) lets root.
bool takes_no_files(const std::filesystem::path& folder) {
    struct statfs system {};
    if (::statfs(folder.c_str(), &system) != 0) return false;
    return system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC;
}

/// Where a file is made when `path` is opened: open(2) follows a symbolic link to nowhere.
std::filesystem::path end_of_links(std::filesystem::path path) {
    constexpr int most = 40;  // as the kernel
    std::error_code error;
    for (int i = 0; i < most; ++i) {
        const std::filesystem::path target = std::filesystem::read_symlink(path, error);
        if (error) break;
        path = path.parent_path() / target;
    }
    return path;
}

}  // namespace

bool CannotOpen::is_misconfigured() const noexcept {
    constexpr std::array never_mended{ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG};
    return std::find(never_mended.begin(), never_mended.end(), error_) != never_mended.end();
}

config::Diagnostic unusable_file(const config::Origin& key, const std::string& error) {
    const bool is_fifo = error.find(unread_fifo) != std::string::npos;
    return {.origin = key,
            .message = error + (is_fifo ? ". Start its reader first, or name another file"
                                        : ". Name a file in a folder that is there, and that the user of pgairlock may "
                                          "write to")};
}

Obstacle obstacle_to_writing(const std::string& path, const std::string& made_later) {
    struct stat file {};
    if (::stat(path.c_str(), &file) == 0) {
        return why_not_appended_to(path, file);
    }
    if (errno != ENOENT) return why_not_accessible(path, F_OK);
    std::filesystem::path folder = end_of_links(path).parent_path();
    std::error_code error;
    const auto plain = [](const std::filesystem::path& one) { return (one / "").lexically_normal(); };
    if (plain(folder) == plain(made_later)) {
        while (folder.has_relative_path() && !std::filesystem::exists(folder, error)) folder = folder.parent_path();
    }
    if (folder.empty()) folder = ".";
    if (::stat(folder.c_str(), &file) == 0 && !S_ISDIR(file.st_mode)) return {.error = ::strerrordesc_np(ENOTDIR)};
    if (takes_no_files(folder)) return {.error = "no file can be made there"};
    return why_not_accessible(folder, W_OK | X_OK);
}

std::string LineFile::open(const std::string& path) {
    const auto attempt = std::make_shared<Opened>(path);
    std::optional<OwnThread> thread;
    try {
        thread.emplace([attempt] { try_to_open(*attempt); });
    } catch (const std::system_error& error) {
        error_ = error.code().value();
        return "no thread to open it: " + error.code().message();
    }
    if (!thread->end_within(open_patience)) {
        error_ = ETIMEDOUT;
        return "the file system does not answer";
    }
    if (attempt->error) {
        error_ = attempt->number;
        return attempt->error;
    }
    close();
    fd_ = std::exchange(attempt->fd, -1);
    ours_ = true;
    path_ = path;
    torn_ = attempt->torn;
    return {};
}

bool LineFile::is_removed() const noexcept {
    struct stat file {};
    struct stat named {};
    if (!ours_ || ::fstat(fd_, &file) != 0 || !S_ISREG(file.st_mode) || file.st_nlink > 0) return false;
    // Some file systems say so of every file.
    return ::stat(path_.c_str(), &named) != 0 || named.st_ino != file.st_ino || named.st_dev != file.st_dev;
}

void LineFile::use(int fd) {
    close();
    fd_ = fd;
    ours_ = false;
    torn_ = false;
}

void LineFile::close() noexcept {
    if (ours_ && fd_ >= 0) ::close(fd_);
}

std::size_t LineFile::append(std::string_view lines) {
    if (lines.empty() || fd_ < 0) return 0;
    if (torn_ && write_all(fd_, "\n") == 1) torn_ = false;  // half a line ends here; the next one is whole
    const std::size_t done = torn_ ? 0 : write_all(fd_, lines);
    if (done == lines.size()) return 0;
    error_ = errno;
    const std::size_t whole_lines = done == 0 ? 0 : lines.rfind('\n', done - 1) + 1;  // npos + 1 is 0
    if (done > whole_lines) take_off(done - whole_lines);
    const auto lost = lines.substr(done);
    return static_cast<std::size_t>(std::count(lost.begin(), lost.end(), '\n'));
}

/// Shortens the file by the half line at its end, which works on a full disk too. Where that is not
/// possible, as in a pipe, the next line begins with a newline.
void LineFile::take_off(std::size_t half_line) {
    struct stat file {};
    const bool is_file = ours_ && ::fstat(fd_, &file) == 0 && S_ISREG(file.st_mode);
    const off_t whole = file.st_size - static_cast<off_t>(half_line);
    torn_ = !is_file || whole < 0 || ::ftruncate(fd_, whole) != 0;
}

}  // namespace proxy
