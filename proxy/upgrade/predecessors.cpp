#include "proxy/upgrade/predecessors.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "tls/owned_descriptor.hpp"
#include "tls/stream.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// For all of them together: the server of a session may take its connect_timeout.
constexpr auto cancel_timeout = 10s;
constexpr auto counts_patience = 1s;
/// Of a frame that has begun, or of one that is none.
constexpr std::size_t max_buffered = 64 * 1024 * 1024;
/// Between two attempts to follow one that has closed the connection, or has no room for it.
constexpr auto follow_interval = 200ms;

struct Contact {
    tls::OwnedDescriptor connection{};  ///< none: not now
    bool is_gone = false;               ///< nobody listens there, and nobody will
};

/// Only the kernel knows whether a process that says nothing has ended: it takes connections for
/// one that stands still, and refuses them for one that is no more.
Contact connect_to(const std::string& path) noexcept {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) return {.is_gone = true};
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    tls::OwnedDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return {};
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
        return {.is_gone = errno == ECONNREFUSED || errno == ENOENT || errno == ENOTDIR};
    return {.connection = std::move(fd)};
}

bool say(int fd, std::string_view text) noexcept {
    return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

protocol::Bytes wire_bytes(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

tls::Awaitable<std::optional<CancelOutcome>> ask(std::string path, std::string question, Clock::time_point until) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    try {
        const Contact contact = connect_to(path);
        const int fd = contact.connection ? ::fcntl(contact.connection.get(), F_DUPFD_CLOEXEC, 0) : -1;
        if (fd < 0) co_return std::nullopt;
        tls::Socket socket(executor);
        socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd);
        tls::Stream stream(std::move(socket), tls::Leg::server);
        stream.set_deadline(until, tls::Deadline::answer);
        co_await stream.write(wire_bytes(question));
        std::string line;
        for (;;) {
            std::array<std::uint8_t, 512> some{};
            const std::size_t n = co_await stream.read_some(some);
            if (n == 0) co_return std::nullopt;
            line.append(reinterpret_cast<const char*>(some.data()), n);
            if (line.back() == '\n') break;
        }
        line.pop_back();
        co_return parse_outcome(line);
    } catch (const std::exception&) {
        co_return std::nullopt;  // it has just ended, say
    }
}

}  // namespace

class Predecessors::Work {
   public:
    Work(const std::string& state_dir, const std::vector<pid_t>& pids, Changed changed)
        : changed_(std::move(changed)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        for (const pid_t pid : pids) {
            One one{.pid = pid, .path = private_path(state_dir, pid)};
            one.alive = follow(one);
            if (!one.alive) spdlog::warn("upgrade: process {}, whose place is taken, has ended", pid);
            all_.push_back(std::move(one));
        }
    }

    void run() noexcept {
        while (follow_some()) {
        }
    }

    void end() noexcept {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        const std::uint64_t one = 1;
        const ssize_t written = ::write(wake_.get(), &one, sizeof one);
        static_cast<void>(written);
    }

    std::vector<std::pair<pid_t, std::string>> alive() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::pair<pid_t, std::string>> alive;
        for (const One& one : all_) {
            if (one.alive) alive.emplace_back(one.pid, one.path);
        }
        return alive;
    }

    std::vector<std::pair<pid_t, unsigned>> sessions() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::pair<pid_t, unsigned>> sessions;
        for (const One& one : all_) {
            if (one.alive) sessions.emplace_back(one.pid, one.counts.served);
        }
        return sessions;
    }

    CarriedMetrics metrics() const {
        const std::lock_guard lock(mutex_);
        CarriedMetrics sum;
        for (const auto& [run, text] : metrics_) sum.add(text, is_alive(run));
        return sum;
    }

    CountedByRun counted_by_ended() const {
        const std::lock_guard lock(mutex_);
        CountedByRun ended;
        for (const auto& [run, text] : metrics_) {
            if (!is_alive(run)) ended.emplace_back(run, text);
        }
        return ended;
    }

    void wait_for_counts() const {
        std::unique_lock lock(mutex_);
        told_.wait_for(lock, counts_patience, [this] {
            return std::all_of(all_.begin(), all_.end(), [](const One& one) { return !one.alive || one.told; });
        });
    }

   private:
    struct One {
        pid_t pid = 0;
        std::string path;
        tls::OwnedDescriptor connection{};  ///< none: it is tried again
        Clock::time_point next_attempt{};
        bool alive = false;
        bool told = false;
        std::string received{};
        Elsewhere counts{};
        std::string run{};  ///< its own: the first that it tells of
    };

    bool is_alive(const std::string& run) const {
        return std::any_of(all_.begin(), all_.end(), [&](const One& one) { return one.alive && one.run == run; });
    }

    /// False: it has ended. One that stands still, or has no room, is followed later.
    static bool follow(One& one) {
        one.received.clear();
        one.next_attempt = Clock::now() + follow_interval;
        Contact contact = connect_to(one.path);
        if (contact.connection && say(contact.connection.get(), "follow\n"))
            one.connection = std::move(contact.connection);
        return !contact.is_gone;
    }

    /// False: there is nothing more to follow.
    bool follow_some() {
        std::vector<pollfd> waiting{{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
        std::vector<std::size_t> whose;
        auto until = Clock::time_point::max();
        bool is_any_alive = false;
        {
            const std::lock_guard lock(mutex_);
            if (ended_) return false;
            for (std::size_t i = 0; i < all_.size(); ++i) {
                if (!all_[i].alive) continue;
                is_any_alive = true;
                if (!all_[i].connection) {
                    until = std::min(until, all_[i].next_attempt);
                    continue;
                }
                waiting.push_back({.fd = all_[i].connection.get(), .events = POLLIN, .revents = 0});
                whose.push_back(i);
            }
        }
        if (!is_any_alive) return false;
        if (::poll(waiting.data(), waiting.size(), milliseconds_until(until)) < 0) return errno == EINTR;
        bool changed = false;
        for (std::size_t i = 0; i < whose.size(); ++i) {
            if (waiting[i + 1].revents != 0) changed = receive(all_[whose[i]]) || changed;
        }
        for (One& one : all_) changed = follow_again(one) || changed;
        if (changed) tell();
        return true;
    }

    static int milliseconds_until(Clock::time_point until) {
        if (until == Clock::time_point::max()) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        return static_cast<int>(std::max<decltype(left)>(left, 0));
    }

    /// Whether its counts have changed. That it has closed the connection is no end: where we stood
    /// still, or it did, it goes on.
    bool receive(One& one) {
        std::array<char, 64 * 1024> some{};
        const ssize_t n = ::recv(one.connection.get(), some.data(), some.size(), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        const std::lock_guard lock(mutex_);
        if (n > 0) one.received.append(some.data(), static_cast<std::size_t>(n));
        const bool broken = one.received.size() > max_buffered;
        const bool changed = take_frames(one);
        if (n <= 0 || broken || one.received.size() > max_buffered) one.connection.close();
        return changed;
    }

    /// As receive().
    bool follow_again(One& one) {
        const std::lock_guard lock(mutex_);
        if (!one.alive || one.connection || Clock::now() < one.next_attempt || follow(one)) return false;
        spdlog::info("upgrade: process {} has ended its sessions", one.pid);
        one.alive = false;
        one.counts = {};
        told_.notify_all();
        return true;
    }

    bool take_frames(One& one) {
        bool changed = false;
        for (;;) {
            const std::size_t line = one.received.find('\n');
            if (line == std::string::npos) return changed;
            const auto header = parse_frame_header(std::string_view(one.received).substr(0, line));
            if (!header) {
                one.received.assign(max_buffered + 1, ' ');  // no process of ours
                return changed;
            }
            if (one.received.size() - line - 1 < header->size) return changed;
            const std::string body = one.received.substr(line + 1, header->size);
            if (header->kind == "counts") {
                if (auto counts = parse_elsewhere(body)) one.counts = std::move(*counts);
                one.told = changed = true;
                told_.notify_all();
            } else if (header->kind == "metrics" && !header->run.empty()) {
                if (one.run.empty()) one.run = header->run;
                metrics_[std::string(header->run)] = body;
            }
            one.received.erase(0, line + 1 + header->size);
        }
    }

    void tell() {
        const std::lock_guard lock(mutex_);
        if (ended_) return;
        Elsewhere sum;
        for (const One& one : all_) {
            sum.served += one.counts.served;
            for (const auto& [address, count] : one.counts.per_address) sum.per_address[address] += count;
            for (const auto& [key, count] : one.counts.logins) sum.logins[key] += count;
        }
        changed_(std::move(sum));
    }

    const Changed changed_;
    const tls::OwnedDescriptor wake_;
    mutable std::mutex mutex_;
    mutable std::condition_variable told_;
    std::vector<One> all_;  // as many as in the beginning; which connection each has is the thread's
    std::map<std::string, std::string> metrics_;  // by run
    bool ended_ = false;
};

Predecessors::Predecessors(const std::string& state_dir, const std::vector<pid_t>& pids, Changed changed)
    : work_(std::make_shared<Work>(state_dir, pids, std::move(changed))) {
    thread_.emplace([work = work_] { work->run(); });
}

std::vector<pid_t> Predecessors::alive() const {
    std::vector<pid_t> pids;
    for (const auto& [pid, path] : work_->alive()) pids.push_back(pid);
    return pids;
}

tls::Awaitable<CancelOutcome> Predecessors::cancel(CancelQuestion question) {
    auto alive = work_->alive();
    std::reverse(alive.begin(), alive.end());
    const std::string text = to_text(question);
    const auto until = Clock::now() + cancel_timeout;
    for (const auto& [pid, path] : alive) {
        std::optional<CancelOutcome> outcome = co_await ask(path, text, until);
        if (outcome && outcome->matched) co_return std::move(*outcome);
    }
    co_return CancelOutcome{};
}

std::vector<std::pair<pid_t, unsigned>> Predecessors::sessions() const { return work_->sessions(); }

CarriedMetrics Predecessors::metrics() const { return work_->metrics(); }

CountedByRun Predecessors::counted_by_ended() const { return work_->counted_by_ended(); }

void Predecessors::order(const std::string& what) const noexcept {
    try {
        for (const auto& [pid, path] : work_->alive()) {
            const Contact contact = connect_to(path);
            if (contact.is_gone) continue;
            if (!contact.connection || !say(contact.connection.get(), what + "\n"))
                spdlog::warn("upgrade: process {} is not told to {}", pid, what);
        }
    } catch (const std::exception& error) {
        spdlog::error("upgrade: {}", error.what());
    }
}

void Predecessors::wait_for_counts() const { work_->wait_for_counts(); }

void Predecessors::end() noexcept {
    work_->end();
    if (thread_) thread_->end_within(1s);
    thread_.reset();
}

}  // namespace proxy
