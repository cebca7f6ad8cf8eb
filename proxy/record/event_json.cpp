#include "proxy/record/event_json.hpp"

#include <boost/json.hpp>
#include <ctime>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

namespace json = boost::json;

json::value text(std::string_view value) {
    return value.empty() ? json::value(nullptr) : json::value(protocol::as_utf8(value));
}

std::string timestamp(std::chrono::system_clock::time_point time) {
    const auto since_epoch = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
    const std::time_t seconds = static_cast<std::time_t>(since_epoch.count() / 1'000'000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    char whole[48];
    std::snprintf(whole, sizeof whole, "%s.%06dZ", date, static_cast<int>(since_epoch.count() % 1'000'000));
    return whole;
}

json::value role_or_null(protocol::HostRole role) {
    return role == protocol::HostRole::unknown ? json::value(nullptr) : json::value(protocol::to_string(role));
}

json::value why(const Event& event) {
    return event.reason == Reason::none ? json::value(nullptr) : json::value(label(event.reason));
}

json::array labels(const std::vector<protocol::Evidence>& evidence) {
    json::array out;
    for (const auto piece : evidence) out.emplace_back(protocol::label(piece));
    return out;
}

json::value process(const ProcessOwner* owner) {
    if (!owner) return nullptr;
    const Process known = owner->get(std::chrono::milliseconds(0));
    return json::object{{"pid", known.pid > 0 ? json::value(known.pid) : json::value(nullptr)},
                        {"exe", text(known.exe)},
                        {"uid", known.uid}};
}

json::value tls_at_front(const std::optional<protocol::ProxyTls>& tls) {
    if (!tls) return nullptr;
    return json::object{{"used", tls->used},
                        {"version", text(tls->version)},
                        {"cipher", text(tls->cipher)},
                        {"group", text(tls->group)},
                        {"certificate", tls->certificate},
                        {"verified", tls->verified},
                        {"common_name", text(tls->common_name)}};
}

/// Where no header is read, the fields are not there at all.
void add_front(json::object& line, const SessionRecord& record) {
    if (!record.front) return;
    const Front& front = *record.front;
    line["proxy_addr"] = text(front.addr);
    line["vpce_id"] = text(front.vpce_id);
    if (front.version == 0) return;
    line["front"] =
        json::object{{"version", front.version},
                     {"local", front.local},
                     {"named_client", front.named_client},
                     {"alpn", text(front.alpn)},
                     {"authority", text(front.authority)},
                     {"unique_id", text(front.unique_id)},
                     {"azure_link_id", front.azure_link_id ? json::value(*front.azure_link_id) : json::value(nullptr)},
                     {"tls", tls_at_front(front.tls)}};
}

void add_source(json::object& line, const SessionRecord& record) {
    line["session"] = text(record.session);
    line["listener"] = text(record.listener);
    line["upstream"] = text(record.upstream);
    line["client_addr"] = text(record.client_addr);
    line["client_port"] = record.session.empty() ? json::value(nullptr) : json::value(record.client_port);
    line["client_process"] = process(record.process.get());
    add_front(line, record);
}

/// Who it is, once a StartupMessage was read.
void add_identity(json::object& line, const SessionRecord& record) {
    line["datname"] = text(record.datname);
    line["usename"] = text(record.usename);
    line["application_name"] = text(record.application_name);
    line["ssl"] = record.ssl;
    line["version"] = text(record.client_tls.version);
    line["cipher"] = text(record.client_tls.cipher);
    line["negotiation"] = text(record.negotiation);
    line["client_dn"] = text(record.client_tls.client_dn);
}

void add_verdict(json::object& line, const SessionRecord& record) {
    const auto interval = record.sslmode();
    line["sslmode_min"] = protocol::to_string(interval.min);
    line["sslmode_max"] = protocol::to_string(interval.max);
    line["verifies"] = protocol::to_string(interval.verifies());
    line["evidence"] = labels(record.evidence);
}

void add_hello(json::object& line, const SessionRecord& record) {
    line["sni"] = text(record.sni);
    line["ja4"] = text(record.ja4);
    line["certificate_shown"] = text(record.client_tls.certificate_shown);
    line["not_probed"] = record.not_probed ? json::value(label(*record.not_probed)) : json::value(nullptr);
    line["probe"] = record.probe ? json::value(config::to_string(*record.probe)) : json::value(nullptr);
}

void add_upstream(json::object& line, const SessionRecord& record) {
    const tls::ServerTls& tls = record.upstream_tls;
    line["upstream_addr"] = text(record.upstream_addr);
    line["upstream_ssl"] = record.upstream_ssl;
    line["upstream_prewarmed"] = record.upstream_prewarmed;
    line["upstream_version"] = text(tls.version);
    line["upstream_cipher"] = text(tls.cipher);
    line["upstream_group"] = text(tls.group);
    line["upstream_issuer"] = text(tls.leaf ? tls.leaf->issuer : "");
    line["upstream_anchor"] = text(tls.anchor);
    line["upstream_anchor_file"] = text(tls.anchor_file);
    line["upstream_anchor_key_sha256"] = text(tls.anchor_key_sha256);
    line["upstream_not_after"] = text(tls.leaf ? tls::to_rfc3339(tls.leaf->not_after) : "");
    line["upstream_sslmode"] = text(record.upstream_sslmode);
    line["candidate_ok"] = tls.candidate_ok ? json::value(*tls.candidate_ok) : json::value(nullptr);
}

json::object timings(const Timings& t) {
    return {{"negotiation", t.negotiation.count()},
            {"client_tls", t.client_tls.count()},
            {"turn", t.turn.count()},
            {"host_wait", t.host_wait.count()},
            {"resolve", t.resolve.count()},
            {"connect", t.connect.count()},
            {"upstream_tls", t.upstream_tls.count()},
            {"failed_attempts", t.failed_attempts.count()},
            {"login", t.login.count()},
            {"total", t.total.count()}};
}

void add_authentication(json::object& line, const SessionRecord& record) {
    line["auth_method"] = text(record.auth_method);
    line["auth_bridge"] = protocol::to_string(record.auth_bridge);
    line["gs2_flag"] = record.gs2_flag ? json::value(std::string(1, record.gs2_flag)) : json::value(nullptr);
}

void add_connected(json::object& line, const SessionRecord& record) {
    add_identity(line, record);
    line["replication"] = text(record.replication);
    line["protocol"] = text(record.protocol);
    line["bits"] = record.ssl ? json::value(record.client_tls.bits) : json::value(nullptr);
    line["group"] = text(record.client_tls.group);
    line["alpn"] = text(record.client_tls.alpn);
    line["resumed"] = record.client_tls.resumed;
    add_hello(line, record);
    add_verdict(line, record);
    line["weak"] = record.weak();
    add_authentication(line, record);
    line["backend_pid"] = record.backend_pid;
    add_upstream(line, record);
    line["upstream_role"] = role_or_null(record.upstream_role);
    line["upstream_addr_stale"] = record.upstream_addr_stale;
    line["failed_attempts"] = record.failed_attempts;
    line["timings_us"] = timings(record.timings);
}

void add_certificate(json::object& line, const Event& event) {
    const SessionRecord& record = event.record;
    const tls::ServerTls& tls = record.upstream_tls;
    line["upstream_addr"] = text(record.upstream_addr);
    line["subject"] = text(tls.leaf->subject);
    json::array& sans = line["sans"].emplace_array();
    for (const std::string& name : tls::first_names(tls.leaf->sans)) sans.emplace_back(protocol::as_utf8(name));
    line["issuer"] = text(tls.leaf->issuer);
    line["anchor"] = text(tls.anchor);
    line["serial"] = tls.leaf->serial;
    line["sha256"] = tls.leaf->sha256;
    line["not_before"] = tls::to_rfc3339(tls.leaf->not_before);
    line["not_after"] = tls::to_rfc3339(tls.leaf->not_after);
    line["candidate_ok"] = tls.candidate_ok ? json::value(*tls.candidate_ok) : json::value(nullptr);
    line["issuer_key_id"] = text(tls.leaf->issuer_key_id);
    line["anchor_key_sha256"] = text(tls.anchor_key_sha256);
    line["group"] = text(tls.group);
    line["ca"] = to_string(ca_change(event));
    const ShownCertificate before = event.shown_before ? *event.shown_before : ShownCertificate{};
    line["issuer_before"] = text(before.issuer);
    line["anchor_before"] = text(before.anchor);
    line["issuer_key_id_before"] = text(before.issuer_key_id);
    line["anchor_key_sha256_before"] = text(before.anchor_key_sha256);
    line["sha256_before"] = text(before.sha256);
    line["upstream_addr_before"] = text(before.upstream_addr);
    line["not_told"] = event.count;
}

void add_disconnected(json::object& line, const Event& event) {
    const SessionRecord& record = event.record;
    add_identity(line, record);
    line["duration_us"] = event.duration.count();
    line["bytes_from_client"] = record.bytes_from_client;
    line["bytes_from_server"] = record.bytes_from_server;
    line["reason"] = why(event);
    line["sqlstate"] = text(event.sqlstate);
}

void add_tls_failed(json::object& line, const Event& event) {
    line["alert"] = event.alert >= 0 ? json::value(event.alert) : json::value(nullptr);
    line["negotiation"] = text(event.record.negotiation);
    add_hello(line, event.record);
    add_verdict(line, event.record);
    line["error"] = text(event.message);
    line["reason"] = why(event);
}

void add_auth_failed(json::object& line, const Event& event) {
    add_identity(line, event.record);
    add_verdict(line, event.record);
    add_authentication(line, event.record);
    line["upstream_addr"] = text(event.record.upstream_addr);
    line["sqlstate"] = text(event.sqlstate);
    line["message"] = text(event.message);
    line["reason"] = why(event);
}

void add_rejected(json::object& line, const Event& event) {
    add_identity(line, event.record);
    line["evidence"] = labels(event.record.evidence);
    const auto& looks_like = event.record.looks_like;
    line["looks_like"] = looks_like ? json::value(protocol::label(*looks_like)) : json::value(nullptr);
    line["reason"] = why(event);
    line["sqlstate"] = text(event.sqlstate);
}

void add_upstream_failed(json::object& line, const Event& event) {
    add_identity(line, event.record);
    line["upstream_addr"] = text(event.record.upstream_addr);
    line["error"] = text(event.message);
    line["verify_error"] = text(event.verify_error);
    line["sqlstate"] = text(event.sqlstate);
    line["reason"] = why(event);
}

void add_cancel(json::object& line, const Event& event) {
    line["ssl"] = event.ssl;
    line["matched"] = event.matched;
    line["limited"] = event.limited;
    line["upstream_addr"] = text(event.record.upstream_addr);
    line["error"] = text(event.message);
}

void add_client_changed(json::object& line, const Event& event) {
    add_identity(line, event.record);
    add_verdict(line, event.record);
    line["weaker"] = event.weaker;
    line["message"] = text(event.message);
}

void add_new_weak_client(json::object& line, const Event& event) {
    add_identity(line, event.record);
    add_verdict(line, event.record);
}

/// Of any kind; only one that a server has shown has an upstream_addr.
void add_expiring(json::object& line, const Event& event) {
    const auto& leaf = event.record.upstream_tls.leaf;
    line["upstream_addr"] = text(event.record.upstream_addr);
    line["subject"] = text(leaf ? leaf->subject : "");
    line["issuer"] = text(leaf ? leaf->issuer : "");
    line["serial"] = text(leaf ? leaf->serial : "");
    line["sha256"] = text(leaf ? leaf->sha256 : "");
    line["not_before"] = text(leaf ? tls::to_rfc3339(leaf->not_before) : "");
    line["not_after"] = text(leaf ? tls::to_rfc3339(leaf->not_after) : "");
    const ExpiryNote note = event.expiry ? *event.expiry : ExpiryNote();
    line["certificate_kind"] = tls::label(note.use);
    line["file"] = text(note.file);
    line["alert"] = text(note.alert);
    line["moment"] = text(note.moment);
    line["days_left"] = note.days_left;
    line["message"] = text(event.message);
    line["not_told"] = event.count;
}

void add_role_change(json::object& line, const Event& event) {
    const RoleNote note = event.role ? *event.role : RoleNote();
    line["upstream_addr"] = text(event.record.upstream_addr);
    line["host"] = text(note.host);
    line["role_before"] = role_or_null(note.before);
    line["role"] = role_or_null(note.now);
    line["source"] = text(note.source);
}

void add_capture(json::object& line, const Event& event) {
    const CaptureNote note = event.capture ? *event.capture : CaptureNote();
    line["capture"] = note.id;
    line["by"] = text(note.by);
    line["payload"] = note.payload;
    line["trigger"] = note.trigger;
    line["filter"] = text(note.filter);
    line["keylog"] = note.keylog;
    line["allow_secrets"] = note.allow_secrets;
    line["where"] = text(note.where);
    line["until"] = note.until ? json::value(timestamp(*note.until)) : json::value(nullptr);
    if (event.kind == EventKind::capture_started) return;
    line["reason"] = note.reason;
    line["message"] = text(event.message);
    line["sessions"] = note.sessions;
    line["packets"] = note.packets;
    line["bytes"] = note.bytes;
    line["dropped"] = note.dropped;
    line["left_out"] = note.left_out;
    line["not_entered"] = note.not_entered;
    line["entries_dropped"] = note.entries_dropped;
    line["rests"] = note.rests;
    line["files_removed"] = note.files_removed;
    line["stopped_by"] = text(note.stopped_by);
}

}  // namespace

std::string to_json(const Event& event, std::string_view proxy) {
    json::object line;
    line["ts"] = timestamp(event.time);
    line["event"] = label(event.kind);
    if (!proxy.empty()) line["proxy"] = protocol::as_utf8(proxy);
    add_source(line, event.record);
    switch (event.kind) {
        case EventKind::connected: add_connected(line, event.record); break;
        case EventKind::disconnected: add_disconnected(line, event); break;
        case EventKind::tls_failed: add_tls_failed(line, event); break;
        case EventKind::auth_failed:
        case EventKind::oauth_discovery: add_auth_failed(line, event); break;
        case EventKind::rejected: add_rejected(line, event); break;
        case EventKind::upstream_failed: add_upstream_failed(line, event); break;
        case EventKind::cancel: add_cancel(line, event); break;
        case EventKind::upstream_certificate: add_certificate(line, event); break;
        case EventKind::client_changed: add_client_changed(line, event); break;
        case EventKind::new_weak_client: add_new_weak_client(line, event); break;
        case EventKind::certificate_expiring: add_expiring(line, event); break;
        case EventKind::console_command:
            line["by"] = text(event.by);
            line["message"] = text(event.message);
            break;
        case EventKind::host_role_changed: add_role_change(line, event); break;
        case EventKind::events_dropped: line["count"] = event.count; break;
        case EventKind::capture_started:
        case EventKind::capture_stopped: add_capture(line, event); break;
        case EventKind::upgraded:
            line["pid"] = event.pid;
            line["sessions"] = event.count;
            line["message"] = text(event.message);
            break;
        case EventKind::upgrade_failed:
        case EventKind::started:
        case EventKind::stopping:
        case EventKind::reloaded:
        case EventKind::reload_failed:
        case EventKind::inventory_failed: line["message"] = text(event.message); break;
    }
    return protocol::printable_json(json::serialize(line));
}

}  // namespace proxy
