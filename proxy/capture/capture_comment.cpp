#include "proxy/capture/capture_comment.hpp"

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
    const std::string_view meaning = alert_meaning(event.alert);
    if (!meaning.empty()) comment.append(": ").append(meaning);
    return comment;
}

std::string_view alert_meaning(int alert) noexcept {
    switch (alert) {
        case 10: return "it did not expect this message now";
        case 20: return "a record did not authenticate";
        case 40: return "no common cipher, group or signature algorithm";
        case 42: return "the certificate that it was shown is damaged, or of no use to it";
        case 43: return "it does not take certificates of this kind";
        case 44: return "the certificate that it was shown is revoked";
        case 45: return "the certificate that it was shown has expired, or is not valid yet";
        case 46: return "something else is wrong with the certificate that it was shown, such as its name";
        case 47: return "a value in the handshake is out of range";
        case 48: return "it does not trust the issuer of the certificate that it was shown";
        case 49: return "it knows the certificate, and does not let its owner in";
        case 50: return "it could not read a message of the handshake";
        case 51: return "a signature or key exchange of the handshake is wrong";
        case 70: return "no common TLS version";
        case 71: return "the offered ciphers or keys are too weak for it";
        case 80: return "an error of its own";
        case 86: return "it was offered an older TLS version than both sides have";
        case 90: return "its user gave up";
        case 109: return "an extension is missing in the handshake";
        case 110: return "an extension that it does not support";
        case 112: return "it does not know the name that was asked for (SNI)";
        case 116: return "it demands a certificate, and got none";
        case 120: return "no common application protocol (ALPN)";
        default: return {};
    }
}

}  // namespace proxy
