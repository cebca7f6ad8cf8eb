#include "proxy/inventory/inventory.hpp"

#include <spdlog/spdlog.h>

#include "protocol/utf8.hpp"
#include "proxy/inventory/fleet.hpp"
#include "proxy/inventory/inventory_keeper.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

constexpr auto flush_interval = 500ms;
constexpr auto retry_interval = 2s;
constexpr auto prune_interval = 24h;
constexpr auto heartbeat_interval = 1min;
/// What a power failure takes at most; each checkpoint waits for the disk.
constexpr auto checkpoint_interval = 30s;
/// After an upgrade the former process stores what it still learns, and only we tell the fleet.
constexpr Timestamp others_last_changes = 180'000'000;

}  // namespace

Inventory::Inventory(Settings settings)
    : path_(std::move(settings.path)),
      retention_(settings.retention),
      store_(path_, settings.proxy),
      learning_(settings.name_pattern),
      next_checkpoint_(Clock::now() + checkpoint_interval),
      goes_on_(settings.proxy.goes_on) {
    began_at_ = std::max(to_timestamp(std::chrono::system_clock::now()), store_.newest());
    prune();
    heartbeat(to_timestamp(std::chrono::system_clock::now()));
}

Inventory::~Inventory() {
    if (const std::uint64_t lost = learning_.changes().rows + events_lost_; lost > 0) {
        spdlog::error("inventory: {} changes lost: {} could not be written until the end", lost, path_);
        if (handed_over_) leave_gap_marker(path_);
        return;  // without the last word, by which the next start knows
    }
    const bool has_no_place = goes_on_ && !begun_to_serve_;  // the other goes on
    if (handed_over_ || has_no_place) return;                // the last word is the other's
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
    if (event.kind == EventKind::started) begun_to_serve_ = true;
    if (event.kind == EventKind::upgraded) {
        handed_over_ = true;
        next_heartbeat_ = {};  // ends what is another's now
    }
    const bool nothing_waited = learning_.changes().rows == 0;
    learning_.absorb(event);
    something_waits(nothing_waited);
}

void Inventory::absorb(const ServerLook& look) {
    const bool nothing_waited = learning_.changes().rows == 0;
    learning_.absorb(look);
    something_waits(nothing_waited);
}

void Inventory::something_waits(bool nothing_waited) {
    if (!nothing_waited || learning_.changes().rows == 0) return;
    if (const auto now = Clock::now(); next_flush_ < now) next_flush_ = now + flush_interval;
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
    if (beats) learning_.decide_long_checks();
    if (beats) learning_.extend_open_sessions(now);  // before the writing: this may be the last
    bool is_stored = false;
    try {
        if (learning_.changes().rows > 0) {
            news = store_.write(learning_.changes());
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
    return Unwritten{.since = failing_since_, .rows = learning_.changes().rows};
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
    const Timestamp since = learning_.changes().oldest;
    learning_.forget();
    const auto now = Clock::now();
    next_flush_ = now + flush_interval;
    goes_well();
    if (const auto dropped = learning_.take_dropped(); dropped > 0) {
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
    if (learning_.dropped() > 0 && !std::exchange(lost_rows_told_, true)) {
        spdlog::error("inventory: {} rows wait to be written: what is new is lost from now on",
                      learning_.changes().rows);
    }
}

/// That we are here, also when nobody comes: a report can then say which proxies it knows nothing
/// of.
void Inventory::heartbeat(Timestamp now) {
    next_heartbeat_ = Clock::now() + heartbeat_interval;
    if (handed_over_) end_fleet();
    if (handed_over_ && events_lost_ == 0) return;
    try {
        store_.heartbeat(now, events_lost_);
        events_lost_ = 0;  // before anything that may fail: they are in the file
        if (probes_) store_.tell_repairs(*probes_);
        tell_fleet(goes_on_ ? now - others_last_changes : now);
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

/// What it has not sent yet may take seconds.
void Inventory::end_fleet() {
    if (!fleet_) return;
    fleet_end_ = std::async(std::launch::async, [last = std::move(fleet_)]() mutable { last.reset(); });
}

void Inventory::tell_fleet(Timestamp since) {
    if (fleet_) fleet_->changed(since);
}

}  // namespace proxy
