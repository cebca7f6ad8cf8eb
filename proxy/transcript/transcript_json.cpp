#include "proxy/transcript/transcript_json.hpp"

#include <boost/json.hpp>

#include "protocol/utf8.hpp"
#include "proxy/transcript/labels.hpp"
#include "proxy/transcript/words.hpp"

namespace proxy::transcript {
namespace {

namespace json = boost::json;

json::value text_or_null(std::string_view value) {
    return value.empty() ? json::value(nullptr) : json::value(protocol::as_utf8(value));
}

json::value time_or_null(std::uint64_t time) { return time == 0 ? json::value(nullptr) : json::value(time_text(time)); }

/// us
json::value span_or_null(std::uint64_t from, std::uint64_t to) {
    return from == 0 || to < from ? json::value(nullptr) : json::value((to - from) / 1000);
}

std::string serialized(const json::value& value) { return protocol::printable_json(json::serialize(value)); }

json::array texts_of(const auto& texts) {
    json::array out;
    for (const std::string& text : texts) out.emplace_back(protocol::as_utf8(text));
    return out;
}

json::value error_json(const std::optional<protocol::ErrorResponse>& error) {
    if (!error) return nullptr;
    return {{"severity", text_or_null(error->severity)},
            {"sqlstate", text_or_null(error->sqlstate)},
            {"message", text_or_null(error->message)},
            {"detail", text_or_null(error->detail)},
            {"hint", text_or_null(error->hint)}};
}

json::object entry_json(const protocol::CapturedStatement& statement) {
    const bool shows_text = statement.text_known && statement.kind != protocol::CapturedStatement::Kind::sync &&
                            statement.kind != protocol::CapturedStatement::Kind::function_call;
    return {{"kind", label(statement.kind)},
            {"outcome", label(statement.outcome)},
            {"time", time_or_null(statement.begun)},
            {"duration_us", duration(statement) > 0 ? json::value(duration(statement) / 1000) : json::value(nullptr)},
            {"first_row_us",
             statement.first_row > 0 ? span_or_null(statement.begun, statement.first_row) : json::value(nullptr)},
            {"text", shows_text ? json::value(protocol::as_utf8(statement.text)) : json::value(nullptr)},
            {"text_size", statement.text_size},
            {"prepared_as", text_or_null(statement.name)},
            {"tags", texts_of(statement.tags)},
            {"commands", statement.commands},
            {"rows", statement.rows},
            {"copied_in", statement.copied_in},
            {"copied_out", statement.copied_out},
            {"copy_messages", statement.copy_messages},
            {"notices", statement.notices},
            {"transaction",
             statement.transaction ? json::value(std::string(1, statement.transaction)) : json::value(nullptr)},
            {"missing", statement.missing},
            {"error", error_json(statement.error)}};
}

json::object entry_json(const protocol::CapturedGap& gap) {
    return {{"kind", "gap"},
            {"time", time_or_null(gap.time)},
            {"from", label(gap.from)},
            {"bytes", gap.bytes},
            {"lost", gap.lost}};
}

json::object entry_json(const protocol::CapturedFind& found) {
    return {{"kind", "found"}, {"time", time_or_null(found.time)}, {"unreadable", found.unreadable}};
}

json::array failures_json(const ReadSession& session) {
    json::array out;
    for (const SessionFailure& failure : session.failures) {
        out.push_back({{"event", text_or_null(failure.event)},
                       {"time", time_or_null(failure.time)},
                       {"reason", text_or_null(failure.reason)},
                       {"sqlstate", text_or_null(failure.sqlstate)},
                       {"words", text_or_null(failure.words)},
                       {"detail", text_or_null(failure.detail)}});
    }
    return out;
}

json::array absences_json(const ReadSession& session) {
    json::array out;
    for (const protocol::Absence absence : session.absences) out.emplace_back(label(absence));
    return out;
}

json::object totals_json(const SessionTotals& totals) {
    json::object errors;
    for (const auto& [sqlstate, error] : totals.errors)
        errors[protocol::as_utf8(sqlstate)] = {{"count", error.count}, {"example", text_or_null(error.example)}};
    return {{"statements", totals.statements}, {"failed", totals.failed},   {"skipped", totals.skipped},
            {"unanswered", totals.unanswered}, {"rows", totals.rows},       {"copied_in", totals.copied_in},
            {"copied_out", totals.copied_out}, {"notices", totals.notices}, {"errors", std::move(errors)}};
}

void add_identity_json(json::object& out, const ReadSession& session) {
    const SessionFacts& facts = session.facts;
    out.insert({{"session", text_or_null(facts.session)},
                {"listener", text_or_null(facts.listener)},
                {"client_addr", text_or_null(facts.client_addr)},
                {"client_port", facts.client_port},
                {"usename", text_or_null(facts.user)},
                {"datname", text_or_null(facts.database)},
                {"application_name", text_or_null(facts.application_name)},
                {"ssl", facts.ssl ? json::value(*facts.ssl) : json::value(nullptr)},
                {"version", text_or_null(facts.version)},
                {"cipher", text_or_null(facts.cipher)},
                {"negotiation", text_or_null(facts.negotiation)},
                {"sslmode_min", text_or_null(facts.sslmode_min)},
                {"sslmode_max", text_or_null(facts.sslmode_max)},
                {"verifies", text_or_null(facts.verifies)},
                {"upstream_addr", text_or_null(facts.upstream_addr)},
                {"upstream_version", text_or_null(facts.upstream_version)},
                {"upstream_prewarmed",
                 facts.upstream_prewarmed ? json::value(*facts.upstream_prewarmed) : json::value(nullptr)}});
}

json::object counts_json(const ClientCounts& counts) {
    return {{"connections", counts.connections},
            {"tls", counts.tls},
            {"plain", counts.plain},
            {"tls_failed", counts.tls_failed},
            {"login_failed", counts.login_failed},
            {"rejected", counts.rejected},
            {"upstream_failed", counts.upstream_failed},
            {"server_certificate_refused", counts.server_certificate_refused},
            {"server_tls_failed", counts.server_tls_failed},
            {"cancels", counts.cancels}};
}

void add_comparison(json::object& out, bool compares, const ClientCounts& before, const ClientCounts& since) {
    out["before"] = compares ? json::value(counts_json(before)) : json::value(nullptr);
    out["since"] = compares ? json::value(counts_json(since)) : json::value(nullptr);
}

json::array slowest_json(const Summary& summary) {
    json::array out;
    for (const SlowStatement& slow : summary.slowest()) {
        json::object one = entry_json(slow.statement);
        one["session"] = text_or_null(slow.session);
        one["usename"] = text_or_null(slow.user);
        out.push_back(std::move(one));
    }
    return out;
}

json::array clients_json(const Summary& summary) {
    const bool compares = summary.compare_at().has_value();
    json::array out;
    for (const auto& [key, client] : summary.clients()) {
        json::array users;
        if (!key.user.empty()) users.emplace_back(protocol::as_utf8(key.user));
        json::object one{{"client_addr", text_or_null(key.address)},
                         {"usename", text_or_null(key.user)},
                         {"application_name", text_or_null(key.application_name)},
                         {"client_process", text_or_null(key.exe)},
                         {"client_uid", key.uid < 0 ? json::value(nullptr) : json::value(key.uid)},
                         {"users", std::move(users)},
                         {"fails_since", compares && client.fails_since()},
                         {"fails_more", compares && client.fails_more()},
                         {"falls_to_clear", compares && client.falls_to_clear()},
                         {"silent_since", !client.silent_while.empty()},
                         {"last_failure", text_or_null(client.last_failure)},
                         {"all", counts_json(client.all)}};
        add_comparison(one, compares, client.before, client.since);
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace

std::string incomplete_json(const std::vector<std::string>& lacks) { return serialized(texts_of(lacks)); }

std::string absent_json(const AbsentCount& count) {
    return serialized(json::object{{label(protocol::AbsenceKind::left_out), count.left_out},
                                   {label(protocol::AbsenceKind::not_entered), count.not_entered}});
}

std::string session_json(const ReadSession& session) {
    json::object out;
    add_identity_json(out, session);
    const bool logged_in = session.login.outcome == protocol::CapturedLogin::Outcome::accepted;
    json::array entries;
    for (const auto& entry : session.entries)
        entries.push_back(std::visit([](const auto& one) { return entry_json(one); }, entry));
    out.insert({{"started", time_or_null(session.started)},
                {"ended", time_or_null(session.over ? session.ended : 0)},
                {"opening", text_or_null(label(session.opening.kind))},
                {"cancelled_pid", session.opening.cancelled_pid},
                {"login", login_label(session)},
                {"auth_method", text_or_null(session.facts.auth_method)},
                {"login_us", logged_in ? span_or_null(session.opening.time, session.login.time) : json::value(nullptr)},
                {"server_version", text_or_null(session.login.server_version)},
                {"failures", failures_json(session)},
                {"notes", texts_of(session.notes)},
                {"absences", absences_json(session)},
                {"end", text_or_null(end_words(session))},
                {"end_reason", text_or_null(session.end_reason)},
                {"end_sqlstate", text_or_null(session.end_sqlstate)},
                {"farewell", error_json(session.farewell)},
                {"bytes_from_client", session.bytes_client},
                {"bytes_from_server", session.bytes_server},
                {"missing_from_client", session.missing_client},
                {"missing_from_server", session.missing_server},
                {"unreadable", session.unreadable},
                {"rest_unreadable", session.rest_unreadable},
                {"totals", totals_json(session.totals)},
                {"statements", std::move(entries)},
                {"statements_left_out", session.entries_left_out}});
    return serialized(out);
}

std::string summary_json(const Summary& summary, const Reading& reading) {
    const bool compares = summary.compare_at().has_value();
    json::array events;
    for (const ProcessEvent& event : reading.events())
        events.push_back({{"time", time_or_null(event.time)}, {"text", text_or_null(event.text)}});
    json::object out{{"from", time_or_null(reading.first_time())},
                     {"to", time_or_null(reading.last_time())},
                     {"compare_at", time_or_null(summary.compare_at().value_or(0))},
                     {"sessions", reading.sessions()},
                     {"sessions_that_do_not_match", reading.left_aside()},
                     {"all", counts_json(summary.all())},
                     {"clients", clients_json(summary)},
                     {"other_clients", summary.others()},
                     {"statements", totals_json(summary.totals())},
                     {"slowest", slowest_json(summary)},
                     {"events", std::move(events)}};
    add_comparison(out, compares, summary.before(), summary.since());
    return serialized(out);
}

}  // namespace proxy::transcript
