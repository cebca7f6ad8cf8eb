// Results of all targets as plain data, and the four forms in which they are shown. Pure.
#pragma once

#include <string>
#include <vector>

#include "bench/connect/measurement.hpp"
#include "bench/target/conninfo.hpp"
#include "bench/target/spread.hpp"
#include "bench/target/tls_facts.hpp"
#include "protocol/utf8.hpp"

namespace bench {

/// What is kept of one repetition: enough to see whether the repetitions agree.
struct Repetition {
    std::uint64_t connections = 0;
    std::uint64_t failed = 0;
    double rate = 0;
    Phases p50;
};

struct TargetResult {
    Target target;
    std::optional<TlsFacts> tls;
    Measurement whole;  ///< of all repetitions
    std::vector<Repetition> repetitions;

    void add(const Measurement& repetition);
};

/// Of the medians of two targets, repetition by repetition: what slows a whole repetition down
/// cancels out. nullopt: there is no repetition in which both have a value.
std::optional<Spread> ratio(const std::vector<Repetition>& of, const std::vector<Repetition>& to, Phase phase);

struct Report {
    std::string version;
    std::string started;  ///< RFC 3339
    std::string query;
    std::string load;  ///< "closed loop, 1 client, 3 repetitions of 5s"
    bool libpq = false;
    bool interrupted = false;
    std::vector<TargetResult> targets;

    bool failed() const noexcept;
    /// To the first target.
    std::optional<Spread> ratio(const TargetResult& of, Phase phase) const;
};

std::string to_table(const Report& report);
std::string to_json(const Report& report);
std::string to_csv(const Report& report);
std::string to_html(const Report& report);

// --- Words that several of them use

/// "never", "once", "per connection": how often the CA file is read.
std::string roots_loaded(const Report& report, const Target& target);
/// "TLSv1.3, TLS_AES_256_GCM_SHA384, x25519, certificate EC 256 bits, CA file read once".
std::string tls_text(const Report& report, const TargetResult& result);
/// "1234 connections in 15.0 s, 82.3 per second, 0 failed".
std::string count_text(const TargetResult& result);
/// Two or more targets, and this is not the first.
bool is_compared(const Report& report, const TargetResult& result) noexcept;
double microseconds(Duration duration) noexcept;
/// With so many digits after the point.
std::string decimal(double value, int digits);
/// For whatever servers say, in every format.
using protocol::printable;

struct Percentile {
    const char* name;
    const char* key;
    double percent;
};
inline constexpr std::array<Percentile, 4> percentiles{
    {{"p50", "p50_us", 50}, {"p90", "p90_us", 90}, {"p99", "p99_us", 99}, {"p99.9", "p999_us", 99.9}}};

}  // namespace bench
