#include "proxy/record/recorder.hpp"

#include <spdlog/spdlog.h>

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

}  // namespace

Recorder::Recorder(AuditFile::Settings audit, std::unique_ptr<Inventory> inventory, std::size_t queue_bytes)
    : queue_bytes_(queue_bytes), queue_(queue_bytes), audit_file_(std::move(audit)), inventory_(std::move(inventory)) {
    thread_ = std::thread([this] { write_down(); });
}

Recorder::~Recorder() {
    queue_.close();
    thread_.join();
}

void Recorder::record(Event&& event) {
    counters_.count(event.kind);
    const bool queued = queue_.push(std::move(event));
    if (!queued) counters_.count_dropped();
}

/// The thread: until the queue is closed and empty.
void Recorder::write_down() {
    for (bool closed = false; !closed;) {
        const auto due = inventory_ ? inventory_->due() : EventQueue::Clock::time_point::max();
        const EventQueue::Batch batch = queue_.take(due);
        closed = batch.closed;
        wait_for_processes(batch.events);
        for (const Event& event : batch.events) audit_file_.add(event);
        audit_file_.flush();
        if (batch.dropped > 0) {
            spdlog::error("audit: {} events dropped: the queue of {} MiB was full", batch.dropped,
                          queue_bytes_ / (1024 * 1024));
            write_followup({.kind = EventKind::events_dropped, .count = batch.dropped});
            if (inventory_) inventory_->lost(batch.dropped);
        }
        if (batch.reopen) audit_file_.reopen();
        if (inventory_) update_inventory(batch);
    }
}

/// An event that follows from others. It does not pass the queue: it is told where it belongs, and
/// never dropped.
void Recorder::write_followup(Event event) {
    counters_.count(event.kind);
    audit_file_.add(event);
    audit_file_.flush();
}

/// Called after the audit lines are written, so that a slow inventory disk does not delay them.
void Recorder::update_inventory(const EventQueue::Batch& batch) {
    for (const Event& event : batch.events) inventory_->absorb(event);
    if (!batch.closed && Inventory::Clock::now() < inventory_->due()) return;
    for (Event& event : inventory_->flush()) write_followup(std::move(event));
}

}  // namespace proxy
