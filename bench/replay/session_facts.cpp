#include "bench/replay/session_facts.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace bench::replay {
namespace {

/// Ours are shorter than 4 KiB; a file may have anything.
constexpr std::size_t max_event = 64 * 1024;
constexpr std::size_t max_fact = 512;

/// `key=value key="quoted \" value"`: the first pair is taken off. False: there is none.
bool take_pair(std::string_view& rest, std::string& key, std::string& value) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::size_t equals = rest.find_first_of("= ");
    if (equals == std::string_view::npos || rest[equals] != '=') return false;
    key = rest.substr(0, equals);
    rest.remove_prefix(equals + 1);
    value.clear();
    if (!rest.starts_with('"')) {
        value = rest.substr(0, rest.find(' '));
        rest.remove_prefix(value.size());
        return true;
    }
    std::size_t at = 1;
    for (; at < rest.size() && rest[at] != '"'; ++at) {
        if (rest[at] == '\\' && at + 1 < rest.size()) ++at;
        value += rest[at];
    }
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return true;
}

std::string text_at(const boost::json::object& line, std::string_view key) {
    const auto* value = line.if_contains(key);
    return value && value->is_string() ? std::string(value->get_string()).substr(0, max_fact) : "";
}

}  // namespace

bool take_comment(SessionFacts& facts, std::string_view comment) {
    if (!comment.starts_with("session=")) return false;
    std::string key;
    std::string value;
    while (take_pair(comment, key, value)) {
        value.resize(std::min(value.size(), max_fact));
        if (key == "session") facts.session = value;
        if (key == "user") facts.user = value;
        if (key == "database") facts.database = value;
        if (key == "application_name") facts.application_name = value;
        if (key == "client_addr") facts.client_addr = value;
        if (key == "ssl") facts.ssl = value == "true";
        if (key == "version") facts.version = value;
        if (key == "joined") facts.joined = value == "true";
        if (key == "content") facts.records = value == "tls-records";
    }
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
    }
    return facts;
}

void merge(SessionFacts& into, const SessionFacts& from) {
    constexpr std::string SessionFacts::*texts[] = {
        &SessionFacts::session,          &SessionFacts::user,        &SessionFacts::database,
        &SessionFacts::application_name, &SessionFacts::client_addr, &SessionFacts::version,
        &SessionFacts::negotiation,      &SessionFacts::failed,      &SessionFacts::sqlstate};
    for (const auto text : texts) {
        if (!(from.*text).empty()) into.*text = from.*text;
    }
    if (from.ssl) into.ssl = from.ssl;
    if (from.sni) into.sni = from.sni;
    if (from.alpn) into.alpn = from.alpn;
    if (from.backend_pid != 0) into.backend_pid = from.backend_pid;
}

std::string payload_of(std::string_view comment) {
    constexpr std::string_view key = "payload=";
    const std::size_t at = comment.find(key);
    if (at == std::string_view::npos) return {};
    const std::string_view value = comment.substr(at + key.size());
    return std::string(value.substr(0, value.find_first_of("; ")));
}

}  // namespace bench::replay
