#include "proxy/alert/alert_sender.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>

#include "proxy/alert/alert_backlog.hpp"
#include "proxy/alert/alert_delivery.hpp"
#include "proxy/alert/alert_groups.hpp"
#include "proxy/observation/random_name.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = AlertGroups::Clock;

/// How often a group that grows is written down.
constexpr auto keep_interval = 1s;
constexpr auto first_pause = 1s;
constexpr auto longest_pause = std::chrono::duration_cast<Clock::duration>(5min);
/// Without memory, others may give some back meanwhile.
constexpr auto rest = 100ms;

std::function<std::string()> ids(std::string prefix) {
    return [prefix = std::move(prefix), next = std::uint64_t{1}]() mutable {
        char number[24];
        std::snprintf(number, sizeof number, "%06llu", static_cast<unsigned long long>(next++));
        return prefix + number;
    };
}

}  // namespace

/// What the thread works with.
class AlertSender::Work {
   public:
    explicit Work(Settings settings)
        : settings_(std::move(settings)), backlog_(settings_.name, settings_.folder, prefix_) {}

    /// The thread: until it is closed, and what is left is kept.
    void run();
    void use(std::shared_ptr<const AlertRoute> route);
    void notice(const Event& event);
    /// There was no memory for something that happened.
    void count_lost() noexcept { ++dropped_; }
    void close();
    AlertNumbers numbers() const noexcept {
        return {.sent = sent_, .failed = failed_, .dropped = dropped_, .waiting = waiting_};
    }

   private:
    void load();
    void count_waiting() noexcept { waiting_ = backlog_.size(); }
    bool work();
    std::shared_ptr<const AlertRoute> wait();
    void take(bool all);
    void send_one(const AlertRoute& route, Clock::time_point deadline);
    void judge(const AttemptResult& result, const std::string& to);
    void pause(const AttemptResult& result);
    void forget_first();
    void drop_old();

    const Settings settings_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::shared_ptr<const AlertRoute> route_;
    bool fresh_route_ = false;  // what failed before may work with it
    bool closed_ = false;
    const std::string prefix_ = random_name() + "-";  // receivers know by it what they have had before a restart
    AlertGroups groups_{ids(prefix_)};                // with the mutex
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> sent_{0}, failed_{0}, dropped_{0}, waiting_{0};

    // The thread's.
    AlertBacklog backlog_;
    std::vector<AlertMessage> ready_;  // on their way there
    Clock::time_point next_keep_{};
    Clock::time_point next_attempt_{};
    Clock::duration pause_ = first_pause;
    std::string failing_;  // why, as it was told last; empty: it goes well
};

AlertSender::AlertSender(Settings settings)
    : work_(std::make_shared<Work>(std::move(settings))), thread_([work = work_] { work->run(); }) {}

AlertSender::~AlertSender() { close(); }

void AlertSender::use(std::shared_ptr<const AlertRoute> route) { work_->use(std::move(route)); }
AlertNumbers AlertSender::numbers() const noexcept { return work_->numbers(); }
void AlertSender::close() { work_->close(); }

void AlertSender::notice(const Event& event) noexcept {
    try {
        work_->notice(event);
    } catch (const std::exception&) {
        work_->count_lost();  // no more could be said; the audit has it
    }
}

void AlertSender::Work::use(std::shared_ptr<const AlertRoute> route) {
    {
        const std::lock_guard lock(mutex_);
        route_ = std::move(route);
        fresh_route_ = true;
    }
    wake_.notify_one();
}

void AlertSender::Work::notice(const Event& event) {
    bool wakes = false;
    {
        const std::lock_guard lock(mutex_);
        wakes = route_ && !closed_ && groups_.notice(event, route_->settings, settings_.proxy, Clock::now());
    }
    if (wakes) wake_.notify_one();
}

void AlertSender::Work::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    stop_ = true;
    wake_.notify_one();
}

void AlertSender::Work::run() {
    for (bool closed = false; !closed;) {
        try {
            closed = work();
        } catch (const std::exception& error) {
            spdlog::error("alert \"{}\": {}", settings_.name, error.what());
            std::this_thread::sleep_for(rest);
        }
    }
}

void AlertSender::Work::load() {
    dropped_ += backlog_.load();
    count_waiting();
}

/// True: that was the last.
bool AlertSender::Work::work() {
    const std::shared_ptr<const AlertRoute> route = wait();
    bool closed = false;
    {
        const std::lock_guard lock(mutex_);
        closed = closed_;
    }
    take(closed);
    drop_old();
    if (route && !closed && Clock::now() >= backlog_.next_load()) load();
    if (!closed) {
        if (route && !backlog_.empty() && Clock::now() >= next_attempt_) send_one(*route, Clock::time_point::max());
        return false;
    }
    // The last words, such as that we are stopping. Whoever did not listen before is not told.
    stop_ = false;
    const auto deadline = Clock::now() + farewell;
    while (route && !backlog_.empty() && failing_.empty() && Clock::now() < deadline) send_one(*route, deadline);
    return true;
}

std::shared_ptr<const AlertRoute> AlertSender::Work::wait() {
    std::unique_lock lock(mutex_);
    const auto due = [&] {
        auto first = Clock::time_point::max();
        if (backlog_.room() > 0) first = groups_.due();
        if (groups_.has_changed()) first = std::min(first, next_keep_);
        if (route_ && !backlog_.empty()) first = std::min(first, next_attempt_);
        if (route_) first = std::min(first, backlog_.next_load());
        if (!ready_.empty()) first = {};
        return first;
    };
    while (!closed_ && !fresh_route_) {
        const auto first = due();
        if (first <= Clock::now()) break;
        if (first == Clock::time_point::max()) {
            wake_.wait(lock);
        } else {
            wake_.wait_until(lock, first);
        }
    }
    if (std::exchange(fresh_route_, false)) next_attempt_ = {};
    return route_;
}

/// Where the disk is full of them, what happens next stays together until there is room: counted,
/// and not lost.
void AlertSender::Work::take(bool all) {
    AlertGroups::Taken taken;
    if (ready_.empty()) {
        const std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        if (!all && groups_.due() > now && (!groups_.has_changed() || now < next_keep_)) return;
        taken = groups_.take(now, backlog_.room(), all);
        ready_ = std::move(taken.ready);
        next_keep_ = now + keep_interval;
    }
    for (const std::string& id : taken.withdrawn) backlog_.forget(id);
    for (const AlertMessage& message : taken.changed) backlog_.keep(message);
    for (; !ready_.empty(); ready_.erase(ready_.begin())) {
        backlog_.keep(ready_.front());
        backlog_.push(std::move(ready_.front()));
    }
    count_waiting();
}

void AlertSender::Work::send_one(const AlertRoute& route, Clock::time_point deadline) {
    const AttemptResult result = deliver(backlog_.front(), route, settings_.proxy, deadline, stop_);
    if (stop_ && result.end != AttemptResult::End::sent) return;  // cut off, which is no failure of its own
    judge(result, route.shown());
}

void AlertSender::Work::judge(const AttemptResult& result, const std::string& to) {
    switch (result.end) {
        case AttemptResult::End::sent:
            ++sent_;
            if (!std::exchange(failing_, {}).empty())
                spdlog::info("alert \"{}\": {} takes messages again", settings_.name, to);
            pause_ = first_pause;
            next_attempt_ = {};
            return forget_first();
        case AttemptResult::End::refused:
            ++failed_;
            ++dropped_;
            spdlog::error("alert \"{}\": {} refuses message {}, which is given up: {}", settings_.name, to,
                          backlog_.front().id, result.what);
            return forget_first();
        case AttemptResult::End::failed: break;
    }
    ++failed_;
    if (failing_ != result.what)
        spdlog::error("alert \"{}\": {} does not take messages: {}; they are kept and sent later", settings_.name, to,
                      result.what);
    failing_ = result.what;
    pause(result);
}

/// Twice as long each time, and never quite the same: many proxies do not come back together.
void AlertSender::Work::pause(const AttemptResult& result) {
    static thread_local std::minstd_rand random(std::random_device{}());
    const auto jitter = std::chrono::duration_cast<Clock::duration>(pause_ * (random() % 50) / 100);
    next_attempt_ = Clock::now() + std::max<Clock::duration>(pause_ + jitter, result.retry_after.value_or(0s));
    pause_ = std::min(pause_ * 2, longest_pause);
}

void AlertSender::Work::forget_first() {
    backlog_.pop_front();
    count_waiting();
}

void AlertSender::Work::drop_old() {
    const std::size_t dropped = backlog_.drop_old();
    if (dropped == 0) return;
    dropped_ += dropped;
    count_waiting();
}

}  // namespace proxy
