#include "proxy/observation/event.hpp"

#include "protocol/client_hello.hpp"
#include "protocol/utf8.hpp"

namespace proxy {
namespace {

/// Short texts are within the string itself.
std::size_t heap(const std::string& text) noexcept {
    static const std::size_t within = std::string().capacity();
    return text.capacity() > within ? text.capacity() + 1 : 0;
}

std::size_t heap(const SessionRecord& r) noexcept {
    std::size_t bytes = r.evidence.capacity() * sizeof(protocol::Evidence);
    for (const std::string* text : {&r.session,
                                    &r.listener,
                                    &r.upstream,
                                    &r.client_addr,
                                    &r.datname,
                                    &r.usename,
                                    &r.application_name,
                                    &r.replication,
                                    &r.protocol,
                                    &r.negotiation,
                                    &r.client_tls.version,
                                    &r.client_tls.cipher,
                                    &r.client_tls.group,
                                    &r.client_tls.alpn,
                                    &r.client_tls.client_dn,
                                    &r.client_tls.certificate_shown,
                                    &r.client_tls.certificate_id,
                                    &r.sni,
                                    &r.ja4,
                                    &r.auth_method,
                                    &r.upstream_addr,
                                    &r.upstream_tls.version,
                                    &r.upstream_tls.cipher,
                                    &r.upstream_tls.group,
                                    &r.upstream_tls.anchor,
                                    &r.upstream_tls.anchor_file,
                                    &r.upstream_tls.anchor_key_sha256,
                                    &r.upstream_sslmode})
        bytes += heap(*text);
    return bytes;
}

}  // namespace

namespace {

/// Cut as PostgreSQL cuts it, byte by byte, and only then made UTF-8: what becomes longer by that
/// must not make two names one.
std::string name(std::string_view text) { return protocol::as_distinct_utf8(text.substr(0, max_name)); }

}  // namespace

void SessionRecord::take_names(const protocol::StartupMessage& startup) {
    usename = name(startup.find("user"));
    datname = name(startup.database());
    application_name = name(startup.find("application_name"));
    replication = name(startup.find("replication"));
}

void SessionRecord::take_server_name(std::string_view name) {
    sni = protocol::as_utf8(name, protocol::max_server_name);
}

/// Its executable as far as it has been found by now.
ClientOrigin SessionRecord::origin() const {
    ClientOrigin origin{.upstream = upstream, .client_addr = client_addr, .client_exe = {}};
    if (!process) return origin;
    const Process known = process->get(std::chrono::milliseconds(0));
    origin.client_exe = known.exe;
    origin.client_uid = known.uid;
    return origin;
}

bool SessionRecord::weak() const noexcept {
    const bool perhaps_clear_to_front = ssl && tls_is_of_front() && !front->ends_tls();
    return !ssl || sslmode().verifies() == protocol::Verifies::no || weak_tls() || perhaps_clear_to_front;
}

bool SessionRecord::weak_tls() const noexcept {
    const bool old_at_front = front && front->ends_tls() && front->tls->version != "TLSv1.2" &&
                              front->tls->version != "TLSv1.3";  // what is not said is not known to be new
    return client_tls.weak || (ssl && old_at_front);
}

const std::string& SessionRecord::tls_version() const noexcept {
    const bool ends_there = ssl && front && front->ends_tls() && !front->tls->version.empty();
    return ends_there ? front->tls->version : client_tls.version;
}

/// A front that says that its client came without TLS may put TLS around that: only direct TLS, as
/// SSLRequest is PostgreSQL's own. Or the client's own was passed through; nobody can tell.
bool SessionRecord::tls_is_of_front() const noexcept {
    return front && front->tls && (front->tls->used || negotiation.ends_with("direct"));
}

std::string_view label(EventKind kind) noexcept {
    switch (kind) {
        case EventKind::connected: return "connected";
        case EventKind::disconnected: return "disconnected";
        case EventKind::tls_failed: return "tls_failed";
        case EventKind::auth_failed: return "auth_failed";
        case EventKind::oauth_discovery: return "oauth_discovery";
        case EventKind::rejected: return "rejected";
        case EventKind::upstream_failed: return "upstream_failed";
        case EventKind::cancel: return "cancel";
        case EventKind::started: return "started";
        case EventKind::stopping: return "stopping";
        case EventKind::reloaded: return "reloaded";
        case EventKind::reload_failed: return "reload_failed";
        case EventKind::upgraded: return "upgraded";
        case EventKind::upgrade_failed: return "upgrade_failed";
        case EventKind::upstream_certificate: return "upstream_certificate";
        case EventKind::client_changed: return "client_changed";
        case EventKind::inventory_failed: return "inventory_failed";
        case EventKind::capture_started: return "capture_started";
        case EventKind::capture_stopped: return "capture_stopped";
        case EventKind::console_command: return "console_command";
        case EventKind::new_weak_client: return "new_weak_client";
        case EventKind::certificate_expiring: return "certificate_expiring";
        case EventKind::host_role_changed: return "host_role_changed";
        case EventKind::events_dropped: return "events_dropped";
    }
    return "";
}

std::string_view to_string(CaChange change) noexcept {
    switch (change) {
        case CaChange::first: return "first";
        case CaChange::same: return "same";
        case CaChange::other: return "other";
        case CaChange::unknown: return "unknown";
    }
    return "";
}

ShownCertificate shown_certificate(const SessionRecord& record) {
    const tls::ServerTls& tls = record.upstream_tls;
    return {.upstream = record.upstream,
            .upstream_addr = record.upstream_addr,
            .sha256 = tls.leaf ? tls.leaf->sha256 : "",
            .issuer = tls.leaf ? tls.leaf->issuer : "",
            .issuer_key_id = tls.leaf ? tls.leaf->issuer_key_id : "",
            .anchor = tls.anchor,
            .anchor_key_sha256 = tls.anchor_key_sha256};
}

bool is_other_ca(const Authority& before, const Authority& now) noexcept {
    const auto differ = [](std::string_view a, std::string_view b) { return !a.empty() && !b.empty() && a != b; };
    return before.issuer != now.issuer || differ(before.issuer_key_id, now.issuer_key_id) ||
           differ(before.anchor, now.anchor) || differ(before.anchor_key_sha256, now.anchor_key_sha256);
}

CaChange ca_change(const Event& event) noexcept {
    if (!event.shown_before) return CaChange::first;
    const ShownCertificate& before = *event.shown_before;
    const tls::ServerTls& now = event.record.upstream_tls;
    if (!now.leaf) return CaChange::other;
    const bool is_other = is_other_ca({before.issuer, before.issuer_key_id, before.anchor, before.anchor_key_sha256},
                                      {now.leaf->issuer, now.leaf->issuer_key_id, now.anchor, now.anchor_key_sha256});
    if (is_other) return CaChange::other;
    // Two authorities may have one name; only the keys of two chains that were verified say it.
    const bool known = !before.anchor_key_sha256.empty() && !now.anchor_key_sha256.empty();
    return known ? CaChange::same : CaChange::unknown;
}

std::size_t footprint(const Event& event) noexcept {
    const std::size_t front = event.record.front ? footprint(*event.record.front) : 0;
    return sizeof event + front + heap(event.record) + heap(event.sqlstate) + heap(event.message) +
           heap(event.verify_error) + heap(event.by);
}

}  // namespace proxy
