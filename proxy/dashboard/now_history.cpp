#include "proxy/dashboard/now_history.hpp"

#include <cmath>
#include <numeric>

namespace proxy::dashboard {
namespace {

namespace json = boost::json;
using Listener = NowSample::Listener;

/// Null: no time has passed.
json::value rate(std::uint64_t before, std::uint64_t after, std::chrono::steady_clock::duration took) {
    const double seconds = std::chrono::duration<double>(took).count();
    if (seconds <= 0) return nullptr;
    const double change = after > before ? static_cast<double>(after - before) : 0;
    return std::round(change / seconds * 100) / 100;
}

Listener of(const NowSample& sample, const std::string& name) {
    const auto found = sample.listeners.find(name);
    return found == sample.listeners.end() ? Listener{} : found->second;
}

Listener all(const NowSample& sample) {
    Listener sum;
    for (const auto& [name, one] : sample.listeners) {
        sum.open += one.open;
        sum.logins += one.logins;
        sum.failures += one.failures;
    }
    return sum;
}

/// What so many of them took at most, in milliseconds. Null: nobody knows, for it is beyond the
/// last bound.
json::value at_most(const std::array<std::uint64_t, Histogram::buckets>& counts, std::uint64_t total, double part) {
    const auto rank = static_cast<std::uint64_t>(std::ceil(static_cast<double>(total) * part));
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
        passed += counts[i];
        if (passed >= rank) return Histogram::bounds[i] * 1000;
    }
    return nullptr;
}

json::object latencies(const NowSample& before, const NowSample& after) {
    std::array<std::uint64_t, Histogram::buckets> counts{};
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = after.logins_by_time[i] - before.logins_by_time[i];
    const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    const auto quantile = [&](double part) { return total == 0 ? json::value(nullptr) : at_most(counts, total, part); };
    return {{"p50", quantile(0.5)}, {"p95", quantile(0.95)}, {"p99", quantile(0.99)}, {"of", total}};
}

constexpr std::size_t index(SessionMode mode) { return static_cast<std::size_t>(mode); }

}  // namespace

const NowSample& NowHistory::since(std::chrono::steady_clock::duration window) const {
    for (const NowSample& sample : samples_) {
        if (samples_.back().at - sample.at <= window) return sample;
    }
    return samples_.back();
}

void NowHistory::add(NowSample sample) {
    Point point{.time = sample.time,
                .sessions = sample.sessions.total(),
                .plain = sample.sessions.by_mode[index(SessionMode::plain)],
                .logins_per_s = {},
                .failures_per_s = {}};
    if (!samples_.empty()) {
        const NowSample& before = samples_.back();
        point.logins_per_s = rate(all(before).logins, all(sample).logins, sample.at - before.at);
        point.failures_per_s = rate(all(before).failures, all(sample).failures, sample.at - before.at);
    }
    points_.push_back(std::move(point));
    if (points_.size() > max_points) points_.pop_front();
    samples_.push_back(std::move(sample));
    while (samples_.back().at - samples_.front().at > latency_window) samples_.pop_front();
}

json::object NowHistory::now(bool whole) const {
    if (samples_.empty()) return {};
    const NowSample& last = samples_.back();
    const NowSample& before = since(rate_window);
    const auto took = last.at - before.at;
    const auto& modes = last.sessions.by_mode;
    json::array by_listener;
    for (const auto& [listener, now] : last.listeners) {
        const Listener then = of(before, listener);
        by_listener.push_back({{"listener", listener},
                               {"sessions", now.open},
                               {"logins_per_s", rate(then.logins, now.logins, took)},
                               {"failures_per_s", rate(then.failures, now.failures, took)},
                               {"bytes_from_client_per_s", rate(then.from_client, now.from_client, took)},
                               {"bytes_from_server_per_s", rate(then.from_server, now.from_server, took)}});
    }
    json::array history;
    for (std::size_t i = whole ? 0 : points_.size() - 1; i < points_.size(); ++i) {
        const Point& point = points_[i];
        history.push_back({{"t", time(point.time)},
                           {"sessions", point.sessions},
                           {"plain", point.plain},
                           {"logins_per_s", point.logins_per_s},
                           {"failures_per_s", point.failures_per_s}});
    }
    return {{"sessions",
             {{"total", last.sessions.total()},
              {"plain", modes[index(SessionMode::plain)]},
              {"tls_not_verifying", modes[index(SessionMode::tls_not_verifying)]},
              {"verifying", modes[index(SessionMode::verifying)]},
              {"unknown", modes[index(SessionMode::unknown)]}}},
            {"by_listener", std::move(by_listener)},
            {"logins_per_s", rate(all(before).logins, all(last).logins, took)},
            {"failures_per_s", rate(all(before).failures, all(last).failures, took)},
            {"login_ms", latencies(since(latency_window), last)},
            {"history", std::move(history)}};
}

}  // namespace proxy::dashboard
