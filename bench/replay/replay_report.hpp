// What a replay came to, and its formats. Pure. What was left out or could not be compared comes
// first.
#pragma once

#include "bench/replay/player.hpp"

namespace bench::replay {

struct ReplayReport {
    std::string version;
    std::vector<std::string> files;
    PlayRules rules;
    Capture capture;
    std::vector<Played> targets;
    bool interrupted = false;

    /// not_played: it could not be opened.
    enum class Verdict { same, different, left_out, not_played };
    /// Of a session at a target.
    Verdict verdict(std::size_t session, std::size_t target) const;
    std::size_t count(std::size_t target, Verdict verdict) const;
    /// What was compared, of all targets, is as it was, and something was.
    bool same() const;
    /// Sessions that two targets answered differently.
    std::size_t apart(std::size_t target, std::size_t other) const;

    /// Sentences; empty: nothing was left out, and all could be compared.
    std::vector<std::string> left_out() const;
    /// "sessions of 12 ..., 340 statements; ...".
    std::string heading() const;
};

std::string to_text(ReplayReport::Verdict verdict);
/// With commas.
std::string in_one_line(const std::vector<std::string>& texts);
/// "session N (app on shop, psql)".
std::string title(const CapturedSession& session);
/// "2 sessions same, ...".
std::string summary(const ReplayReport& report, std::size_t target);

struct LatencyRow {
    std::string name;
    std::uint64_t count = 0;
    double median_ms = 0;
    double p99_ms = 0;
    double sum_ms = 0;  ///< of one client
};
/// What was captured, and then each target.
std::vector<LatencyRow> latency_rows(const ReplayReport& report);

std::string to_table(const ReplayReport& report);
std::string to_json(const ReplayReport& report);
std::string to_html(const ReplayReport& report);

}  // namespace bench::replay
