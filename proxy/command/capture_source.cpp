#include "proxy/command/capture_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <system_error>

#include "protocol/capture_ring.hpp"

namespace proxy::command {
namespace {

namespace pcapng = protocol::pcapng;
using Clock = std::chrono::steady_clock;

constexpr std::size_t piece_size = 256 << 10;
/// How often a file that grows is looked at.
constexpr int interval_ms = 250;
/// After which a session that was closed waits no more for its last event.
constexpr auto quiet_after = std::chrono::seconds(3);

/// It may have been removed since its name was known, as rings do with their oldest.
struct CannotOpen : std::runtime_error {
    using std::runtime_error::runtime_error;
};

volatile std::sig_atomic_t signal_came = 0;

class Descriptor {
   public:
    explicit Descriptor(const std::string& path)
        : fd_(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (fd_ < 0 && errno == ENOENT) throw CannotOpen("cannot read " + path + ": " + std::strerror(ENOENT));
        if (fd_ < 0) fail(path);
        struct stat status {};
        if (::fstat(fd_, &status) != 0) fail(path);
        if (S_ISDIR(status.st_mode)) {
            errno = EISDIR;
            fail(path);
        }
        is_file_ = S_ISREG(status.st_mode);
        which_ = {status.st_dev, status.st_ino};
    }
    ~Descriptor() {
        if (fd_ > STDIN_FILENO) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[noreturn]] static void fail(const std::string& path) {
        throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
    }
    bool is_file() const noexcept { return is_file_; }
    /// Device and inode.
    std::pair<std::uint64_t, std::uint64_t> which() const noexcept { return which_; }
    /// Waits for it at most so long where it is no file.
    bool readable_within(int milliseconds) const {
        pollfd waits{.fd = fd_, .events = POLLIN, .revents = 0};
        return ::poll(&waits, 1, milliseconds) > 0;
    }
    /// 0: the end, or a signal.
    std::size_t read(std::span<std::uint8_t> into, const std::string& path) {
        const ssize_t size = ::read(fd_, into.data(), into.size());
        if (size >= 0) return static_cast<std::size_t>(size);
        if (errno == EINTR) return 0;
        fail(path);
    }

   private:
    int fd_;
    bool is_file_ = false;
    std::pair<std::uint64_t, std::uint64_t> which_{};
};

protocol::DatedFile dated_file(const std::string& path) {
    protocol::DatedFile dated{.path = path};
    std::error_code none;
    const bool is_pipe = path == "-" || std::filesystem::is_fifo(path, none);  // to be opened once
    if (is_pipe) return dated;
    Descriptor file(path);
    if (!file.is_file()) return dated;
    dated.file = file.which();
    protocol::FirstPacket first;
    std::vector<std::uint8_t> buffer(piece_size);
    for (bool more = true; more;) {
        const std::size_t size = file.read(buffer, path);
        more = size > 0 && first.look_at(protocol::Bytes(buffer).first(size));
    }
    if (!first.error().empty()) throw std::runtime_error(path + ": " + first.error());
    dated.time = first.time();
    return dated;
}

std::vector<std::string> in_order(const std::vector<std::string>& files) {
    std::vector<protocol::DatedFile> dated;
    for (const std::string& path : files) {
        try {
            dated.push_back(dated_file(path));
        } catch (const CannotOpen&) {
            if (files.size() == 1) throw;
            dated.push_back({.path = path});
        }
    }
    return protocol::in_reading_order(dated);
}

/// The one that the ring goes on with; empty: it is not there.
std::string next_of_ring(const std::string& path) {
    const auto ring = protocol::ring_file(path);
    if (!ring) return {};
    std::string next = ring->path(ring->number + 1);
    std::error_code none;
    return std::filesystem::exists(next, none) ? next : std::string();
}

/// Of each ring the last one that was given, where another one is beside it.
void tell_ring_goes_on(const std::vector<std::string>& files, transcript::Reading& reading) {
    std::map<std::string, std::uint64_t> last;
    for (const std::string& path : files) {
        const auto ring = protocol::ring_file(path);
        if (ring) last[ring->before] = std::max(last[ring->before], ring->number);
    }
    for (const auto& [before, number] : last) {
        const protocol::RingFile ring{.before = before, .number = number};
        const std::string next = next_of_ring(ring.path(number));
        if (!next.empty()) reading.ring_goes_on(next);
    }
}

class Follower {
   public:
    Follower(CaptureSource& source, transcript::Reading& reading) : source_(source), reading_(reading) {}

    /// False: it cannot be read to its end.
    bool file(const std::string& path, bool may_grow);

   private:
    bool wait(const Descriptor& file, const std::string& path);

    CaptureSource& source_;
    transcript::Reading& reading_;
    bool caught_up_ = false;
    bool next_was_there_ = false;
    Clock::time_point quiet_since_ = Clock::now();
    std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(piece_size);
};

/// For more. False: there will be none.
bool Follower::wait(const Descriptor& file, const std::string& path) {
    if (!caught_up_) source_.caught_up();
    caught_up_ = true;
    if (file.is_file()) {
        // What was written before the next one was begun is read first.
        const bool next_is_there = !next_of_ring(path).empty();
        if (next_is_there && next_was_there_) return false;
        next_was_there_ = next_is_there;
        if (!next_is_there) ::poll(nullptr, 0, interval_ms);
    }
    if (Clock::now() - quiet_since_ > quiet_after) reading_.quiet();
    return !interrupted();
}

bool Follower::file(const std::string& path, bool may_grow) {
    Descriptor file(path);
    reading_.begin_file(path);
    pcapng::BlockReader reader;
    std::uint64_t total = 0;
    next_was_there_ = false;
    while (!interrupted() && reader.error().empty()) {
        if (may_grow && !file.is_file() && !file.readable_within(interval_ms)) {
            if (!wait(file, path)) break;
            continue;
        }
        const std::size_t size = file.read(buffer_, path);
        if (size == 0 && (!may_grow || !file.is_file() || !wait(file, path))) break;
        if (size > 0) quiet_since_ = Clock::now();
        if (size > 0) next_was_there_ = false;
        total += size;
        protocol::Bytes bytes = protocol::Bytes(buffer_).first(size);
        while (const auto block = reader.next(bytes)) reading_.block(*block);
    }
    if (total == 0) reading_.file_lacks("is empty");
    if (interrupted() && !may_grow) reading_.file_lacks("was not read to its end: interrupted");
    reading_.end_file(reader);
    return reader.error().empty();
}

}  // namespace

void catch_interrupt() {
    struct sigaction action {};
    action.sa_handler = [](int) { signal_came = 1; };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() noexcept { return signal_came != 0; }

bool read_captures(CaptureSource source, transcript::Reading& reading) {
    const std::vector<std::string> files = in_order(source.files);
    Follower follower(source, reading);
    bool whole = true;
    for (std::size_t i = 0; i < files.size() && !interrupted(); ++i) {
        const bool last = i + 1 == files.size();
        try {
            whole = follower.file(files[i], source.follow && last) && whole;
        } catch (const CannotOpen&) {
            if (files.size() == 1) throw;
            reading.cannot_open(files[i], std::strerror(ENOENT));
            whole = false;
        }
        if (!last || !source.follow) continue;
        for (std::string next = next_of_ring(files[i]); !next.empty() && !interrupted(); next = next_of_ring(next))
            whole = follower.file(next, true) && whole;
    }
    if (!source.follow) tell_ring_goes_on(files, reading);
    reading.end();
    return whole;
}

}  // namespace proxy::command
