#include "bench/connect/connect_report.hpp"

#include <algorithm>
#include <cstdio>

namespace bench {
namespace {}  // namespace

void TargetResult::add(const Measurement& repetition) {
    Repetition kept{
        .connections = repetition.connections(), .failed = repetition.failed(), .rate = repetition.rate(), .p50 = {}};
    for (const Phase phase : all_phases) {
        if (repetition.phases[phase].count() > 0) kept.p50[phase] = repetition.phases[phase].percentile(50);
    }
    repetitions.push_back(kept);
    whole.add(repetition);
}

std::optional<Spread> ratio(const std::vector<Repetition>& of, const std::vector<Repetition>& to, Phase phase) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(of.size(), to.size()); ++i) {
        const auto mine = of[i].p50[phase];
        const auto theirs = to[i].p50[phase];
        if (mine && theirs && theirs->count() > 0)
            ratios.push_back(static_cast<double>(mine->count()) / static_cast<double>(theirs->count()));
    }
    return spread_of(std::move(ratios));
}

bool Report::failed() const noexcept {
    return std::any_of(targets.begin(), targets.end(),
                       [](const TargetResult& result) { return result.whole.failed() > 0; });
}

std::optional<Spread> Report::ratio(const TargetResult& of, Phase phase) const {
    return bench::ratio(of.repetitions, targets.front().repetitions, phase);
}

std::string roots_loaded(const Report& report, const Target& target) {
    if (!target.encrypts() || target.sslrootcert.empty()) return "never";
    return report.libpq ? "per connection" : "once";
}

std::string tls_text(const Report& report, const TargetResult& result) {
    if (!result.tls) return result.target.encrypts() ? "no TLS connection was made" : "in clear";
    const TlsFacts& tls = *result.tls;
    std::string text = tls.version + ", " + tls.cipher + (tls.group.empty() ? "" : ", " + tls.group);
    if (!tls.key_type.empty()) text += ", certificate " + tls.key_type + " " + std::to_string(tls.key_bits) + " bits";
    const std::string roots = roots_loaded(report, result.target);
    if (roots == "never") return text + ", not verified";
    return text + (roots == "once" ? ", CA file read once" : ", CA file read for every connection");
}

std::string count_text(const TargetResult& result) {
    const Measurement& whole = result.whole;
    std::string text = std::to_string(whole.connections()) + " connections in " +
                       decimal(std::chrono::duration<double>(whole.elapsed).count(), 1) + " s, " +
                       decimal(whole.rate(), 1) + " per second, " + std::to_string(whole.failed()) + " failed";
    if (whole.unstarted > 0) text += ", " + std::to_string(whole.unstarted) + " due but never begun";
    return text;
}

bool is_compared(const Report& report, const TargetResult& result) noexcept {
    return &result != &report.targets.front();
}

double microseconds(Duration duration) noexcept { return std::chrono::duration<double, std::micro>(duration).count(); }

std::string decimal(double value, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

}  // namespace bench
