// Small queries as fast as they are answered, by one client or many; and by one while many others
// are idle.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "bench/relay/scenario.hpp"
#include "bench/relay/sessions.hpp"
#include "bench/relay/spent.hpp"
#include "bench/target/histogram.hpp"
#include "bench/target/interrupt.hpp"
#include "bench/target/schedule.hpp"

namespace bench {
namespace {

/// Caches, branch predictors and TCP windows find their ways before anything is counted.
constexpr std::chrono::milliseconds warm_up{300};
/// New connections that are made at a time: with more of them due, the rate is not reached, and
/// said so.
constexpr std::size_t connecting_at_a_time = 64;
/// Of one that waits until its connection is due, for an interrupt: rare enough not to disturb what
/// is measured.
constexpr std::chrono::milliseconds longest_wait_for_due{500};
/// How often the first answer is looked for, once the time is over.
constexpr std::chrono::milliseconds look_for_answer{5};

/// Counted is what begins and ends within. It is closed when its time is over and there was an
/// answer: a slow server, or a busy machine, is measured by fewer of them, but not by none.
class Window {
   public:
    explicit Window(Duration length) : begin_(Clock::now() + warm_up), due_(begin_ + length) {}

    Clock::time_point begin() const noexcept { return begin_; }
    /// When its time is over.
    Clock::time_point due() const noexcept { return due_; }
    /// When it was closed; far away until then.
    Clock::time_point end() const noexcept { return end_; }
    bool holds(Clock::time_point from, Clock::time_point to) const noexcept { return from >= begin_ && to < end(); }
    void close() noexcept { end_ = Clock::now(); }

    bool has_answer() const noexcept { return has_answer_.load(std::memory_order_relaxed); }
    void note_answer() noexcept {
        if (!has_answer()) has_answer_.store(true, std::memory_order_relaxed);
    }

   private:
    Clock::time_point begin_;
    Clock::time_point due_;
    std::atomic<Clock::time_point> end_ = Clock::time_point::max();
    std::atomic<bool> has_answer_ = false;
};

tls::Awaitable<> ping_until_end(Session& session, Window& window, Histogram& latencies) {
    for (auto from = Clock::now(); from < window.end();) {
        co_await session.ping();
        const auto now = Clock::now();
        if (window.holds(from, now)) {
            latencies.record(now - from);
            window.note_answer();
        }
        from = now;
    }
}

double microseconds(Duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

std::string seconds_text(Duration duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    const std::string text = std::to_string(seconds);
    return text.substr(0, seconds == std::floor(seconds) ? text.find('.') : text.find('.') + 2) + " s";
}

/// Not while there is nothing to wait for any more: after an interrupt, or when something failed.
void sleep_until(Clock::time_point when, const Generator& generator) {
    for (auto now = Clock::now(); now < when && !interrupted() && !generator.has_ended(); now = Clock::now()) {
        std::this_thread::sleep_until(std::min<Clock::time_point>(when, now + longest_sleep));
    }
}

/// Sleeps until the window is to be closed, which an interrupt does early, while the threads work,
/// and waits for them. They refer to the caller's variables: whatever fails here, they have to end
/// first.
Spent watch(Generator& generator, const Subject& subject, Window& window) {
    Spent spent;
    std::exception_ptr failure;
    try {
        sleep_until(window.begin(), generator);
        const SpentMeter meter(subject);
        sleep_until(window.due(), generator);
        for (const auto limit = window.due() + patience; !window.has_answer() && Clock::now() < limit;) {
            if (interrupted() || generator.has_ended()) break;
            std::this_thread::sleep_for(look_for_answer);
        }
        window.close();
        spent = meter.spent();
    } catch (const std::exception&) {
        failure = std::current_exception();
        window.close();
    }
    generator.join(patience);
    if (failure) std::rethrow_exception(failure);
    return spent;
}

[[noreturn]] void fail_without_answers(const Window& window) {
    if (interrupted()) throw Interrupted();
    throw std::runtime_error("not one answer within " + seconds_text(window.end() - window.begin()));
}

/// One connection of those that are made at a fixed rate: login, query, close.
tls::Awaitable<> visit(const Route& route) {
    const std::unique_ptr<Session> session = co_await Session::open(route);
    co_await session->ping();
    session->close();
}

/// Connections that are made at a fixed rate within a window.
struct Visits {
    const Route& route;
    const Window& window;
    double rate;  ///< per second
    std::atomic<unsigned> made = 0;
};

/// Those with the numbers `lane`, `lane` + connecting_at_a_time, ... of them.
tls::Awaitable<> visit_at_rate(Visits& visits, std::size_t lane) {
    const Window& window = visits.window;
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer timer(executor);
    for (std::size_t number = lane;; number += connecting_at_a_time) {
        const auto due = window.begin() + std::chrono::duration_cast<Duration>(
                                              std::chrono::duration<double>(static_cast<double>(number) / visits.rate));
        for (auto now = Clock::now(); now < due && now < window.end(); now = Clock::now()) {
            timer.expires_at(std::min<Clock::time_point>(due, now + longest_wait_for_due));
            co_await timer.async_wait(tls::returning());
        }
        const auto begun = Clock::now();
        if (begun >= window.end()) co_return;
        co_await visit(visits.route);
        if (window.holds(begun, Clock::now())) ++visits.made;
    }
}

}  // namespace

Scenario ping_scenario(const ScenarioOptions& options, unsigned clients, unsigned idle) {
    const auto measure = [clients, idle, duration = options.duration](Generator& generator,
                                                                      Subject& subject) -> Figures {
        Sessions beside(generator, subject.route, idle);
        if (idle > 0) wait_until_quiet(subject);
        Sessions sessions(generator, subject.route, clients);
        std::vector<Histogram> latencies(clients);
        Window window(duration);
        for (std::size_t i = 0; i < clients; ++i) {
            generator.spawn(sessions.thread_of(i), ping_until_end(sessions.at(i), window, latencies[i]));
        }
        const Spent spent = watch(generator, subject, window);
        sessions.close();
        beside.close();
        if (idle > 0) wait_until_quiet(subject);
        Histogram all;
        for (const Histogram& one : latencies) all.add(one);
        if (all.count() == 0) fail_without_answers(window);
        const auto trips = static_cast<double>(all.count());
        const auto cost = spent.process_cpu ? std::optional(*spent.process_cpu / trips * 1e6) : std::nullopt;
        return {trips / spent.seconds,
                microseconds(all.percentile(50)),
                microseconds(all.percentile(99)),
                cost,
                spent.process_cores(),
                spent.busiest_thread_share,
                spent.own_cores()};
    };
    return {.workload = "ping",
            .title = "ping, " + std::to_string(clients) + (clients == 1 ? " client" : " clients") +
                     (idle > 0 ? " beside " + std::to_string(idle) + " idle, " : ", ") + seconds_text(options.duration),
            .clients = clients,
            .idle = idle,
            .metrics = {{.key = "round_trips_per_second", .name = "round trips/s", .digits = 0},
                        {.key = "latency_p50_us", .name = "latency p50, µs", .digits = 1},
                        {.key = "latency_p99_us", .name = "latency p99, µs", .digits = 1},
                        {.key = "cpu_us_per_round_trip", .name = "CPU µs/round trip", .digits = 2},
                        process_cores_metric(),
                        busiest_thread_metric(),
                        own_cores_metric()},
            .measure = measure};
}

Scenario busy_among_idle_scenario(const ScenarioOptions& options) {
    const auto measure = [options](Generator& generator, Subject& subject) -> Figures {
        // The busy session has thread 0 for itself, if there are several: its latency is not to be
        // that of our own handshakes.
        const std::size_t others = generator.threads() > 1 ? generator.threads() - 1 : 1;
        Sessions idle(generator, subject.route, options.idle, 1);
        Sessions busy(generator, subject.route, 1, 0);
        Histogram latencies;
        Window window(options.duration);
        Visits visits{.route = subject.route, .window = window, .rate = options.connect_rate};
        generator.spawn(0, ping_until_end(busy.at(0), window, latencies));
        for (std::size_t lane = 0; lane < connecting_at_a_time && options.connect_rate > 0; ++lane) {
            generator.spawn(generator.threads() - 1 - lane % others, visit_at_rate(visits, lane));
        }
        const Spent spent = watch(generator, subject, window);
        busy.close();
        idle.close();
        if (latencies.count() == 0) fail_without_answers(window);
        return {static_cast<double>(latencies.count()) / spent.seconds,
                microseconds(latencies.percentile(50)),
                microseconds(latencies.percentile(99)),
                microseconds(latencies.max()),
                visits.made / spent.seconds,
                spent.process_cores(),
                spent.busiest_thread_share,
                spent.own_cores()};
    };
    const std::string rate = std::to_string(static_cast<unsigned>(std::lround(options.connect_rate)));
    return {
        .workload = "busy-among-idle",
        .title = "busy-among-idle, 1 client among " + std::to_string(options.idle) + " idle, " + rate +
                 " new connections/s, " + seconds_text(options.duration),
        .clients = 1,
        .idle = options.idle,
        .metrics = {{.key = "round_trips_per_second", .name = "round trips/s", .digits = 0},
                    {.key = "latency_p50_us", .name = "latency p50, µs", .digits = 1},
                    {.key = "latency_p99_us", .name = "latency p99, µs", .digits = 1},
                    {.key = "latency_max_us", .name = "latency max, µs", .digits = 1},
                    {.key = "new_connections_per_second", .name = "new connections/s", .digits = 1, .compared = false},
                    process_cores_metric(),
                    busiest_thread_metric(),
                    own_cores_metric()},
        .measure = measure,
        .passing = options.connect_rate > 0 ? unsigned{connecting_at_a_time} : 0};
}

}  // namespace bench
