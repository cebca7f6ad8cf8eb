#include "proxy/inventory/learning.hpp"

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using protocol::Evidence;

/// Some 40 MiB, when nothing can be stored.
constexpr std::size_t max_pending_rows = 100'000;
/// More than a machine has ports for one address; those above count at their login alone.
constexpr std::size_t max_open_sessions = 100'000;

constexpr std::size_t max_error = 500;

/// A file is renewed in place: who accepted what it held before may refuse what it holds now.
std::string certificate(const SessionRecord& record) {
    const tls::ClientTls& tls = record.client_tls;
    return tls.certificate_id.empty() ? tls.certificate_shown : tls.certificate_shown + " " + tls.certificate_id;
}

/// Beside which a piece of evidence is kept: the certificate that was shown, or what a front saw.
std::string shown_with(const SessionRecord& record, Evidence piece) {
    const bool is_fronts = record.front && record.front->ends_tls() &&
                           (piece == Evidence::tls_at_front || piece == Evidence::client_certificate);
    return is_fronts ? "front: " + record.front->tls_text() : certificate(record);
}

/// A load balancer that asks for itself is nobody's client.
bool is_of_front_itself(const SessionRecord& record) { return record.front && record.front->local; }

/// pg_isready asks whether somebody answers, and goes: it is nobody's application. Where it need
/// not prove who it is, or knows the password, it logs in before it goes: then its end shows
/// whether it was one.
bool is_health_check(const Event& event) { return event.record.application_name == "pg_isready"; }

/// More than come in a minute; those beyond are clients at once.
constexpr std::size_t max_held_checks = 1'000;
/// Whoever stays so long is none.
constexpr auto longest_check = 10s;
/// Terminate (PostgreSQL docs, "Message Formats"): all that a health check says after its login.
constexpr std::uint64_t terminate_size = 5;

/// As the audit has it, and so without any secret.
std::string failure_error(const Event& event) {
    const std::string words = event.message.empty() ? std::string(sentence(event.reason)) : event.message;
    return protocol::as_utf8(event.sqlstate + (event.sqlstate.empty() || words.empty() ? "" : ": ") + words, max_error);
}

std::string mode(const SessionRecord& record) { return record.ssl ? record.tls_version() : "plain"; }

}  // namespace

Learning::Learning(const std::string& name_pattern)
    : name_pattern_(name_pattern.empty() ? std::nullopt : std::optional<std::regex>(name_pattern)) {}

void Learning::absorb(const Event& event) {
    if (is_of_front_itself(event.record)) {
        if (event.kind != EventKind::connected) return;
        absorb_certificate(event);
        changes_.oldest = std::min(changes_.oldest, to_timestamp(event.time));
        return;
    }
    if (event.kind == EventKind::disconnected) {
        decide_check(event);
        return absorb_end(event);
    }
    const bool may_be_check = event.kind == EventKind::connected && is_health_check(event);
    if (may_be_check && checks_.size() < max_held_checks) {
        checks_.insert_or_assign(event.record.session, HeldCheck{.login = event, .since = Clock::now()});
    } else {
        absorb_now(event);
    }
}

/// One that has said something after its login was a client. What its server showed is kept in any
/// case.
void Learning::decide_check(const Event& end) {
    const auto held = checks_.extract(end.record.session);
    if (held.empty()) return;
    const Event& login = held.mapped().login;
    if (end.record.bytes_from_client > terminate_size || login.record.probe_end) return absorb_now(login);
    absorb_certificate(login);
    changes_.oldest = std::min(changes_.oldest, to_timestamp(login.time));
}

void Learning::decide_long_checks() {
    for (auto check = checks_.begin(); check != checks_.end();) {
        const bool is_long = Clock::now() - check->second.since >= longest_check;
        if (is_long) absorb_now(check->second.login);
        check = is_long ? checks_.erase(check) : std::next(check);
    }
}

void Learning::absorb_now(const Event& event) {
    const bool failed_handshake = event.kind == EventKind::tls_failed && !event.record.tls_is_of_front();
    const bool failed = event.kind == EventKind::auth_failed || event.kind == EventKind::rejected ||
                        event.kind == EventKind::upstream_failed;
    const bool named =
        !event.record.usename.empty() && (event.kind == EventKind::connected || (failed && !is_health_check(event)));
    const bool probed = event.record.probe_end.has_value();
    if (!failed_handshake && !named && !probed) return;
    const ClientOrigin from = event.record.origin();  // the audit has waited for the search already
    if (failed_handshake) {
        absorb_handshake(event, from);
    } else if (named) {
        absorb_client(event, {from, stored_names(event.record)});
    }
    if (probed) absorb_probe(event, from);
    changes_.oldest = std::min(changes_.oldest, to_timestamp(event.time));
}

void Learning::absorb(const ServerLook& look) {
    const ServerKey server{look.upstream, look.upstream_addr};
    const Timestamp time = to_timestamp(look.time);
    // First what may fail, for lack of memory or by an operator's pattern: a look is counted once.
    std::map<SampledKind, SampledCount> kinds;
    for (const auto& [listed, count] : look.sessions) {
        SampledKind kind = listed;
        kind.application_name = stored_name(listed.application_name);
        SampledCount& sum = kinds[std::move(kind)];
        sum.sessions = saturated_sum(sum.sessions, count.sessions);
        sum.seen = saturated_sum(sum.seen, count.seen);
        sum.cipher = count.cipher;
        sum.client_dn = count.client_dn;
    }
    SamplingChange* const sampling = row(changes_.sampling, server);
    if (!sampling) return;
    changes_.oldest = std::min(changes_.oldest, time);
    sampling->interval = look.interval.count();
    sampling->proxying = look.proxying;
    if (!look.failure.empty()) {
        ++sampling->failed;
        if (time >= sampling->last_failure) {
            sampling->last_failure = time;
            sampling->error = protocol::as_utf8(look.failure, max_error);
        }
        return;
    }
    ++sampling->looks;
    const auto left_out = [&](std::uint64_t sessions) {
        sampling->left_out = saturated_sum(sampling->left_out, sessions);
        if (sessions > 0) sampling->last_left_out = std::max(sampling->last_left_out, time);
    };
    left_out(look.left_out);
    if (look.hidden) {
        ++sampling->hidden;
        sampling->last_hidden = std::max(sampling->last_hidden, time);
    }
    if (time >= sampling->last_look) sampling->server_started = look.server_started;
    sampling->first_look = std::min(sampling->first_look, time);
    sampling->last_look = std::max(sampling->last_look, time);
    for (const auto& [kind, count] : kinds) {
        SampledChange* const sampled = row(changes_.sampled, {server, kind});
        if (!sampled) {
            left_out(count.seen);
            continue;
        }
        ++sampled->looks;
        sampled->sessions = saturated_sum(sampled->sessions, count.sessions);
        sampled->seen = saturated_sum(sampled->seen, count.seen);
        sampled->first = std::min(sampled->first, time);
        if (time < sampled->last) continue;
        sampled->last = time;
        sampled->cipher = count.cipher;
        sampled->client_dn = count.client_dn;
    }
}

/// The row of that key, made when there is room; nullptr: there is none.
template <class Map>
typename Map::mapped_type* Learning::row(Map& map, typename Map::key_type key) {
    if (const auto found = map.find(key); found != map.end()) return &found->second;
    if (changes_.rows >= max_pending_rows) {
        ++dropped_;
        return nullptr;
    }
    ++changes_.rows;
    return &map.try_emplace(std::move(key)).first->second;
}

void Learning::absorb_client(const Event& event, const ClientIdentity& who) {
    const SessionRecord& record = event.record;
    const Timestamp time = to_timestamp(event.time);
    ClientChange* client = row(changes_.clients, who);
    if (!client) return;
    if (client->seen.add(time, record.session)) {
        client->listener = record.listener;
        client->process = record.process;
    }
    for (const Evidence piece : record.evidence) {
        if (Seen* seen = row(client->evidence, {piece, shown_with(record, piece)})) seen->add(time, record.session);
    }
    if (event.kind != EventKind::connected) return absorb_failure(event, *client);
    absorb_connection(event, *client);
    absorb_open(event, who);
    absorb_certificate(event);
}

ClientNames Learning::stored_names(const SessionRecord& record) const {
    ClientNames names = record.names();
    names.application_name = stored_name(names.application_name);
    return names;
}

std::string Learning::stored_name(const std::string& application_name) const {
    return name_pattern_ ? std::regex_replace(application_name, *name_pattern_, "*") : application_name;
}

void Learning::absorb_open(const Event& event, const ClientIdentity& who) {
    const SessionRecord& record = event.record;
    if ((record.ssl && !record.weak_tls()) || open_.size() >= max_open_sessions) return;
    OpenSession open{.who = who,
                     .listener = record.listener,
                     .evidence = {},
                     .day = {to_timestamp(event.time) / day_length, mode(record)}};
    for (const Evidence piece : record.evidence) {
        if (!record.ssl) open.evidence.emplace_back(piece, shown_with(record, piece));
    }
    open_.insert_or_assign(record.session, std::move(open));
}

void Learning::absorb_end(const Event& event) {
    const auto open = open_.extract(event.record.session);
    if (!open.empty()) extend(open.key(), open.mapped(), to_timestamp(event.time));
}

/// It was what it was until then.
void Learning::extend(const std::string& session, const OpenSession& open, Timestamp time) {
    ClientChange* client = row(changes_.clients, open.who);
    if (!client) return;
    client->seen.extend(time, session);
    if (client->listener.empty()) client->listener = open.listener;
    for (const auto& which : open.evidence) {
        if (Seen* seen = row(client->evidence, which)) seen->extend(time, session);
    }
    if (DayChange* const day = row(client->days, open.day)) day->open_until = std::max(day->open_until, time);
    changes_.oldest = std::min(changes_.oldest, time);
}

void Learning::extend_open_sessions(Timestamp now) {
    for (const auto& [session, open] : open_) extend(session, open, now);
}

void Learning::absorb_failure(const Event& event, ClientChange& client) {
    const Timestamp time = to_timestamp(event.time);
    const bool denied = event.kind == EventKind::auth_failed;
    ++client.failures;
    client.auth_failed += denied ? 1 : 0;
    if (time >= client.last_failure) {
        client.last_failure = time;
        client.failure_reason = event.reason == Reason::none ? std::string_view() : label(event.reason);
        client.failure_error = failure_error(event);
    }
    DayChange* const day = row(client.days, {time / day_length, mode(event.record)});
    if (!day) return;
    ++day->failures;
    day->auth_failed += denied ? 1 : 0;
    day->failed.add(time, event.record.session);
}

void Learning::absorb_connection(const Event& event, ClientChange& client) {
    const SessionRecord& record = event.record;
    const Timestamp time = to_timestamp(event.time);
    ++client.connections;
    if (!record.ssl) ++client.plain;
    if (record.weak_tls()) ++client.weak_tls;
    if (record.auth_bridge == protocol::AuthBridge::cleartext) ++client.bridged;
    client.auth_method = record.auth_method;
    client.version = record.tls_version();
    const std::string& group = record.tls_is_of_front() ? std::string() : record.client_tls.group;
    note_group(client.groups, group, client.seen.last == time);
    client.not_probed = record.not_probed ? std::string(label(*record.not_probed)) : "";
    if (DayChange* const day = row(client.days, {time / day_length, mode(record)})) {
        ++day->connections;
        day->weak_tls += record.weak_tls() ? 1 : 0;
        day->bridged += record.auth_bridge == protocol::AuthBridge::cleartext ? 1 : 0;
        day->connected.add(time, record.session);
    }
    if (record.ja4.empty()) return;
    if (Timestamp* last = row(client.fingerprints, {record.ja4, record.sni})) *last = std::max(*last, time);
}

void Learning::absorb_certificate(const Event& event) {
    const SessionRecord& record = event.record;
    const tls::ServerTls& tls = record.upstream_tls;
    if (!tls.leaf) return;
    CertificateChange* seen = row(changes_.certificates, {record.upstream, record.upstream_addr, tls.leaf->sha256});
    if (!seen) return;
    // Before anything that may fail for lack of memory: a row without its certificate is none.
    if (!seen->leaf) seen->leaf = tls.leaf;
    const bool first = seen->seen.count == 0;
    const Timestamp time = to_timestamp(event.time);
    const bool is_latest = seen->seen.add(time, record.session);
    note_group(seen->groups, tls.group, is_latest);
    if (!is_latest) return;
    if (first || seen->candidate_ok != tls.candidate_ok) seen->candidate_since = time;
    seen->leaf = tls.leaf;
    if (!tls.anchor.empty()) {  // what verified it last is kept where nobody does for a while
        seen->anchor = tls.anchor;
        seen->anchor_key_sha256 = tls.anchor_key_sha256;
    }
    seen->candidate_ok = tls.candidate_ok;
}

void Learning::absorb_handshake(const Event& event, const ClientOrigin& from) {
    const SessionRecord& record = event.record;
    // That it could not even begin is news of a client, though none of what it verifies. What a
    // probe cost it is no failure of its own.
    std::vector<Evidence> evidence = record.evidence;
    if (evidence.empty() && !record.probe) evidence = {Evidence::tls_not_agreed};
    for (const Evidence piece : evidence) {
        HandshakeChange* handshake = row(changes_.handshakes, {.from = from,
                                                               .ja4 = record.ja4,
                                                               .sni = record.sni,
                                                               .evidence = piece,
                                                               .certificate = certificate(record)});
        if (!handshake || !handshake->seen.add(to_timestamp(event.time), record.session)) continue;
        handshake->listener = record.listener;
        handshake->error = protocol::as_utf8(event.message, max_error);
    }
}

void Learning::absorb_probe(const Event& event, const ClientOrigin& from) {
    const SessionRecord& record = event.record;
    ProbeChange* probe = row(changes_.probes, {from, *record.probe});
    if (!probe) return;
    const Timestamp time = to_timestamp(event.time);
    ++probe->shown;
    probe->last_shown = std::max(probe->last_shown, time);
    if (record.probe_end == ProbeEnd::accepted) {
        ++probe->accepted;
    } else {
        ++probe->refused;
        probe->last_refused = std::max(probe->last_refused, time);
    }
}

}  // namespace proxy
