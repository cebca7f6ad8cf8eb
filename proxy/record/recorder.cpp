#include "proxy/record/recorder.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace proxy {
namespace {

using namespace std::chrono_literals;

/// Waits at most 200 ms for the process look-ups of this batch, which began at accept; an event
/// whose process is still unknown then is written without it.
void wait_for_processes(const std::deque<Event>& events) {
    const auto deadline = std::chrono::steady_clock::now() + 200ms;
    for (const Event& event : events) {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= left.zero()) return;
        if (event.record.process)
            event.record.process->get(std::chrono::duration_cast<std::chrono::milliseconds>(left));
    }
}

/// After an error that is none of a disk's: without memory, others may give some back meanwhile.
constexpr auto rest = 100ms;
constexpr auto patience_of_marker = 1s;

/// Of looks that wait for the inventory: some 10 MiB.
constexpr std::size_t max_waiting_kinds = 20'000;

/// Clients can cause losses as often as they like.
constexpr auto loss_interval = 1s;

}  // namespace

/// What the thread works with.
class Recorder::Writing {
   public:
    Writing(AuditFile::Settings audit, std::unique_ptr<InventoryKeeper> inventory, std::size_t queue_bytes,
            Listener listener)
        : queue(queue_bytes),
          queue_bytes_(queue_bytes),
          audit_file_(std::in_place, std::move(audit)),
          inventory_(std::move(inventory)),
          listener_(std::move(listener)) {
        restore_certificates();
        look_for_unwritten();
    }

    /// The thread: until the queue is closed and empty.
    void write_down();
    std::optional<Unwritten> unwritten() const {
        const std::lock_guard lock(unwritten_mutex_);
        return unwritten_;
    }
    std::optional<Unshared> unshared() const {
        const std::lock_guard lock(unwritten_mutex_);
        return unshared_;
    }
    /// Before the thread begins.
    bool audit_can_be_shared() const noexcept { return audit_file_->is_shared() || !audit_file_->is_open(); }
    void retain_for(std::chrono::milliseconds retention) {
        if (inventory_) inventory_->retain_for(retention);
    }

    void looked(ServerLook&& look) noexcept;

    EventCounters counters;
    EventMetrics metrics;
    RecentEvents recent;
    BoundedQueue<Event> queue;

   private:
    bool write_batch();
    template <class Step>
    bool alone(Step step);
    void write_followup(Event event);
    void tell_lost_by_file(bool all);
    void learn_certificate(const Event& event, std::vector<Event>& news);
    void restore_certificates();
    void tell(const Event& event);
    void remember(std::deque<Event>& events);
    void remember(Event&& event);
    void absorb(const BoundedQueue<Event>::Batch& batch);
    void absorb_looks();
    void look_for_unwritten();

    const std::size_t queue_bytes_;
    std::optional<AuditFile> audit_file_;         // this and the inventory: the thread's
    std::unique_ptr<InventoryKeeper> inventory_;  // nullptr: none is wanted
    Listener listener_;
    ServerCertificates certificates_;
    std::mutex looks_mutex_;
    std::vector<ServerLook> looks_;  // that wait
    std::size_t waiting_kinds_ = 0;
    std::uint64_t looks_lost_ = 0;
    mutable std::mutex unwritten_mutex_;
    std::optional<Unwritten> unwritten_;
    std::optional<Unshared> unshared_;
    bool reopens_ = false;             // as it was asked to, and has not yet
    bool rests_ = false;               // something failed that may work in a moment
    std::uint64_t untold_losses_ = 0;  // of the audit file
    BoundedQueue<Event>::Clock::time_point next_loss_{};
};

Recorder::Recorder(AuditFile::Settings audit, std::unique_ptr<InventoryKeeper> inventory, std::size_t queue_bytes,
                   Listener listener)
    : inventory_path_(inventory ? inventory->path() : ""),
      writing_(std::make_shared<Writing>(std::move(audit), std::move(inventory), queue_bytes, std::move(listener))),
      audit_can_be_shared_(writing_->audit_can_be_shared()),
      thread_([writing = writing_] { writing->write_down(); }) {}

void Recorder::record(Event&& event) noexcept {
    writing_->counters.count(event.kind);
    writing_->metrics.count(event);
    const bool queued = writing_->queue.push(std::move(event));
    if (!queued) writing_->counters.count_dropped();
}

void Recorder::looked(ServerLook&& look) noexcept { writing_->looked(std::move(look)); }

void Recorder::retain_for(std::chrono::milliseconds retention) { writing_->retain_for(retention); }

void Recorder::reopen() { writing_->queue.ask_reopen(); }

const EventCounters& Recorder::counters() const noexcept { return writing_->counters; }

EventMetrics& Recorder::metrics() noexcept { return writing_->metrics; }
const RecentEvents& Recorder::recent() const noexcept { return writing_->recent; }
std::optional<Unwritten> Recorder::unwritten() const { return writing_->unwritten(); }
std::optional<Unshared> Recorder::unshared() const { return writing_->unshared(); }

bool Recorder::end_within(std::chrono::milliseconds patience) {
    writing_->queue.close();
    if (thread_.end_within(patience)) return true;
    spdlog::error(
        "audit: up to {} events are lost, and with them what the inventory would have learnt: whoever takes them does "
        "not",
        writing_->queue.unwritten());
    // So that no report takes what is there for everything. The same disk may be what hangs.
    OwnThread marking([inventory = inventory_path_] {
        if (!inventory.empty()) leave_gap_marker(inventory);
    });
    marking.end_within(patience_of_marker);
    return false;
}

void Recorder::Writing::write_down() {
    for (bool closed = false; !closed;) {
        try {
            closed = write_batch();
        } catch (const std::exception& error) {  // nothing was taken
            spdlog::error("audit: {}", error.what());
            rests_ = true;
        }
        if (std::exchange(rests_, false) && !closed) std::this_thread::sleep_for(rest);
    }
    // Here, because each of them may hang in its last words.
    audit_file_.reset();
    inventory_.reset();
    listener_ = nullptr;
}

/// What one of them cannot do costs no other: whoever is told of a batch is told of all of it.
/// True: it was done.
template <class Step>
bool Recorder::Writing::alone(Step step) {
    try {
        step();
        return true;
    } catch (const std::exception& error) {
        spdlog::error("audit: {}", error.what());
        rests_ = true;
        return false;
    }
}

/// False: others follow.
bool Recorder::Writing::write_batch() {
    auto due = inventory_ ? inventory_->due() : BoundedQueue<Event>::Clock::time_point::max();
    if (untold_losses_ > 0) due = std::min(due, next_loss_);
    if (reopens_) due = {};
    BoundedQueue<Event>::Batch batch = queue.take(due);
    alone([&] { wait_for_processes(batch.items); });
    for (const Event& event : batch.items) audit_file_->add(event);
    audit_file_->flush();
    // Before anything that may fail: what it does not learn now, no report will have.
    if (inventory_) absorb(batch);
    if (inventory_) absorb_looks();
    for (const Event& event : batch.items) tell(event);
    std::vector<Event> followups;
    for (const Event& event : batch.items) learn_certificate(event, followups);
    remember(batch.items);  // in the audit's order: what follows from them stands behind them
    if (batch.dropped > 0) {
        spdlog::error("audit: {} events dropped: the queue of {} MiB was full", batch.dropped,
                      queue_bytes_ / (1024 * 1024));
        write_followup({.kind = EventKind::events_dropped, .count = batch.dropped});
    }
    for (Event& event : followups) write_followup(std::move(event));
    reopens_ = reopens_ || batch.reopen;
    if (reopens_) reopens_ = !alone([&] { audit_file_->reopen(); });
    tell_lost_by_file(batch.closed);
    if (inventory_ && (batch.closed || InventoryKeeper::Clock::now() >= inventory_->due())) {
        alone([&] {
            for (Event& event : inventory_->flush()) write_followup(std::move(event));
        });
        restore_certificates();
    }
    alone([&] { look_for_unwritten(); });
    tell_lost_by_file(batch.closed);  // of what the inventory has found to be news
    return batch.closed;
}

void Recorder::Writing::look_for_unwritten() {
    auto unwritten = inventory_ ? inventory_->unwritten() : std::nullopt;
    auto unshared = inventory_ ? inventory_->unshared() : std::nullopt;
    const std::lock_guard lock(unwritten_mutex_);
    unwritten_.swap(unwritten);
    unshared_.swap(unshared);
}

/// They are nobody else's any more.
void Recorder::Writing::remember(std::deque<Event>& events) {
    const std::size_t skipped = events.size() - std::min(events.size(), RecentEvents::max_events);
    for (std::size_t i = skipped; i < events.size(); ++i) remember(std::move(events[i]));
}

/// Without memory nothing is lost but the memory of it.
void Recorder::Writing::remember(Event&& event) {
    alone([&] { recent.add(std::move(event)); });
}

/// An event that follows from others. It does not pass the queue: it is told where it belongs. For
/// lack of memory it is lost alone, and counted by whoever lost it.
void Recorder::Writing::write_followup(Event event) {
    counters.count(event.kind);
    metrics.count(event);
    audit_file_->add(event);
    audit_file_->flush();
    tell(event);
    remember(std::move(event));
}

/// To everybody but the file itself, which says it once it takes lines again: that may be never.
void Recorder::Writing::tell_lost_by_file(bool all) {
    if (const std::uint64_t lost = audit_file_->take_lost(); lost > 0) {
        counters.count_dropped(lost);
        if (inventory_) inventory_->lost(lost);
        untold_losses_ += lost;
    }
    const auto now = BoundedQueue<Event>::Clock::now();
    if (untold_losses_ == 0 || (now < next_loss_ && !all)) return;
    next_loss_ = now + loss_interval;
    Event event{.kind = EventKind::events_dropped, .count = std::exchange(untold_losses_, 0)};
    counters.count(event.kind);
    metrics.count(event);
    tell(event);
    remember(std::move(event));
}

void Recorder::Writing::tell(const Event& event) {
    if (listener_) alone([&] { listener_(event); });
}

/// With an inventory or without one: what it knows was restored.
void Recorder::Writing::learn_certificate(const Event& event, std::vector<Event>& news) try {
    if (event.kind != EventKind::connected) return;
    std::optional<CertificateNews> learnt = certificates_.learn(event);
    if (!learnt) return;
    spdlog::info("upstream \"{}\" {}: {}", event.record.upstream, event.record.upstream_addr,
                 certificate_news(*learnt));
    news.push_back(std::move(learnt->event));
} catch (const std::bad_alloc&) {
    counters.count_dropped();
    ++untold_losses_;
}

/// Whenever an inventory has been opened: at the start, or later.
void Recorder::Writing::restore_certificates() try {
    if (inventory_) certificates_.restore(inventory_->take_known_certificates());
} catch (const std::bad_alloc&) {
    // What was known is news once more.
}

void Recorder::Writing::looked(ServerLook&& look) noexcept {
    if (!inventory_) return;
    {
        const std::lock_guard lock(looks_mutex_);
        const std::size_t kinds = look.sessions.size() + 1;
        bool has_room = waiting_kinds_ + kinds <= max_waiting_kinds;
        if (has_room) try {
                looks_.push_back(std::move(look));
                waiting_kinds_ += kinds;
            } catch (const std::bad_alloc&) {
                has_room = false;
            }
        if (!has_room) ++looks_lost_;
    }
    queue.nudge();
}

/// One that is lost is one of the events that no report has.
void Recorder::Writing::absorb_looks() {
    std::vector<ServerLook> looks;
    std::uint64_t lost = 0;
    {
        const std::lock_guard lock(looks_mutex_);
        looks.swap(looks_);
        waiting_kinds_ = 0;
        lost = std::exchange(looks_lost_, 0);
    }
    for (const ServerLook& look : looks) {
        if (!alone([&] { inventory_->absorb(look); })) ++lost;
    }
    if (lost > 0) inventory_->lost(lost);
}

/// In memory; the disk comes after the audit's lines, so that a slow one does not delay them.
void Recorder::Writing::absorb(const BoundedQueue<Event>::Batch& batch) {
    if (batch.dropped > 0) inventory_->lost(batch.dropped);
    for (const Event& event : batch.items) {
        // Memory, or an operator's pattern that is too much for a name.
        if (!alone([&] { inventory_->absorb(event); })) inventory_->lost(1);
    }
}

}  // namespace proxy
