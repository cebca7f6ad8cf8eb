#include "proxy/transcript/session_facts.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "protocol/capture_comment.hpp"
#include "protocol/utf8.hpp"
#include "proxy/transcript/failure_words.hpp"

namespace proxy::transcript {
namespace {

/// Ours are shorter than 4 KiB; a file may have anything.
constexpr std::size_t max_event = 64 * 1024;

std::string string_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_string() ? std::string(value->get_string()).substr(0, protocol::max_peer_text) : "";
}

int number_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_int64() ? static_cast<int>(std::clamp<std::int64_t>(value->get_int64(), -1, 65'535)) : -1;
}

std::optional<std::uint64_t> count_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    if (!value || !value->is_int64() || value->get_int64() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value->get_int64());
}

std::optional<bool> truth_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_bool() ? std::optional(value->get_bool()) : std::nullopt;
}

void take_process(SessionFacts& facts, const boost::json::object& line) {
    constexpr std::size_t max_exe = 512;
    const auto* process = line.if_contains("client_process");
    if (!process || !process->is_object()) return;
    facts.client_exe = string_at(process->get_object(), "exe").substr(0, max_exe);
    const auto uid = count_at(process->get_object(), "uid");
    if (uid && *uid <= 0xffff'ffff) facts.client_uid = static_cast<std::int64_t>(*uid);
}

SessionFacts facts_of(const boost::json::object& line) {
    SessionFacts facts{.session = string_at(line, "session"),
                       .listener = string_at(line, "listener"),
                       .client_addr = string_at(line, "client_addr"),
                       .client_port = number_at(line, "client_port"),
                       .user = string_at(line, "usename"),
                       .database = string_at(line, "datname"),
                       .application_name = string_at(line, "application_name"),
                       .ssl = truth_at(line, "ssl"),
                       .version = string_at(line, "version"),
                       .cipher = string_at(line, "cipher"),
                       .negotiation = string_at(line, "negotiation"),
                       .sslmode_min = string_at(line, "sslmode_min"),
                       .sslmode_max = string_at(line, "sslmode_max"),
                       .verifies = string_at(line, "verifies"),
                       .auth_method = string_at(line, "auth_method"),
                       .upstream_addr = string_at(line, "upstream_addr"),
                       .upstream_version = string_at(line, "upstream_version")};
    facts.upstream_prewarmed = truth_at(line, "upstream_prewarmed");
    take_process(facts, line);
    return facts;
}

/// With any other reason the words are the proxy's.
bool has_servers_words(const AuditEvent& event) {
    const bool is_servers = event.reason == "server_denied" || event.reason.empty();
    return event.event == "auth_failed" && is_servers && !event.message.empty();
}

std::optional<SessionFailure> failure_of(const AuditEvent& event, const boost::json::object& line) {
    if (event.event != "tls_failed" && event.event != "auth_failed" && event.event != "rejected" &&
        event.event != "upstream_failed")
        return std::nullopt;
    SessionFailure failure{.event = event.event,
                           .reason = event.reason,
                           .sqlstate = event.sqlstate,
                           .words = {},
                           .detail = event.event == "auth_failed" ? event.message : string_at(line, "error"),
                           .time = 0};
    failure.words = in_words(failure, {.alert = number_at(line, "alert"),
                                       .verify_error = string_at(line, "verify_error"),
                                       .looks_like = string_at(line, "looks_like"),
                                       .certificate_shown = !string_at(line, "certificate_shown").empty(),
                                       .probe = string_at(line, "probe")});
    return failure;
}

}  // namespace

std::optional<ConversationMarks> take_comment(SessionFacts& facts, std::string_view comment) {
    const auto said = protocol::parse_conversation_comment(comment);
    if (!said) return std::nullopt;
    take_facts(facts, {.session = said->session,
                       .listener = said->listener,
                       .client_addr = said->client_addr,
                       .client_port = -1,
                       .user = said->user,
                       .database = said->database,
                       .application_name = said->application_name,
                       .ssl = said->ssl,
                       .version = said->version,
                       .cipher = {},
                       .negotiation = {},
                       .sslmode_min = said->sslmode_min,
                       .sslmode_max = said->sslmode_max,
                       .verifies = said->verifies,
                       .auth_method = {},
                       .upstream_addr = said->upstream_addr,
                       .upstream_version = said->upstream_version});
    if (said->prewarmed) facts.upstream_prewarmed = true;
    return ConversationMarks{.records = said->records, .joined = said->joined, .prewarmed = said->prewarmed};
}

bool AuditEvent::ends_session() const noexcept {
    return event == "disconnected" || event == "cancel" || event == "oauth_discovery" || failure;
}

std::optional<AuditEvent> parse_event(std::string_view line) {
    if (line.size() > max_event) return std::nullopt;
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({line.data(), line.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    const boost::json::object& object = value.get_object();
    AuditEvent event{.event = string_at(object, "event"),
                     .session = string_at(object, "session"),
                     .message = string_at(object, "message"),
                     .reason = string_at(object, "reason"),
                     .sqlstate = string_at(object, "sqlstate"),
                     .facts = facts_of(object),
                     .failure = {}};
    if (event.event.empty()) return std::nullopt;
    event.failure = failure_of(event, object);
    event.capture = count_at(object, "capture");
    event.has_servers_words = has_servers_words(event);
    if (event.event != "capture_absence") return event;
    event.absence = protocol::absence_of_label(event.reason);
    const auto left_out = count_at(object, label(protocol::AbsenceKind::left_out));
    const auto not_entered = count_at(object, label(protocol::AbsenceKind::not_entered));
    const auto entries = count_at(object, "entries_dropped");
    const bool counts = left_out && not_entered;
    if (!event.absence && !counts) event.unknown_absence = event.reason.empty() ? "none given" : event.reason;
    const auto* const goes_on = object.if_contains("goes_on");
    if (counts)
        event.absent = {.left_out = *left_out,
                        .not_entered = *not_entered,
                        .entries = entries.value_or(0),
                        .goes_on = goes_on && goes_on->is_bool() && goes_on->get_bool()};
    return event;
}

void take_facts(SessionFacts& facts, const SessionFacts& from) {
    constexpr std::string SessionFacts::*texts[] = {
        &SessionFacts::session,     &SessionFacts::listener,      &SessionFacts::client_addr,
        &SessionFacts::user,        &SessionFacts::database,      &SessionFacts::application_name,
        &SessionFacts::version,     &SessionFacts::cipher,        &SessionFacts::negotiation,
        &SessionFacts::sslmode_min, &SessionFacts::sslmode_max,   &SessionFacts::verifies,
        &SessionFacts::auth_method, &SessionFacts::upstream_addr, &SessionFacts::upstream_version};
    for (const auto text : texts) {
        if (!(from.*text).empty()) facts.*text = from.*text;
    }
    if (from.client_port >= 0) facts.client_port = from.client_port;
    if (from.ssl) facts.ssl = from.ssl;
    if (!from.client_exe.empty()) facts.client_exe = from.client_exe;
    if (from.client_uid >= 0) facts.client_uid = from.client_uid;
    if (from.upstream_prewarmed) facts.upstream_prewarmed = from.upstream_prewarmed;
}

}  // namespace proxy::transcript
