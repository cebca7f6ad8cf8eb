#include "proxy/command/capture_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace proxy::command {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// For a capture that was asked to end.
constexpr auto end_timeout = 15s;
/// After which the proxy gives a capture up.
constexpr auto proxy_patience = 10s;
/// Nothing was read for so long: then the proxy may have ended the capture without waiting for us.
constexpr auto slow = 1s;

/// Where it is written to. A file of which nothing was written is removed again.
class Destination {
   public:
    explicit Destination(std::string file) : file_(std::move(file)) {
        if (file_ == "-") {
            fd_ = STDOUT_FILENO;
        } else {
            fd_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
        }
        if (fd_ < 0) throw std::runtime_error("cannot write " + file_ + ": " + std::strerror(errno));
        struct stat info {};
        has_reader_ = ::fstat(fd_, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
    }
    Destination(const Destination&) = delete;
    Destination& operator=(const Destination&) = delete;
    ~Destination() {
        if (file_ == "-") return;
        ::close(fd_);
        if (written_ == 0) ::unlink(file_.c_str());
    }

    int fd() const noexcept { return fd_; }
    bool has_reader() const noexcept { return has_reader_; }
    std::size_t written() const noexcept { return written_; }

    /// Some of `bytes`, of which there are any; 0: its reader has gone. To be called when it is
    /// writable: then this does not block.
    std::size_t write(std::string_view bytes) {
        // A pipe is writable when it takes PIPE_BUF (pipe(7)).
        const std::size_t size = has_reader_ ? std::min<std::size_t>(bytes.size(), PIPE_BUF) : bytes.size();
        const ssize_t n = ::write(fd_, bytes.data(), size);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return 0;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            throw std::runtime_error("cannot write " + (file_ == "-" ? "to standard output" : file_) + ": " +
                                     std::strerror(errno));
        if (n > 0) written_ += static_cast<std::size_t>(n);
        return n > 0 ? static_cast<std::size_t>(n) : write(bytes);
    }

    /// Says when the disk only now finds that it is full.
    void finish() {
        if (file_ != "-" && ::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS)
            throw std::runtime_error("cannot write " + file_ + ": " + std::strerror(errno));
    }

   private:
    std::string file_;
    int fd_ = -1;
    bool has_reader_ = false;
    std::size_t written_ = 0;
};

/// SIGINT and SIGTERM as something to poll. The second one ends us as it always does.
class Interrupt {
   public:
    Interrupt() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals_, &before_);
        fd_ = ::signalfd(-1, &signals_, SFD_NONBLOCK | SFD_CLOEXEC);
        if (fd_ < 0) throw std::runtime_error(std::string("signalfd: ") + std::strerror(errno));
    }
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;
    ~Interrupt() { end(); }

    int fd() const noexcept { return fd_; }
    void end() noexcept {
        if (fd_ < 0) return;
        signalfd_siginfo ignored{};
        while (::read(fd_, &ignored, sizeof ignored) > 0) {
        }
        ::close(std::exchange(fd_, -1));
        sigprocmask(SIG_SETMASK, &before_, nullptr);
    }

   private:
    sigset_t signals_{};
    sigset_t before_{};
    int fd_ = -1;
};

/// One stream on its way to one output.
class Transfer {
   public:
    Transfer(ConsoleClient& console, Destination& output) : console_(console), output_(output) {}

    void run() {
        while (!over_) {
            take_what_is_there();
            if (over_ && pending_.empty()) return;
            wait();
        }
        while (!pending_.empty() && !reader_gone_) wait();
    }

   private:
    /// Nothing more is taken than what the output gets rid of.
    void take_what_is_there() {
        while (!over_ && pending_.empty()) {
            ConsoleClient::Piece piece = next_piece();
            over_ = piece.over;
            if (piece.bytes.empty()) return;
            if (!reader_gone_) pending_ = std::move(piece.bytes);
            moved_ = Clock::now();
        }
    }

    /// The proxy cannot say why it ends a connection that takes nothing.
    ConsoleClient::Piece next_piece() {
        try {
            return console_.next_piece();
        } catch (const ConsoleError& broken) {
            if (!broken.sqlstate.empty()) throw;
            const std::string why =
                longest_stall_ >= proxy_patience ? "the proxy gave the capture up: nothing was read for " +
                                                       std::to_string(proxy_patience.count()) + " s"
                : longest_stall_ >= slow
                    ? "the capture is over, and the proxy waits only a few seconds for what was not read yet"
                    : std::string("the capture broke off: ") + broken.what();
            throw ConsoleError(why + ". What was written until then is there: " + std::to_string(output_.written()) +
                               " bytes");
        }
    }

    void wait() {
        enum { console, output, interrupt, count };
        const bool has_pending = !pending_.empty();
        // A descriptor below zero is passed over (poll(2)).
        std::array<pollfd, count> watched{
            pollfd{.fd = has_pending || over_ ? -1 : console_.socket(), .events = POLLIN, .revents = 0},
            pollfd{.fd = has_pending || (output_.has_reader() && !reader_gone_) ? output_.fd() : -1,
                   .events = static_cast<short>(has_pending ? POLLOUT : 0),
                   .revents = 0},
            pollfd{.fd = interrupt_.fd(), .events = POLLIN, .revents = 0}};
        const int ready = ::poll(watched.data(), watched.size(), patience());
        if (ready == 0) throw ConsoleError("the capture was asked to end, and does not");
        if (ready < 0) return;
        if (watched[output].revents & POLLOUT) write();
        if (watched[output].revents & (POLLERR | POLLHUP | POLLNVAL)) lose_reader();
        if (watched[interrupt].revents != 0) ask_for_end();
    }

    int patience() const {
        if (!deadline_) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now());
        return static_cast<int>(std::max(left, 0ms).count());
    }

    void write() {
        const std::size_t n = output_.write(pending_);
        longest_stall_ = std::max(longest_stall_, Clock::now() - moved_);
        moved_ = Clock::now();
        if (n == 0) return lose_reader();
        pending_.erase(0, n);
    }

    /// What still comes is for nobody.
    void lose_reader() {
        if (reader_gone_) return;
        reader_gone_ = true;
        pending_.clear();
        ask_for_end();
    }

    void ask_for_end() {
        interrupt_.end();
        if (deadline_ || over_) return;
        deadline_ = Clock::now() + end_timeout;
        console_.cancel();
    }

    ConsoleClient& console_;
    Destination& output_;
    Interrupt interrupt_;
    std::string pending_;
    Clock::time_point moved_;  // the last bytes, to us or from us
    Clock::duration longest_stall_{};
    bool over_ = false;
    bool reader_gone_ = false;
    std::optional<Clock::time_point> deadline_;  // it was asked to end
};

}  // namespace

std::size_t stream_capture(ConsoleClient& console, const std::string& sql, const std::string& file,
                           const std::function<void()>& begun) {
    std::signal(SIGPIPE, SIG_IGN);
    Destination output(file);
    console.begin_stream(sql);
    begun();
    Transfer(console, output).run();
    output.finish();
    return output.written();
}

}  // namespace proxy::command
