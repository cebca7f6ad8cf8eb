// What happens now, from counters that somebody looks at every two seconds: rates, latencies, and
// the last five minutes. Pure.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/metrics/histogram.hpp"
#include "proxy/session/live_sessions.hpp"

namespace proxy::dashboard {

/// Counters at one moment. None of them falls, but for `sessions` and `open`.
struct NowSample {
    struct Listener {
        std::uint64_t open = 0;
        std::uint64_t logins = 0;
        std::uint64_t failures = 0;                      ///< refused, failed TLS handshakes, failed logins
        std::uint64_t from_client = 0, from_server = 0;  ///< bytes
    };

    SystemTime time;
    std::chrono::steady_clock::time_point at;
    SessionCounts sessions{};
    std::map<std::string, Listener> listeners{};
    std::array<std::uint64_t, Histogram::buckets> logins_by_time{};
};

class NowHistory {
   public:
    static constexpr std::chrono::seconds interval{2};
    static constexpr std::chrono::seconds rate_window{10};
    static constexpr std::chrono::seconds latency_window{60};
    static constexpr std::size_t max_points = 150;  ///< five minutes

    /// In the order of time.
    void add(NowSample sample);
    /// `whole`: all points; else the newest. Without a sample, of nothing. A rate is null as long
    /// as there is only one.
    boost::json::object now(bool whole) const;

   private:
    struct Point {
        SystemTime time;
        std::uint64_t sessions = 0, plain = 0;
        boost::json::value logins_per_s, failures_per_s;
    };

    const NowSample& since(std::chrono::steady_clock::duration window) const;

    std::deque<NowSample> samples_;  // of latency_window
    std::deque<Point> points_;
};

}  // namespace proxy::dashboard
