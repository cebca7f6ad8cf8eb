#include "bench/connect/measure.hpp"

#include <algorithm>
#include <thread>

#include "bench/target/interrupt.hpp"

namespace bench {
namespace {

tls::Awaitable<> sleep_until(Clock::time_point when) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer timer(executor);
    while (Clock::now() < when && !interrupted()) {
        timer.expires_at(std::min(when, Clock::now() + longest_sleep));
        co_await timer.async_wait(tls::returning());
    }
}

/// From connect to close.
tls::Awaitable<Phases> connect_once(const Route& route, const std::string& query, Clock::time_point due) {
    Client client = co_await Client::open(route, due);
    if (!query.empty()) co_await client.query(query);
    co_await client.close();
    co_return client.phases();
}

/// One client: one connection after the other.
tls::Awaitable<> keep_connecting(const Route& route, const Workload& workload, Schedule& schedule, Measurement& into) {
    while (!interrupted()) {
        const auto due = schedule.next(Clock::now());
        if (!due) co_return;
        co_await sleep_until(*due);
        if (interrupted()) co_return;
        bool failed = false;
        try {
            const Phases phases = co_await connect_once(route, workload.query, *due);
            into.record(phases);
        } catch (const std::exception& error) {
            into.record_failure(error.what());
            failed = true;
        }
        if (failed) co_await sleep_until(Clock::now() + pause_after_failure);
    }
}

/// `clients` of them on this thread.
Measurement run_clients(const Route& route, const Workload& workload, Schedule& schedule, unsigned clients) {
    Measurement measurement;
    asio::io_context io(1);
    for (unsigned i = 0; i < clients; ++i) {
        asio::co_spawn(io, keep_connecting(route, workload, schedule, measurement), asio::detached);
    }
    io.run();
    return measurement;
}

tls::Awaitable<> try_once(const Route& route, const std::string& query, Trial& trial) {
    try {
        Client client = co_await Client::open(route, Clock::now());
        trial.tls = tls_facts(client.stream().ssl());
        if (!query.empty()) co_await client.query(query);
        co_await client.close();
    } catch (const std::exception& error) {
        trial.error = error.what();
    }
}

}  // namespace

Trial try_out(const Route& route, const std::string& query) {
    Trial trial;
    asio::io_context io(1);
    asio::co_spawn(io, try_once(route, query, trial), asio::detached);
    io.run();
    return trial;
}

Measurement measure(const Route& route, const Workload& workload) {
    const unsigned threads = std::min(workload.threads, workload.clients);
    const auto start = Clock::now();
    Schedule schedule(workload.load, start);
    std::vector<Measurement> parts(threads);
    const auto run_part = [&](unsigned i) {
        const unsigned clients = workload.clients / threads + (i < workload.clients % threads ? 1 : 0);
        parts[i] = run_clients(route, workload, schedule, clients);
    };
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back(run_part, i);
    run_part(0);
    others.clear();  // joins
    Measurement whole;
    for (const Measurement& part : parts) whole.add(part);
    whole.elapsed = Clock::now() - start;
    whole.unstarted = schedule.unstarted(Clock::now());
    return whole;
}

}  // namespace bench
