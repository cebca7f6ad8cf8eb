#include "bench/replay/replay_report.hpp"

#include <algorithm>
#include <map>

#include "protocol/utf8.hpp"

namespace bench::replay {
namespace {

std::string counted(std::uint64_t count, const std::string& one, const std::string& many = {}) {
    return std::to_string(count) + " " + (count == 1 ? one : many.empty() ? one + "s" : many);
}

std::string sessions(std::uint64_t count) { return counted(count, "session"); }

/// "2 sessions: REASON", the most frequent ones in their order.
void add_counted(std::vector<std::string>& out, const std::map<std::string, std::uint64_t>& reasons,
                 const std::string& before, const std::string& between) {
    for (const auto& [reason, count] : reasons) out.push_back(before + sessions(count) + between + reason);
}

double milliseconds(Duration value) { return std::chrono::duration<double, std::milli>(value).count(); }

LatencyRow row(const std::string& name, const Histogram& histogram, unsigned clients) {
    return {.name = name,
            .count = histogram.count(),
            .median_ms = milliseconds(histogram.percentile(50)),
            .p99_ms = milliseconds(histogram.percentile(99)),
            .sum_ms = milliseconds(histogram.mean()) * static_cast<double>(histogram.count()) / clients};
}

std::string what_is_blanked(const std::string& payload) {
    if (payload == "headers") return "everything but headers, names and tags";
    if (payload == "redacted") return "literals, parameters and rows";
    return "what, it does not say,";
}

bool is_compared(ReplayReport::Verdict verdict) {
    return verdict == ReplayReport::Verdict::same || verdict == ReplayReport::Verdict::different;
}

/// What of the targets' side keeps sessions, or parts of them, from being played or compared.
struct OfTargets {
    std::map<std::string, std::uint64_t> not_played, left_out, groups;  // sessions, by target and reason
    std::uint64_t rows = 0, cancels = 0, lost = 0, own_groups = 0;
};

OfTargets of_targets(const std::vector<Played>& targets) {
    OfTargets out;
    for (const Played& target : targets) {
        for (const Outcome& outcome : target.outcomes) {
            if (!outcome.not_played_as.empty()) ++out.not_played[target.name + ": " + outcome.not_played_as];
            if (!outcome.left_out.empty()) ++out.left_out[target.name + ": " + outcome.left_out];
            if (!outcome.tls_left_out.empty()) ++out.groups[target.name + ": " + in_one_line(outcome.tls_left_out)];
            out.rows += outcome.rows_unknown;
            out.cancels += outcome.cancels_failed;
            out.lost += outcome.not_played;
            out.own_groups += outcome.own_groups;
        }
    }
    return out;
}

}  // namespace

std::string in_one_line(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
    return out;
}

ReplayReport::Verdict ReplayReport::verdict(std::size_t session, std::size_t target) const {
    const Played& played = targets[target];
    const Outcome& outcome = played.outcomes[session];
    const bool was_played = played.begun[session] && outcome.left_out.empty();
    const bool not_opened = !outcome.not_played_as.empty() && outcome.different == 0;
    if (played.begun[session] && not_opened) return Verdict::not_played;
    const bool compared = outcome.played > 0 || outcome.different > 0 || rules.openings ||
                          capture.sessions[session].openings || capture.sessions[session].plan.statements == 0;
    if (was_played && !outcome.same()) return Verdict::different;
    return was_played && compared ? Verdict::same : Verdict::left_out;
}

std::size_t ReplayReport::count(std::size_t target, Verdict wanted) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < capture.sessions.size(); ++i) count += verdict(i, target) == wanted;
    return count;
}

bool ReplayReport::same() const {
    if (interrupted || targets.empty()) return false;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const bool all = count(i, Verdict::different) + count(i, Verdict::not_played) == 0;
        if (!all || count(i, Verdict::same) == 0) return false;
    }
    return true;
}

std::size_t ReplayReport::apart(std::size_t target, std::size_t other) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < capture.sessions.size(); ++i) {
        const bool both = is_compared(verdict(i, target)) && is_compared(verdict(i, other));
        count += both && targets[target].outcomes[i].digest != targets[other].outcomes[i].digest;
    }
    return count;
}

std::vector<std::string> ReplayReport::left_out() const {
    std::vector<std::string> out;
    if (interrupted) out.push_back("the replay was interrupted: what had not ended was not compared");
    const OfTargets here = of_targets(targets);
    add_counted(out, here.not_played, "", " not played at ");
    for (const std::string& payload : capture.payloads) {
        if (payload == "full") continue;
        // Beside a capture that is full, some sessions are played as a whole.
        out.push_back("payload=" + (payload.empty() ? "?" : payload) + ": " + what_is_blanked(payload) +
                      " were blanked in this capture, so no statement" +
                      (rules.openings ? "" : " of a session that is only in it") +
                      " is played: only how sessions open");
    }
    if (capture.repeated > 0)
        out.push_back(sessions(capture.repeated) + " in several of these captures: " +
                      (capture.repeated == 1 ? "it is" : "each is") + " played once, from the one that tells most");
    out.insert(out.end(), capture.lacks.begin(), capture.lacks.end());
    std::map<std::string, std::uint64_t> whole, cut;
    std::array<std::uint64_t, left_out_kinds> statements{};
    std::uint64_t all = 0, startups = 0, guarded = 0;
    for (const CapturedSession& session : capture.sessions) {
        if (!session.left_out.empty()) {
            ++whole[session.left_out];
            continue;
        }
        if (!session.plan.cut.empty()) ++cut[session.plan.cut];
        startups += session.plan.startup_blanked;
        guarded += session.plan.startup_guarded;
        all += session.plan.statements;
        for (std::size_t i = 0; i < left_out_kinds; ++i) statements[i] += session.plan.left_out[i];
    }
    const auto kind = [&](LeftOut why) { return statements[static_cast<std::size_t>(why)]; };
    const std::string of_all = " of " + counted(all, "statement");
    add_counted(out, whole, "", " left out: ");
    add_counted(out, cut, "", " played in part: ");
    add_counted(out, here.left_out, "", " not compared at ");
    add_counted(out, here.groups, "", " opened without what had been offered for the key exchange, at ");
    if (here.own_groups > 0)
        out.push_back(counted(here.own_groups, "opening") +
                      " with the TLS groups of this OpenSSL: what clients had offered is not in the capture");
    if (kind(LeftOut::writes) > 0)
        out.push_back(std::to_string(kind(LeftOut::writes)) + of_all +
                      " may write and were left out; --writes plays them");
    if (kind(LeftOut::calls) > 0)
        out.push_back(std::to_string(kind(LeftOut::calls)) + of_all +
                      " call functions that are not known to read only, and were left out; --writes plays them");
    if (kind(LeftOut::blanked) > 0)
        out.push_back(std::to_string(kind(LeftOut::blanked)) + of_all +
                      " hold, or may hold, what the capture has blanked, and were left out");
    if (kind(LeftOut::unanswered) > 0)
        out.push_back(std::to_string(kind(LeftOut::unanswered)) + of_all +
                      " have no answer in the capture, and were left out");
    if (here.lost > 0)
        out.push_back(counted(here.lost, "statement") + " not played, because their session had ended before");
    if (startups > 0) out.push_back(sessions(startups) + " opened without the startup parameters that were blanked");
    if (guarded > 0)
        out.push_back(
            sessions(guarded) +
            " opened without the startup parameters that could lift the read-only mode, or that are not known");
    if (capture.cancels_left_out > 0)
        out.push_back(counted(capture.cancels_left_out, "cancel request") +
                      " left out: what they were to end is not played");
    if (here.cancels > 0) out.push_back(counted(here.cancels, "cancel request") + " could not be sent");
    if (here.rows > 0)
        out.push_back("the rows of " + counted(here.rows, "answer") + " not compared: the capture has blanked some");
    return out;
}

std::string ReplayReport::heading() const {
    std::uint64_t statements = 0;
    for (const CapturedSession& session : capture.sessions) statements += session.plan.statements;
    std::string speed = std::to_string(rules.speed);
    speed.erase(speed.find_last_not_of('0') + 1);
    if (speed.ends_with('.')) speed.pop_back();
    std::string out = sessions(capture.sessions.size());
    out += rules.openings ? ", openings only" : ", " + counted(statements, "statement");
    out += std::string("; ") + (rules.openings ? "nothing behind the login"
                                : rules.writes ? "writes are played"
                                               : "default_transaction_read_only=on");
    out += rules.speed > 0 ? "; speed " + speed : "; speed max";
    return out + "; " + counted(rules.clients, "client") + (rules.rows ? "; rows compared by hash" : "");
}

std::string to_text(ReplayReport::Verdict verdict) {
    switch (verdict) {
        case ReplayReport::Verdict::same: return "same";
        case ReplayReport::Verdict::different: return "different";
        case ReplayReport::Verdict::not_played: return "not played";
        default: return "left out";
    }
}

std::string title(const CapturedSession& session) {
    const SessionFacts& facts = session.facts;
    const auto known = [](const std::string& text) { return text.empty() ? std::string("?") : text; };
    const auto* startup = session.plan.startup ? &*session.plan.startup : nullptr;
    const std::string user = facts.user.empty() && startup ? std::string(startup->find("user")) : facts.user;
    const std::string database = facts.database.empty() && startup ? std::string(startup->database()) : facts.database;
    const std::string application = facts.application_name.empty() && startup
                                        ? std::string(startup->find("application_name"))
                                        : facts.application_name;
    return protocol::printable("session " + known(facts.session) + " (" + known(user) + " on " + known(database) +
                               (application.empty() ? "" : ", " + application) + ")");
}

std::string summary(const ReplayReport& report, std::size_t target) {
    using Verdict = ReplayReport::Verdict;
    std::uint64_t played = 0, different = 0;
    for (const Outcome& outcome : report.targets[target].outcomes) {
        played += outcome.played;
        different += outcome.different;
    }
    const std::size_t not_played = report.count(target, Verdict::not_played);
    std::string out = not_played > 0 ? sessions(not_played) + " not played; " : "";
    out += sessions(report.count(target, Verdict::same)) + " same, " +
           std::to_string(report.count(target, Verdict::different)) + " different, " +
           std::to_string(report.count(target, Verdict::left_out)) + " left out";
    if (!report.rules.openings)
        out += "; " + counted(played, "statement") + " answered, " + std::to_string(different) + " different";
    return out;
}

std::vector<LatencyRow> latency_rows(const ReplayReport& report) {
    std::vector<LatencyRow> rows;
    if (report.rules.openings) return rows;
    for (const Played& target : report.targets) {
        // What each of them answered may not be the same.
        rows.push_back(row(report.targets.size() == 1 ? "captured" : "captured, as of " + target.name,
                           target.latency.captured, report.rules.clients));
        rows.push_back(row(target.name, target.latency.here, report.rules.clients));
    }
    return rows;
}

}  // namespace bench::replay
