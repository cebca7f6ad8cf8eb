// The one door for everything that happens: record(event). Who learns of it is named here, one
// member each: the counters, the audit file and the inventory. A new one is a member and a line.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "proxy/inventory/inventory.hpp"
#include "proxy/record/audit_file.hpp"
#include "proxy/record/event_counters.hpp"
#include "proxy/record/event_queue.hpp"

namespace proxy {

/// Events are counted at once, and written down by a thread of its own: nobody who records one
/// waits for a disk.
class Recorder {
   public:
    /// Some 40,000 events: at 10,000 connections a second, two seconds' worth.
    static constexpr std::size_t max_queued_bytes = 64 * 1024 * 1024;

    /// `audit_path`: empty: no file; "-": standard output. Throws std::runtime_error when the file
    /// cannot be opened. `inventory`: nullptr: none. `queue_bytes`: what waits to be written.
    explicit Recorder(AuditFile::Settings audit, std::unique_ptr<Inventory> inventory = nullptr,
                      std::size_t queue_bytes = max_queued_bytes);
    /// Writes what is queued.
    ~Recorder();

    /// From any thread; never waits for I/O. When the queue is full the event is counted instead,
    /// and the count is itself logged and recorded as events_dropped once there is room.
    void record(Event&& event);
    /// What the inventory has not seen for so long is forgotten; zero: never. From any thread.
    void retain_for(std::chrono::milliseconds retention) {
        if (inventory_) inventory_->retain_for(retention);
    }
    /// Opens the audit file anew, after it was renamed (SIGUSR1).
    void reopen() { queue_.ask_reopen(); }
    /// Every event that was ever recorded, also those that were dropped.
    const EventCounters& counters() const noexcept { return counters_; }

   private:
    void write_down();
    void write_followup(Event event);
    void update_inventory(const EventQueue::Batch& batch);

    const std::size_t queue_bytes_;
    EventCounters counters_;
    EventQueue queue_;
    AuditFile audit_file_;                  // this and the inventory: the writing thread's
    std::unique_ptr<Inventory> inventory_;  // nullptr: none
    std::thread thread_;
};

}  // namespace proxy
