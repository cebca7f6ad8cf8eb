#include "bench/replay/session_facts.hpp"

#include <boost/json.hpp>

#include "protocol/capture_comment.hpp"

namespace bench::replay {
namespace {

/// Ours are shorter than 4 KiB; a file may have anything.
constexpr std::size_t max_event = 64 * 1024;
constexpr std::size_t max_fact = 512;

std::string text_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_string() ? std::string(value->get_string()).substr(0, max_fact) : "";
}

}  // namespace

bool take_comment(SessionFacts& facts, std::string_view comment) {
    const auto said = protocol::parse_conversation_comment(comment);
    if (!said) return false;
    merge(facts, {.session = said->session,
                  .user = said->user,
                  .database = said->database,
                  .application_name = said->application_name,
                  .client_addr = said->client_addr,
                  .ssl = said->ssl,
                  .version = said->version,
                  .negotiation = {},
                  .sni = {},
                  .alpn = {},
                  .failed = {},
                  .sqlstate = {},
                  .reason = {},
                  .error = {}});
    facts.joined = facts.joined || said->joined;
    facts.records = facts.records || said->records;
    return true;
}

std::optional<SessionFacts> facts_of(const protocol::pcapng::JournalBlock& entry) {
    const std::string_view text = entry.value("MESSAGE");
    if (text.size() > max_event) return std::nullopt;
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    const boost::json::object& line = value.get_object();
    SessionFacts facts;
    facts.session = text_at(line, "session");
    if (facts.session.empty()) return std::nullopt;
    facts.user = text_at(line, "usename");
    facts.database = text_at(line, "datname");
    facts.application_name = text_at(line, "application_name");
    facts.client_addr = text_at(line, "client_addr");
    facts.version = text_at(line, "version");
    facts.negotiation = text_at(line, "negotiation");
    if (line.contains("sni")) facts.sni = text_at(line, "sni");
    if (line.contains("alpn")) facts.alpn = text_at(line, "alpn");
    const auto* ssl = line.if_contains("ssl");
    if (ssl && ssl->is_bool()) facts.ssl = ssl->get_bool();
    const auto* pid = line.if_contains("backend_pid");
    if (pid && pid->is_int64()) facts.backend_pid = static_cast<std::uint32_t>(pid->get_int64());
    const std::string event = text_at(line, "event");
    if (event == "tls_failed" || event == "auth_failed" || event == "rejected" || event == "upstream_failed") {
        facts.failed = event;
        facts.sqlstate = text_at(line, "sqlstate");
        facts.reason = text_at(line, "reason");
        facts.error = text_at(line, "error");
        const auto* alert = line.if_contains("alert");
        facts.alert = alert && alert->is_int64();
        facts.certificate_shown = !text_at(line, "certificate_shown").empty();
    }
    return facts;
}

void merge(SessionFacts& into, const SessionFacts& from) {
    constexpr std::string SessionFacts::*texts[] = {
        &SessionFacts::session,     &SessionFacts::user,    &SessionFacts::database,    &SessionFacts::application_name,
        &SessionFacts::client_addr, &SessionFacts::version, &SessionFacts::negotiation, &SessionFacts::failed,
        &SessionFacts::sqlstate,    &SessionFacts::reason,  &SessionFacts::error};
    for (const auto text : texts) {
        if (!(from.*text).empty()) into.*text = from.*text;
    }
    if (from.ssl) into.ssl = from.ssl;
    if (from.sni) into.sni = from.sni;
    if (from.alpn) into.alpn = from.alpn;
    into.alert = into.alert || from.alert;
    into.certificate_shown = into.certificate_shown || from.certificate_shown;
    if (from.backend_pid != 0) into.backend_pid = from.backend_pid;
}

}  // namespace bench::replay
