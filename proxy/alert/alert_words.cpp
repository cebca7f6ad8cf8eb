#include "proxy/alert/alert_words.hpp"

#include <algorithm>
#include <optional>

#include "config/keys.hpp"
#include "protocol/utf8.hpp"

namespace proxy {
namespace {

using config::AlertKind;

/// Of what `kind` tells, the part that has a word of its own.
std::optional<AlertKind> narrower(AlertKind kind) noexcept {
    switch (kind) {
        case AlertKind::client_changed: return AlertKind::client_weakened;
        case AlertKind::upstream_failed: return AlertKind::upstream_unverified;
        default: return std::nullopt;
    }
}

/// Errors of a whole configuration are long.
constexpr std::size_t max_line = 500;

struct Words {
    std::string_view one;
    std::string_view many;  ///< behind a number
    std::string_view over;
};

Words words_of(AlertKind kind) noexcept {
    switch (kind) {
        case AlertKind::new_weak_client: return {"a new weak client", "new weak clients", ""};
        case AlertKind::client_changed: return {"a client changed", "clients changed", ""};
        case AlertKind::client_weakened: return {"a client became weaker", "clients became weaker", ""};
        case AlertKind::certificate_expiring:
            return {"a certificate is near its end", "certificates are near their end", ""};
        case AlertKind::upstream_certificate:
            return {"a server shows a new certificate", "times a server shows a new certificate", ""};
        case AlertKind::upstream_unverified:
            return {"a server could not be verified", "times a server could not be verified",
                    "the server is verified again"};
        case AlertKind::upstream_failed:
            return {"a login found no server", "logins found no server", "logins find a server again"};
        case AlertKind::host_role_changed: return {"a server changed its role", "changes of servers' roles", ""};
        case AlertKind::reload_failed: return {"a reload failed", "reloads failed", "the configuration was reloaded"};
        case AlertKind::events_dropped: return {"audit events were dropped", "times audit events were dropped", ""};
        case AlertKind::inventory_failed:
            return {"the inventory is not complete", "times the inventory was not complete", ""};
        case AlertKind::capture_started: return {"a capture was started", "captures were started", ""};
        case AlertKind::capture_stopped: return {"a capture stopped", "captures stopped", ""};
        case AlertKind::console_command: return {"a command on the console", "commands on the console", ""};
        case AlertKind::started: return {"pgairlock has started", "starts of pgairlock", ""};
        case AlertKind::stopping: return {"pgairlock is stopping", "stops of pgairlock", ""};
    }
    return {};
}

std::string or_what(const std::string& text, std::string_view otherwise) {
    return text.empty() ? std::string(otherwise) : text;
}

/// "app@orders from 10.0.0.7 (psql) at listener legacy"
std::string client_text(const SessionRecord& record) {
    std::string text = or_what(record.usename, "?") + "@" + or_what(record.datname, "?") + " from " +
                       or_what(record.client_addr, "this host");
    if (!record.application_name.empty()) text += " (" + record.application_name + ")";
    if (!record.listener.empty()) text += " at listener " + record.listener;
    return text;
}

std::string weakness_text(const SessionRecord& record) {
    if (!record.ssl) return "in clear text";
    if (record.sslmode().verifies() == protocol::Verifies::no)
        return "with " + record.client_tls.version + ", and does not verify us";
    return "with " + record.client_tls.version;
}

std::string server_text(const SessionRecord& record) {
    return record.upstream + (record.upstream_addr.empty() ? "" : " at " + record.upstream_addr);
}

/// Messages of attempts begin with their address: it is told once.
std::string failure_text(const Event& event) {
    const SessionRecord& record = event.record;
    const std::string why = or_what(event.verify_error, or_what(event.message, "failed"));
    const bool has_address = !record.upstream_addr.empty() && why.starts_with(record.upstream_addr + ": ");
    return (has_address ? record.upstream : server_text(record)) + ": " + why;
}

std::string certificate_text(const Event& event) {
    const auto& leaf = event.record.upstream_tls.leaf;
    const std::string who = event.expiry && event.record.upstream_addr.empty() ? event.expiry->what
                            : event.record.upstream.empty()                    ? "listener " + event.record.listener
                                                                               : server_text(event.record);
    if (!leaf) return who;
    return who + ": " + leaf->subject + ", issued by " + leaf->issuer + ", until " + tls::to_rfc3339(leaf->not_after);
}

std::string ca_text(const Event& event) {
    switch (ca_change(event)) {
        case CaChange::first: return "; no other one of this upstream is known";
        case CaChange::same: return "; from the same CA as the one before";
        case CaChange::unknown: return "; whether from the CA of before is not known: not both were verified";
        case CaChange::other: break;
    }
    const ShownCertificate before = event.shown_before ? *event.shown_before : ShownCertificate{};
    const ShownCertificate now = shown_certificate(event.record);
    if (before.sha256 == now.sha256 && before.upstream_addr == now.upstream_addr)
        return "; the certificate of before, verified by another CA than then, which was " +
               or_what(before.anchor, "?");
    if (before.issuer == now.issuer && (before.anchor.empty() || now.anchor.empty() || before.anchor == now.anchor))
        return "; from another CA than the one before: of the same name, with another key";
    return "; from another CA than the one before, which was issued by " + or_what(before.issuer, "?") +
           (before.anchor.empty() ? "" : ", under " + before.anchor);
}

/// "orders at 10.0.0.2:5432 (db-2.internal:5432) is a primary now, and was a standby"
std::string role_text(const Event& event) {
    if (!event.role) return server_text(event.record);
    const RoleNote& role = *event.role;
    const bool has_name = !role.host.empty() && role.host != event.record.upstream_addr;
    return server_text(event.record) + (has_name ? " (" + role.host + ")" : "") + " is a " +
           std::string(protocol::to_string(role.now)) + " now, and was a " +
           std::string(protocol::to_string(role.before));
}

std::string capture_text(const Event& event) {
    if (!event.capture) return event.message;
    const CaptureNote& note = *event.capture;
    std::string text = "capture " + std::to_string(note.id) + " by " + note.by + ", payload " + note.payload;
    if (event.kind == EventKind::capture_stopped) text += ": " + note.reason;
    return text;
}

std::string text_of(AlertKind kind, const Event& event) {
    const SessionRecord& record = event.record;
    switch (kind) {
        case AlertKind::new_weak_client: return client_text(record) + ", " + weakness_text(record);
        case AlertKind::client_changed:
        case AlertKind::client_weakened: return client_text(record) + ": " + event.message;
        case AlertKind::certificate_expiring: return certificate_text(event) + ": " + event.message;
        case AlertKind::upstream_certificate: return certificate_text(event) + ca_text(event);
        case AlertKind::upstream_unverified:
        case AlertKind::upstream_failed: return failure_text(event);
        case AlertKind::host_role_changed: return role_text(event);
        case AlertKind::events_dropped: return std::to_string(event.count) + " events are not in the audit";
        case AlertKind::capture_started:
        case AlertKind::capture_stopped: return capture_text(event);
        case AlertKind::console_command: return event.by + ": " + event.message;
        case AlertKind::reload_failed:
        case AlertKind::inventory_failed:
        case AlertKind::started:
        case AlertKind::stopping: break;
    }
    return event.message;
}

}  // namespace

std::string_view to_string(AlertStatus status) noexcept {
    switch (status) {
        case AlertStatus::firing: return "firing";
        case AlertStatus::resolved: return "resolved";
        case AlertStatus::test: return "test";
    }
    return "";
}

std::string_view to_string(AlertKind kind) noexcept {
    return config::names<AlertKind>()[static_cast<std::size_t>(kind)];
}

bool concerns(AlertKind kind, const Event& event) noexcept {
    switch (kind) {
        case AlertKind::new_weak_client: return event.kind == EventKind::new_weak_client;
        case AlertKind::client_changed: return event.kind == EventKind::client_changed;
        case AlertKind::client_weakened: return event.kind == EventKind::client_changed && event.weaker;
        case AlertKind::certificate_expiring: return event.kind == EventKind::certificate_expiring;
        case AlertKind::upstream_certificate: return event.kind == EventKind::upstream_certificate;
        case AlertKind::upstream_unverified:
            return event.kind == EventKind::upstream_failed && !event.verify_error.empty();
        case AlertKind::upstream_failed: return event.kind == EventKind::upstream_failed;
        case AlertKind::host_role_changed: return event.kind == EventKind::host_role_changed;
        case AlertKind::reload_failed: return event.kind == EventKind::reload_failed;
        case AlertKind::events_dropped: return event.kind == EventKind::events_dropped;
        case AlertKind::inventory_failed: return event.kind == EventKind::inventory_failed;
        case AlertKind::capture_started: return event.kind == EventKind::capture_started;
        case AlertKind::capture_stopped: return event.kind == EventKind::capture_stopped;
        case AlertKind::console_command: return event.kind == EventKind::console_command;
        case AlertKind::started: return event.kind == EventKind::started;
        case AlertKind::stopping: return event.kind == EventKind::stopping;
    }
    return false;
}

bool ends(AlertKind kind, const Event& event) noexcept {
    switch (kind) {
        case AlertKind::reload_failed: return event.kind == EventKind::reloaded;
        case AlertKind::upstream_failed:
        case AlertKind::upstream_unverified: return event.kind == EventKind::connected;
        default: return false;
    }
}

bool is_told_by_another(AlertKind kind, const std::vector<AlertKind>& all, const Event& event) noexcept {
    const auto other = narrower(kind);
    return other && std::find(all.begin(), all.end(), *other) != all.end() && concerns(*other, event);
}

bool can_end(AlertKind kind) noexcept { return !words_of(kind).over.empty(); }

std::string alert_line(AlertKind kind, const Event& event) {
    return protocol::printable(protocol::as_utf8(text_of(kind, event), max_line));
}

std::string alert_title(AlertKind kind, AlertStatus status, std::uint64_t count) {
    const Words words = words_of(kind);
    if (status == AlertStatus::test) return "a test: nothing has happened";
    if (status == AlertStatus::resolved) return std::string(words.over);
    return count == 1 ? std::string(words.one) : std::to_string(count) + " " + std::string(words.many);
}

std::string how_long(std::chrono::steady_clock::duration time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
    const auto minutes = seconds / 60, hours = minutes / 60;
    const auto both = [](auto large, const char* unit, auto small, const char* smaller) {
        return std::to_string(large) + unit + (small > 0 ? " " + std::to_string(small) + smaller : std::string());
    };
    if (seconds < 1) return "less than a second";
    if (minutes < 1) return std::to_string(seconds) + " s";
    if (hours < 1) return both(minutes, " min", seconds % 60, " s");
    if (hours < 24) return both(hours, " h", minutes % 60, " min");
    return both(hours / 24, " d", hours % 24, " h");
}

}  // namespace proxy
