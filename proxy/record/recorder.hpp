// The one door for everything that happens: record(event). Who learns of it are the members of
// Recorder::Writing, in recorder.cpp: the counters, the metrics, the audit file, the inventory,
// what is known of servers' certificates, the recent events, and whoever listens, such as alerts.
// A new one is a member and a line.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/inventory/inventory_keeper.hpp"
#include "proxy/metrics/event_metrics.hpp"
#include "proxy/observation/server_certificates.hpp"
#include "proxy/record/audit_file.hpp"
#include "proxy/record/bounded_queue.hpp"
#include "proxy/record/event_counters.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/record/recent_events.hpp"

namespace proxy {

/// Events are counted at once, and written down by a thread of its own: nobody who records one
/// waits for a disk.
class Recorder {
   public:
    /// Some 40,000 events: at 10,000 connections a second, two seconds' worth.
    static constexpr std::size_t max_queued_bytes = 64 * 1024 * 1024;
    /// How long the end of the process waits for what is not written yet, and for the fleet's
    /// farewell (Fleet). Whoever does not read its pipe until then goes without the rest.
    static constexpr std::chrono::seconds farewell{6};

    /// Told of each event once it is written down, on the recorder's thread, which may outlive us.
    /// Waits for nothing, and throws nothing.
    using Listener = std::function<void(const Event&)>;

    /// Throws CannotOpen. `inventory`: nullptr: none. `queue_bytes`: what waits to be written.
    explicit Recorder(AuditFile::Settings audit, std::unique_ptr<InventoryKeeper> inventory = nullptr,
                      std::size_t queue_bytes = max_queued_bytes, Listener listener = nullptr);
    /// Waits for `farewell` at most.
    ~Recorder() { end_within(farewell); }

    /// From any thread; never waits for I/O. When the queue is full the event is counted instead,
    /// and the count is itself logged and recorded as events_dropped once there is room. Events
    /// that the file does not take are counted and told the same way.
    void record(Event&& event) noexcept;
    /// What a server's own list of its sessions showed: for the inventory alone. From any thread,
    /// as an event is.
    void looked(ServerLook&& look) noexcept;
    /// What the inventory has not seen for so long is forgotten; zero: never. From any thread.
    void retain_for(std::chrono::milliseconds retention);
    /// Opens the audit file anew, after it was renamed (SIGUSR1).
    void reopen();
    /// Every event that was ever recorded, also those that were dropped.
    const EventCounters& counters() const noexcept;
    /// The same by listener and upstream.
    EventMetrics& metrics() noexcept;
    /// The last that were written down.
    const RecentEvents& recent() const noexcept;
    /// What the inventory's file does not have, for longer than writing takes; nullopt: it has all.
    /// From any thread.
    std::optional<Unwritten> unwritten() const;
    /// What the fleet's database does not have; nullopt: it has all, or there is none. From any
    /// thread.
    std::optional<Unshared> unshared() const;
    /// Another process may write the same audit beside this one.
    bool audit_can_be_shared() const noexcept { return audit_can_be_shared_; }
    /// Its file, whether it can be read or not; empty: there is none.
    const std::string& inventory_path() const noexcept { return inventory_path_; }

    /// No more events are recorded, and those that wait are written. False: not within `patience`;
    /// the process has to end by std::_Exit (OwnThread).
    bool end_within(std::chrono::milliseconds patience);

   private:
    class Writing;

    const std::string inventory_path_;        // empty: none
    const std::shared_ptr<Writing> writing_;  // the thread's as well, which may outlive us
    const bool audit_can_be_shared_;
    OwnThread thread_;
};

}  // namespace proxy
