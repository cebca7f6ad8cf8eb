#include "proxy/record/audit_file.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "proxy/record/event_json.hpp"

namespace proxy {
namespace {

/// What waits for flush() is bounded: a batch of events may be tens of MiB of lines.
constexpr std::size_t max_buffered = 256 * 1024;

/// How much of `bytes` the kernel took; errno says why it was not all.
std::size_t write_all(int fd, std::string_view bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n > 0) {
            done += static_cast<std::size_t>(n);
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    return done;
}

/// As a proxy leaves it that was killed, or whose machine lost its power.
bool ends_in_half_line(int fd, const std::string& path) {
    struct stat file {};
    if (::fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size == 0) return false;
    const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (reader < 0) return false;
    char last = '\n';
    const bool read = ::pread(reader, &last, 1, file.st_size - 1) == 1;
    ::close(reader);
    return read && last != '\n';
}

/// Far beyond any event's: names are cut, and so are errors.
constexpr off_t max_line = 1024 * 1024;

struct LastLine {
    bool readable = true;
    std::optional<std::string> text;  // nullopt: the file is empty, or no file
};

LastLine read_last_line(int fd, const std::string& path) {
    struct stat file {};
    if (::fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size == 0) return {};
    const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (reader < 0) return {.readable = false, .text = {}};
    std::string end(static_cast<std::size_t>(std::min(file.st_size, max_line)), '\0');
    const ssize_t n = ::pread(reader, end.data(), end.size(), file.st_size - static_cast<off_t>(end.size()));
    ::close(reader);
    if (n != static_cast<ssize_t>(end.size())) return {.readable = false, .text = {}};
    end.pop_back();  // its newline
    const std::size_t before = end.rfind('\n');
    if (before == std::string::npos && file.st_size > max_line) return {.readable = false, .text = {}};
    return {.readable = true, .text = end.substr(before + 1)};  // npos + 1 is 0
}

}  // namespace

AuditFile::AuditFile(Settings settings) : path_(std::move(settings.path)), proxy_(std::move(settings.proxy)) {
    const int error = open();
    if (error != 0) throw std::runtime_error("cannot open audit file " + path_ + ": " + std::strerror(error));
    if (settings.chained == Chained::no) return;
    chain_.emplace();
    continue_chain();
}

AuditFile::~AuditFile() {
    flush();
    if (fd_ > STDERR_FILENO) ::close(fd_);
}

void AuditFile::add(const Event& event) {
    if (fd_ < 0) return;
    const std::string line = to_json(event, proxy_);
    buffer_ += chain_ ? chain_->link(line) : line;
    buffer_ += '\n';
    ++added_;
    if (buffer_.size() >= max_buffered) write_out();
}

void AuditFile::flush() {
    write_out();
    if (std::exchange(added_, 0) == 0) return;
    const bool failed = lost_ > 0;
    if (failed) spdlog::error("audit: {} events lost: cannot write {}: {}", lost_, path_, std::strerror(error_));
    if (failing_ && !failed) spdlog::info("audit: {} can be written again", path_);
    failing_ = failed;
    lost_ = 0;
}

void AuditFile::reopen() {
    flush();
    // The chain goes on in the new file: what this one knows is more than can be read from any.
    if (open() == 0 && torn_ && chain_) chain_->begin("half a line");
}

/// What open() of the system said; 0: it is open.
int AuditFile::open() {
    if (path_.empty()) return 0;
    if (path_ == "-") {
        fd_ = STDOUT_FILENO;
        return 0;
    }
    // 0640: it names users, databases and addresses.
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        const int error = errno;
        spdlog::error("audit: cannot open {}: {}", path_, std::strerror(error));
        return error;
    }
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
    torn_ = ends_in_half_line(fd_, path_);
    return 0;
}

/// Where an earlier process has left it.
void AuditFile::continue_chain() {
    const LastLine last = torn_ ? LastLine{} : read_last_line(fd_, path_);
    const auto chained = last.text ? parse_chained(*last.text) : std::nullopt;
    if (chained) return chain_->go_on(chained->value);
    chain_->begin(torn_            ? "half a line"
                  : !last.readable ? "unreadable line"
                  : last.text      ? "unchained line"
                                   : "no line");
}

void AuditFile::write_out() {
    if (buffer_.empty()) return;
    if (torn_ && write_all(fd_, "\n") == 1) torn_ = false;  // half a line ends here; the next one is whole
    const std::size_t done = torn_ ? 0 : write_all(fd_, buffer_);
    if (done < buffer_.size()) {
        error_ = errno;
        lost_ += static_cast<std::size_t>(
            std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(done), buffer_.end(), '\n'));
        const std::size_t whole_lines = done == 0 ? 0 : buffer_.rfind('\n', done - 1) + 1;  // npos + 1 is 0
        if (done > whole_lines) take_off(done - whole_lines);
        if (chain_) chain_->begin("lost lines");
    }
    buffer_.clear();
}

/// Shortens the file by the half line at its end, which works on a full disk too. Where that is not
/// possible, as in a pipe, the next line begins with a newline.
void AuditFile::take_off(std::size_t half_line) {
    struct stat file {};
    const bool ours = path_ != "-" && ::fstat(fd_, &file) == 0 && S_ISREG(file.st_mode);
    const off_t whole = file.st_size - static_cast<off_t>(half_line);
    torn_ = !ours || whole < 0 || ::ftruncate(fd_, whole) != 0;
}

}  // namespace proxy
