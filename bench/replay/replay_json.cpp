// For programs.
#include <boost/json.hpp>
#include <cmath>

#include "bench/replay/replay_report.hpp"
#include "protocol/utf8.hpp"

namespace bench::replay {
namespace {

namespace json = boost::json;

double rounded(double value) { return std::round(value * 1000) / 1000; }

json::object outcome_object(const ReplayReport& report, std::size_t session, std::size_t target) {
    const Outcome& outcome = report.targets[target].outcomes[session];
    json::array tls_left_out;
    for (const std::string& text : outcome.tls_left_out) tls_left_out.push_back(json::string(text));
    json::object out{{"target", report.targets[target].name},
                     {"verdict", to_text(report.verdict(session, target))},
                     {"played", outcome.played},
                     {"not_played", outcome.not_played},
                     {"different", outcome.different},
                     {"why_not_played", nullptr},
                     {"tls_left_out", std::move(tls_left_out)},
                     {"failure", nullptr},
                     {"first_difference", nullptr}};
    if (!outcome.not_played_as.empty())
        out["why_not_played"] = outcome.not_played_as + ": " + protocol::printable(outcome.why_not_played);
    if (!outcome.failure.empty()) out["failure"] = protocol::printable(outcome.failure);
    if (outcome.first) {
        out["first_difference"] = json::object{{"statement", outcome.first->statement},
                                               {"sql", protocol::printable(outcome.first->sql)},
                                               {"was", outcome.first->was},
                                               {"is", protocol::printable(outcome.first->is)}};
    }
    return out;
}

json::object session_object(const ReplayReport& report, std::size_t i) {
    const CapturedSession& session = report.capture.sessions[i];
    json::array targets;
    for (std::size_t target = 0; target < report.targets.size(); ++target)
        targets.push_back(outcome_object(report, i, target));
    const auto left_out = [&](LeftOut why) { return session.plan.left_out[static_cast<std::size_t>(why)]; };
    json::object out{{"session", protocol::printable(session.facts.session)},
                     {"title", title(session)},
                     {"statements", session.plan.statements},
                     {"openings", report.rules.openings || session.openings},
                     {"left_out", nullptr},
                     {"writes", left_out(LeftOut::writes)},
                     {"calls", left_out(LeftOut::calls)},
                     {"blanked", left_out(LeftOut::blanked)},
                     {"unanswered", left_out(LeftOut::unanswered)},
                     {"cut", nullptr},
                     {"targets", std::move(targets)}};
    if (!session.left_out.empty()) out["left_out"] = session.left_out;
    if (!session.plan.cut.empty()) out["cut"] = session.plan.cut;
    return out;
}

}  // namespace

std::string to_json(const ReplayReport& report) {
    json::array left_out, files, sessions, latency, targets;
    for (const std::string& text : report.left_out()) left_out.push_back(json::string(protocol::printable(text)));
    for (const std::string& file : report.files) files.push_back(json::string(protocol::printable(file)));
    for (std::size_t i = 0; i < report.capture.sessions.size(); ++i) sessions.push_back(session_object(report, i));
    for (const LatencyRow& row : latency_rows(report)) {
        latency.push_back(json::object{{"name", row.name},
                                       {"answers", row.count},
                                       {"median_ms", rounded(row.median_ms)},
                                       {"p99_ms", rounded(row.p99_ms)},
                                       {"sum_ms", rounded(row.sum_ms)}});
    }
    for (std::size_t i = 0; i < report.targets.size(); ++i) {
        using Verdict = ReplayReport::Verdict;
        targets.push_back(json::object{{"name", report.targets[i].name},
                                       {"address", protocol::printable(report.targets[i].address)},
                                       {"same", report.count(i, Verdict::same)},
                                       {"different", report.count(i, Verdict::different)},
                                       {"left_out", report.count(i, Verdict::left_out)},
                                       {"not_played", report.count(i, Verdict::not_played)},
                                       {"unlike_first", report.apart(i, 0)}});
    }
    const json::object document{
        {"program", "pgairlock-bench"},
        {"version", report.version},
        {"command", "replay"},
        {"left_out", std::move(left_out)},
        {"files", std::move(files)},
        {"openings", report.rules.openings},
        {"writes", report.rules.writes},
        {"speed", report.rules.speed > 0 ? json::value(report.rules.speed) : json::value("max")},
        {"clients", report.rules.clients},
        {"interrupted", report.interrupted},
        {"same", report.same()},
        {"targets", std::move(targets)},
        {"latency", std::move(latency)},
        {"sessions", std::move(sessions)}};
    return json::serialize(document) + "\n";
}

}  // namespace bench::replay
