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
constexpr auto heartbeat_interval = 1min;
/// What a power failure takes at most; each checkpoint waits for the disk.
constexpr auto checkpoint_interval = 30s;
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

std::string mode(const SessionRecord& record) { return record.ssl ? record.client_tls.version : "plain"; }

}  // namespace

Inventory::Inventory(Settings settings)
    : path_(std::move(settings.path)),
      name_pattern_(settings.name_pattern.empty() ? std::nullopt : std::optional<std::regex>(settings.name_pattern)),
      retention_(settings.retention),
      store_(path_, settings.proxy),
      next_checkpoint_(Clock::now() + checkpoint_interval) {
    began_at_ = std::max(to_timestamp(std::chrono::system_clock::now()), store_.newest());
    prune();
    heartbeat(to_timestamp(std::chrono::system_clock::now()));
}

Inventory::~Inventory() {
    if (const std::uint64_t lost = changes_.rows + events_lost_; lost > 0) {
        spdlog::error("inventory: {} changes lost: {} could not be written until the end", lost, path_);
        return;  // without the last word, by which the next start knows
    }
    try {
        const Timestamp now = to_timestamp(std::chrono::system_clock::now());
        store_.ended(now);
        tell_fleet(now);
    } catch (const std::exception& error) {
        spdlog::error("inventory: cannot write to {} that this is its end: {}", path_, error.what());
    }
}

void Inventory::retain_for(std::chrono::milliseconds retention) {
    retention_ = retention;
    if (fleet_) fleet_->retain_for(retention);
}

void Inventory::share(std::unique_ptr<Fleet> fleet) { fleet_ = std::move(fleet); }

void Inventory::absorb(const Event& event) {
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

/// One that has said something after its login was a client. What its server showed is news in any
/// case.
void Inventory::decide_check(const Event& end) {
    const auto held = checks_.extract(end.record.session);
    if (held.empty()) return;
    const Event& login = held.mapped().login;
    if (end.record.bytes_from_client > terminate_size || login.record.probe_end) return absorb_now(login);
    absorb_certificate(login);
    changes_.oldest = std::min(changes_.oldest, to_timestamp(login.time));
}

void Inventory::decide_long_checks() {
    for (auto check = checks_.begin(); check != checks_.end();) {
        const bool is_long = Clock::now() - check->second.since >= longest_check;
        if (is_long) absorb_now(check->second.login);
        check = is_long ? checks_.erase(check) : std::next(check);
    }
}

void Inventory::absorb_now(const Event& event) {
    const bool failed_handshake = event.kind == EventKind::tls_failed;
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
    }
    for (const Evidence piece : record.evidence) {
        if (Seen* seen = row(client->evidence, {piece, certificate(record)})) seen->add(time, record.session);
    }
    if (event.kind != EventKind::connected) return absorb_failure(event, *client);
    absorb_connection(event, *client);
    absorb_open(event, who);
    absorb_certificate(event);
}

ClientNames Inventory::stored_names(const SessionRecord& record) const {
    ClientNames names = record.names();
    if (name_pattern_) names.application_name = std::regex_replace(names.application_name, *name_pattern_, "*");
    return names;
}

void Inventory::absorb_open(const Event& event, const ClientIdentity& who) {
    const SessionRecord& record = event.record;
    if ((record.ssl && !record.client_tls.weak) || open_.size() >= max_open_sessions) return;
    OpenSession open{.who = who,
                     .listener = record.listener,
                     .evidence = {},
                     .day = {to_timestamp(event.time) / day_length, mode(record)}};
    for (const Evidence piece : record.evidence) {
        if (!record.ssl) open.evidence.emplace_back(piece, certificate(record));
    }
    open_.insert_or_assign(record.session, std::move(open));
}

void Inventory::absorb_end(const Event& event) {
    const auto open = open_.extract(event.record.session);
    if (!open.empty()) extend(open.key(), open.mapped(), to_timestamp(event.time));
}

/// It was what it was until then.
void Inventory::extend(const std::string& session, const OpenSession& open, Timestamp time) {
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

void Inventory::extend_open_sessions(Timestamp now) {
    for (const auto& [session, open] : open_) extend(session, open, now);
}

void Inventory::absorb_failure(const Event& event, ClientChange& client) {
    const Timestamp time = to_timestamp(event.time);
    const bool denied = event.kind == EventKind::auth_failed;
    ++client.failures;
    client.auth_failed += denied ? 1 : 0;
    client.last_failure = std::max(client.last_failure, time);
    DayChange* const day = row(client.days, {time / day_length, mode(event.record)});
    if (!day) return;
    ++day->failures;
    day->auth_failed += denied ? 1 : 0;
    day->failed.add(time, event.record.session);
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
    client.not_probed = record.not_probed ? std::string(label(*record.not_probed)) : "";
    if (DayChange* const day = row(client.days, {time / day_length, mode(record)})) {
        ++day->connections;
        day->weak_tls += record.client_tls.weak ? 1 : 0;
        day->bridged += record.auth_bridge == protocol::AuthBridge::cleartext ? 1 : 0;
        day->connected.add(time, record.session);
    }
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

void Inventory::absorb_probe(const Event& event, const ClientOrigin& from) {
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

void Inventory::restore(Probes& probes) {
    probes_ = &probes;
    store_.restore(probes);
}

std::vector<Event> Inventory::flush() {
    std::vector<Event> news;
    const bool beats = Clock::now() >= next_heartbeat_ || events_lost_ > 0;
    const Timestamp now = to_timestamp(std::chrono::system_clock::now());
    if (store_.is_overwritten()) {
        failed(NotSqlite("somebody has written over it"));
        return news;
    }
    if (beats) decide_long_checks();
    if (beats) extend_open_sessions(now);  // before the writing: this may be the last
    bool is_stored = false;
    try {
        if (changes_.rows > 0) {
            news = store_.write(changes_);
            is_stored = true;
        }
    } catch (const SqliteError& error) {
        failed(error);
        tell_unwritten(news);
        return news;
    }
    try {
        if (is_stored) stored();
        if (beats || events_lost_ > 0) heartbeat(now);
        if (Clock::now() >= next_prune_ || retention_.load() != pruned_for_) prune();
        tell_unwritten(news);
        tell_unshared(news);
    } catch (const std::bad_alloc&) {
        spdlog::error("inventory: out of memory");  // the next time; the news is told now
    }
    return news;
}

std::optional<Unwritten> Inventory::unwritten() const {
    if (!failing_ || Clock::now() - *failing_ < patience) return std::nullopt;
    return Unwritten{.since = failing_since_, .rows = changes_.rows};
}

void Inventory::tell_unwritten(std::vector<Event>& news) {
    const std::optional<Unwritten> waiting = unwritten();
    if (!waiting || std::exchange(unwritten_told_, true)) return;
    news.push_back({.kind = EventKind::inventory_failed,
                    .message = protocol::printable("the inventory " + path_ + " cannot be written: " + why_failing_ +
                                                   "; " + to_text(*waiting))});
    spdlog::error("{}", news.back().message);
}

std::optional<Unshared> Inventory::unshared() const { return fleet_ ? fleet_->unshared() : std::nullopt; }

/// The log was told by whoever tried.
void Inventory::tell_unshared(std::vector<Event>& news) {
    const std::optional<Unshared> waiting = unshared();
    if (!waiting) {
        unshared_told_ = false;
    } else if (!std::exchange(unshared_told_, true)) {
        news.push_back({.kind = EventKind::inventory_failed, .message = protocol::printable(to_text(*waiting))});
    }
}

void Inventory::stored() {
    const Timestamp since = changes_.oldest;
    changes_ = {};
    const auto now = Clock::now();
    next_flush_ = now + flush_interval;
    goes_well();
    if (const auto dropped = std::exchange(dropped_, 0); dropped > 0) {
        events_lost_ += dropped;
        spdlog::error("inventory: {} changes lost: too many were waiting", dropped);
    }
    const bool forgot = store_.forgotten() > forgotten_;
    if (forgot && forgotten_ == 0)
        spdlog::error("inventory: {} is full: what was seen least recently is forgotten to make room", path_);
    forgotten_ = store_.forgotten();
    tell_fleet(forgot ? 0 : since);
    if (now < next_checkpoint_) return;
    next_checkpoint_ = now + checkpoint_interval;
    try {
        store_.checkpoint();
    } catch (const SqliteError& error) {
        spdlog::debug("inventory: checkpoint: {}", error.what());  // a lock: the next one will do
    }
}

void Inventory::goes_well() {
    if (std::exchange(failing_, std::nullopt)) spdlog::info("inventory: {} can be written again", path_);
    unwritten_told_ = false;
    if (probes_) probes_->hold_back(false);
}

void Inventory::failed(const SqliteError& error) {
    if (probes_) probes_->hold_back(true);
    next_flush_ = Clock::now() + retry_interval;
    why_failing_ = error.what();
    if (dynamic_cast<const NotSqlite*>(&error) || dynamic_cast<const DamagedSqlite*>(&error)) {
        damage_ = why_failing_;
        return;
    }
    if (!failing_) {
        failing_ = Clock::now();
        failing_since_ = std::chrono::system_clock::now();
        spdlog::error("inventory: cannot write {}: {}; kept in memory", path_, why_failing_);
    }
    if (dropped_ > 0 && !std::exchange(lost_rows_told_, true)) {
        spdlog::error("inventory: {} rows wait to be written: what is new is lost from now on", changes_.rows);
    }
}

/// That we are here, also when nobody comes: a report can then say which proxies it knows nothing
/// of.
void Inventory::heartbeat(Timestamp now) {
    next_heartbeat_ = Clock::now() + heartbeat_interval;
    try {
        store_.heartbeat(now, events_lost_);
        if (probes_) store_.tell_repairs(*probes_);
        events_lost_ = 0;
        tell_fleet(now);
        goes_well();
    } catch (const SqliteError& error) {
        failed(error);
        next_heartbeat_ = next_flush_;
    }
}

/// As late as it can be by a clock that nobody sets: one that is set years ahead must not make
/// everybody old.
Timestamp Inventory::latest() const { return began_at_ + (Clock::now() - begun_) / 1us; }

/// Everything that is older than the retention, when people have just chosen it; else at most a
/// share at once, and never by our clock alone: one start with a wrong one would forget everybody.
void Inventory::prune() {
    const std::chrono::milliseconds retention = retention_;
    const bool chosen = pruned_for_.count() >= 0 && retention != pruned_for_;
    next_prune_ = Clock::now() + prune_interval;
    pruned_for_ = retention;
    if (retention.count() == 0) return;
    try {
        const Timestamp clock = to_timestamp(std::chrono::system_clock::now());
        const Timestamp now = std::min(chosen ? clock : std::min(clock, store_.newest()), latest());
        const InventoryStore::Pruned pruned =
            store_.prune(now - std::chrono::duration_cast<std::chrono::microseconds>(retention).count(), chosen);
        if (pruned.more_is_due) {
            spdlog::error(
                "inventory: more than a quarter of the clients in {} were not seen for {} days: only the oldest of "
                "them "
                "are forgotten today. Was the clock wrong?",
                path_, std::chrono::duration_cast<std::chrono::hours>(retention).count() / 24);
        }
        if (pruned.rows > 0) tell_fleet(0);
    } catch (const SqliteError& error) {
        spdlog::error("inventory: cannot forget what is old in {}: {}", path_, error.what());
    }
}

void Inventory::tell_fleet(Timestamp since) {
    if (fleet_) fleet_->changed(since);
}

}  // namespace proxy
