#include "proxy/inventory/inventory.hpp"

#include <spdlog/spdlog.h>

#include "protocol/utf8.hpp"
#include "proxy/inventory/fleet.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using protocol::Evidence;

constexpr auto flush_interval = 500ms;
constexpr auto retry_interval = 2s;
constexpr auto prune_interval = 24h;
/// What a power failure takes at most; each checkpoint waits for the disk.
constexpr auto checkpoint_interval = 30s;
/// Some 40 MiB, when nothing can be stored.
constexpr std::size_t max_pending_rows = 100'000;

constexpr std::size_t max_error = 500;

bool refuses_probe(Evidence evidence) {
    return protocol::facts(evidence).probe && protocol::facts(evidence).is_refusal();
}

}  // namespace

Inventory::Inventory(std::string path, std::chrono::milliseconds retention)
    : path_(std::move(path)),
      retention_(retention),
      store_(path_),
      next_checkpoint_(Clock::now() + checkpoint_interval) {
    prune();
}

Inventory::~Inventory() {
    if (changes_.rows > 0)
        spdlog::error("inventory: {} changes lost: {} could not be written until the end", changes_.rows, path_);
}

void Inventory::retain_for(std::chrono::milliseconds retention) {
    retention_ = retention;
    if (fleet_) fleet_->retain_for(retention);
}

void Inventory::share(std::unique_ptr<Fleet> fleet) { fleet_ = std::move(fleet); }

void Inventory::absorb(const Event& event) {
    const bool failed_handshake = event.kind == EventKind::tls_failed;
    const bool named =
        !event.record.usename.empty() && (event.kind == EventKind::connected || event.kind == EventKind::auth_failed ||
                                          event.kind == EventKind::rejected);
    if (!failed_handshake && !named) return;
    const ClientOrigin from = event.record.origin();  // the audit has waited for the search already
    if (failed_handshake) {
        absorb_handshake(event, from);
    } else {
        absorb_client(event, {from, event.record.names()});
    }
    if (event.record.probe) absorb_probe(event, from);
    changes_.oldest = std::min(changes_.oldest, to_timestamp(event.time));
}

/// The row of that key, made when there is room; nullptr: there is none.
template <class Map>
typename Map::mapped_type* Inventory::row(Map& map, typename Map::key_type key) {
    if (const auto found = map.find(key); found != map.end()) return &found->second;
    if (changes_.rows >= max_pending_rows) {
        ++dropped_;
        return nullptr;
    }
    if (changes_.rows++ == 0 && next_flush_ < Clock::now()) next_flush_ = Clock::now() + flush_interval;
    return &map.try_emplace(std::move(key)).first->second;
}

void Inventory::absorb_client(const Event& event, const ClientIdentity& who) {
    const SessionRecord& record = event.record;
    const Timestamp time = to_timestamp(event.time);
    ClientChange* client = row(changes_.clients, who);
    if (!client) return;
    if (client->seen.add(time, record.session)) {
        client->listener = record.listener;
        client->process = record.process;
        if (record.process) client->uid = record.process->get(0ms).uid;
    }
    for (const Evidence piece : record.evidence) {
        if (Seen* seen = row(client->evidence, {piece, record.client_tls.certificate_shown}))
            seen->add(time, record.session);
    }
    if (event.kind == EventKind::auth_failed) ++client->auth_failed;
    if (event.kind == EventKind::connected) {
        absorb_connection(event, *client);
        absorb_certificate(event);
    }
}

void Inventory::absorb_connection(const Event& event, ClientChange& client) {
    const SessionRecord& record = event.record;
    const Timestamp time = to_timestamp(event.time);
    ++client.connections;
    if (!record.ssl) ++client.plain;
    if (record.client_tls.weak) ++client.weak_tls;
    if (record.auth_bridge == protocol::AuthBridge::cleartext) ++client.bridged;
    client.auth_method = record.auth_method;
    client.version = record.client_tls.version;
    if (auto* connections = row(client.days, {time / day_length, record.ssl ? record.client_tls.version : "plain"}))
        ++*connections;
    if (record.ja4.empty()) return;
    if (Timestamp* last = row(client.fingerprints, {record.ja4, record.sni})) *last = std::max(*last, time);
}

void Inventory::absorb_certificate(const Event& event) {
    const SessionRecord& record = event.record;
    const tls::ServerTls& tls = record.upstream_tls;
    if (!tls.leaf) return;
    CertificateChange* seen = row(changes_.certificates, {record.upstream, record.upstream_addr, tls.leaf->sha256});
    if (!seen) return;
    const bool first = seen->seen.count == 0;
    const Timestamp time = to_timestamp(event.time);
    if (!seen->seen.add(time, record.session)) return;
    if (first || seen->candidate_ok != tls.candidate_ok) seen->candidate_since = time;
    seen->leaf = tls.leaf;
    seen->anchor = tls.anchor;
    seen->listener = record.listener;
    seen->candidate_ok = tls.candidate_ok;
}

void Inventory::absorb_handshake(const Event& event, const ClientOrigin& from) {
    const SessionRecord& record = event.record;
    for (const Evidence piece : record.evidence) {
        HandshakeChange* handshake = row(changes_.handshakes, {.from = from,
                                                               .ja4 = record.ja4,
                                                               .sni = record.sni,
                                                               .evidence = piece,
                                                               .certificate = record.client_tls.certificate_shown});
        if (!handshake || !handshake->seen.add(to_timestamp(event.time), record.session)) continue;
        handshake->listener = record.listener;
        handshake->error = protocol::as_utf8(event.message, max_error);
    }
}

void Inventory::absorb_probe(const Event& event, const ClientOrigin& from) {
    const SessionRecord& record = event.record;
    ProbeChange* probe = row(changes_.probes, {from, *record.probe});
    if (!probe) return;
    const Timestamp time = to_timestamp(event.time);
    ++probe->shown;
    probe->last_shown = std::max(probe->last_shown, time);
    if (event.kind != EventKind::tls_failed) {
        ++probe->accepted;
    } else if (std::any_of(record.evidence.begin(), record.evidence.end(), refuses_probe)) {
        ++probe->refused;
        probe->last_refused = std::max(probe->last_refused, time);
    }
}

std::vector<Event> Inventory::flush() {
    std::vector<Event> news;
    try {
        if (changes_.rows > 0) {
            news = store_.write(changes_);
            stored();
        }
    } catch (const SqliteError& error) {
        failed(error.what());
        return {};
    }
    if (Clock::now() >= next_prune_ || retention_.load() != pruned_for_) prune();
    return news;
}

void Inventory::stored() {
    const Timestamp since = changes_.oldest;
    changes_ = {};
    const auto now = Clock::now();
    next_flush_ = now + flush_interval;
    if (std::exchange(failing_, false)) spdlog::info("inventory: {} can be written again", path_);
    if (const auto dropped = std::exchange(dropped_, 0); dropped > 0)
        spdlog::error("inventory: {} changes lost: too many were waiting", dropped);
    if (store_.refused() > 0 && refused_ == 0) {
        refused_ = store_.refused();
        spdlog::error("inventory: {} is full: new clients or handshakes are left out", path_);
    }
    tell_fleet(since);
    if (now < next_checkpoint_) return;
    next_checkpoint_ = now + checkpoint_interval;
    try {
        store_.checkpoint();
    } catch (const SqliteError& error) {
        spdlog::debug("inventory: checkpoint: {}", error.what());  // a lock: the next one will do
    }
}

void Inventory::failed(const char* why) {
    next_flush_ = Clock::now() + retry_interval;
    if (!std::exchange(failing_, true)) spdlog::error("inventory: cannot write {}: {}; kept in memory", path_, why);
    if (dropped_ > 0 && !std::exchange(lost_rows_told_, true)) {
        spdlog::error("inventory: {} rows wait to be written: what is new is lost from now on", changes_.rows);
    }
}

void Inventory::prune() {
    next_prune_ = Clock::now() + prune_interval;
    pruned_for_ = retention_;
    if (pruned_for_.count() == 0) return;
    try {
        if (store_.refused() > refused_)
            spdlog::error("inventory: {} new rows were left out: it is full", store_.refused() - refused_);
        refused_ = store_.refused();
        if (store_.prune(to_timestamp(std::chrono::system_clock::now() - pruned_for_))) tell_fleet(0);
    } catch (const SqliteError& error) {
        spdlog::error("inventory: cannot forget what is old in {}: {}", path_, error.what());
    }
}

void Inventory::tell_fleet(Timestamp since) {
    if (fleet_) fleet_->changed(since);
}

}  // namespace proxy
