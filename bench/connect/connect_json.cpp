// The report for programs: JSON, and CSV with a line for each target and phase. Passwords are in
// neither.
#include <boost/json.hpp>
#include <cmath>

#include "bench/connect/connect_report.hpp"

namespace bench {
namespace {

namespace json = boost::json;

/// Tenths: a nanosecond means nothing here, and 17 digits can be read by nobody.
double rounded(double value) { return std::round(value * 10) / 10; }

double us(Duration value) { return rounded(microseconds(value)); }

json::object phase_object(const Histogram& histogram) {
    json::object out{{"count", histogram.count()}, {"mean_us", us(histogram.mean())}, {"min_us", us(histogram.min())}};
    for (const Percentile& percentile : percentiles) out[percentile.key] = us(histogram.percentile(percentile.percent));
    out["max_us"] = us(histogram.max());
    return out;
}

json::object phase_objects(const Measurement& whole) {
    json::object out;
    for (const Phase phase : all_phases) {
        if (whole.phases[phase].count() > 0) out[to_string(phase)] = phase_object(whole.phases[phase]);
    }
    return out;
}

json::object ratio_objects(const Report& report, const TargetResult& result) {
    json::object out;
    for (const Phase phase : all_phases) {
        if (const auto ratio = report.ratio(result, phase)) {
            out[to_string(phase)] = json::object{{"median", ratio->median}, {"min", ratio->min}, {"max", ratio->max}};
        }
    }
    return out;
}

json::value tls_value(const std::optional<TlsFacts>& tls) {
    if (!tls) return nullptr;
    return json::object{{"version", tls->version},
                        {"cipher", tls->cipher},
                        {"group", tls->group},
                        {"key_type", tls->key_type},
                        {"key_bits", tls->key_bits}};
}

json::array repetition_objects(const TargetResult& result) {
    json::array out;
    for (const Repetition& repetition : result.repetitions) {
        json::object p50;
        for (const Phase phase : all_phases) {
            if (repetition.p50[phase]) p50[to_string(phase)] = us(*repetition.p50[phase]);
        }
        out.push_back(json::object{{"connections", repetition.connections},
                                   {"failed", repetition.failed},
                                   {"rate", rounded(repetition.rate)},
                                   {"p50_us", std::move(p50)}});
    }
    return out;
}

json::object target_object(const Report& report, const TargetResult& result) {
    json::array errors;
    for (const auto& [error, count] : result.whole.failures)
        errors.push_back(json::object{{"error", printable(error)}, {"count", count}});
    json::object out{{"name", result.target.name},
                     {"address", printable(address_text(result.target))},
                     {"user", printable(result.target.user)},
                     {"sslmode", protocol::to_string(result.target.sslmode)},
                     {"tls", tls_value(result.tls)},
                     {"roots_loaded", roots_loaded(report, result.target)},
                     {"connections", result.whole.connections()},
                     {"failed", result.whole.failed()},
                     {"unstarted", result.whole.unstarted},
                     {"seconds", std::chrono::duration<double>(result.whole.elapsed).count()},
                     {"rate", rounded(result.whole.rate())},
                     {"errors", std::move(errors)},
                     {"phases", phase_objects(result.whole)},
                     {"repetitions", repetition_objects(result)}};
    if (is_compared(report, result)) out["p50_ratios"] = ratio_objects(report, result);
    return out;
}

}  // namespace

std::string to_json(const Report& report) {
    json::array targets;
    for (const TargetResult& result : report.targets) targets.push_back(target_object(report, result));
    const json::object document{{"program", "pgairlock-bench"},
                                {"version", report.version},
                                {"started", report.started},
                                {"client", report.libpq ? "libpq" : "pgairlock"},
                                {"load", report.load},
                                {"query", printable(report.query)},
                                {"interrupted", report.interrupted},
                                {"targets", std::move(targets)}};
    return json::serialize(document) + "\n";
}

std::string to_csv(const Report& report) {
    std::string out = "target,phase,count,mean_us";
    for (const Percentile& percentile : percentiles) out += std::string(",") + percentile.key;
    out += ",max_us,p50_ratio,p50_ratio_min,p50_ratio_max,rate,failed\n";
    for (const TargetResult& result : report.targets) {
        for (const Phase phase : all_phases) {
            const Histogram& histogram = result.whole.phases[phase];
            // One line even for a target without a single connection, so that its failures are not
            // lost.
            if (histogram.count() == 0 && (phase != Phase::total || result.whole.failed() == 0)) continue;
            out += result.target.name + "," + std::string(to_string(phase)) + "," + std::to_string(histogram.count()) +
                   "," + decimal(microseconds(histogram.mean()), 1);
            for (const Percentile& percentile : percentiles)
                out += "," + decimal(microseconds(histogram.percentile(percentile.percent)), 1);
            out += "," + decimal(microseconds(histogram.max()), 1);
            const auto ratio = is_compared(report, result) ? report.ratio(result, phase) : std::nullopt;
            out += ratio ? "," + decimal(ratio->median, 3) + "," + decimal(ratio->min, 3) + "," + decimal(ratio->max, 3)
                         : ",,,";
            out += "," + decimal(result.whole.rate(), 1) + "," + std::to_string(result.whole.failed()) + "\n";
        }
    }
    return out;
}

}  // namespace bench
