#include "proxy/capture/capture_comment.hpp"

#include "protocol/alert_meaning.hpp"
#include "protocol/captured_absence.hpp"
#include "protocol/utf8.hpp"

namespace proxy {
namespace {

/// As it is, or in quotes where it would not be one word.
std::string quoted(std::string_view value) {
    const std::string shown = protocol::printable(value);
    if (shown.find_first_of(" \"\\=") == std::string::npos) return shown;
    std::string out = "\"";
    for (const char c : shown) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

void append_field(std::string& comment, std::string_view key, std::string_view value) {
    if (value.empty()) return;
    if (!comment.empty()) comment += ' ';
    comment.append(key).append("=").append(quoted(value));
}

}  // namespace

std::string opening_comment(const SessionRecord& record, const ConversationFacts& facts) {
    std::string comment;
    append_field(comment, "session", record.session);
    append_field(comment, "user", record.usename);
    append_field(comment, "database", record.datname);
    append_field(comment, "application_name", record.application_name);
    append_field(comment, "client_addr", record.client_addr);
    append_field(comment, "ssl", record.ssl ? "true" : "false");
    append_field(comment, "version", record.client_tls.version);
    const protocol::SslModeInterval interval = record.sslmode();
    append_field(
        comment, "sslmode",
        std::string(protocol::to_string(interval.min)) + ".." + std::string(protocol::to_string(interval.max)));
    append_field(comment, "verifies", protocol::to_string(interval.verifies()));
    append_field(comment, "listener", record.listener);
    append_field(comment, "leg", facts.leg == tls::Leg::client ? "client" : "server");
    if (facts.leg == tls::Leg::server) {
        append_field(comment, "upstream", record.upstream);
        append_field(comment, "upstream_version", record.upstream_tls.version);
    }
    append_field(comment, "to", facts.to);
    if (facts.records) append_field(comment, "content", "tls-records");
    if (facts.joined) append_field(comment, label(protocol::Absence::joined), "true");
    if (facts.prewarmed) append_field(comment, label(protocol::Absence::prewarmed), "true");
    return comment;
}

Event as_captured(Event event, protocol::Payload payload) {
    if (payload != protocol::Payload::full && event.reason == Reason::server_denied) event.message.clear();
    return event;
}

std::string failure_comment(const Event& event) {
    std::string comment(label(event.kind));
    if (event.reason != Reason::none) comment += " reason=" + std::string(label(event.reason));
    if (!event.sqlstate.empty()) comment += " sqlstate=" + event.sqlstate;
    if (!event.message.empty()) comment += ": " + protocol::printable(event.message);
    if (!event.verify_error.empty()) comment += " (" + protocol::printable(event.verify_error) + ")";
    const std::string_view meaning = protocol::alert_meaning(event.alert);
    if (!meaning.empty()) comment.append(": ").append(meaning);
    return comment;
}

}  // namespace proxy
