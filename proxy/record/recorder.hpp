// The audit file: JSON Lines, one object an event, written by one thread behind a bounded queue.
// The inventory lives on that thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/inventory/inventory.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

/// One line of the audit file, without the newline.
std::string to_json(const Event& event);

class Recorder {
   public:
    /// `path`: empty: no file; "-": standard output. Throws std::runtime_error when the file cannot
    /// be opened. `inventory` learns from the same events, on the same thread; nullptr: none.
    explicit Recorder(std::string path, std::unique_ptr<Inventory> inventory = nullptr);
    /// Writes what is queued.
    ~Recorder();

    /// Never blocks on I/O; from any thread. When the queue is full the event is counted instead,
    /// and the count is itself logged and audited as events_dropped as soon as there is room.
    void record(Event event);
    /// Opens the file anew, after it was renamed (SIGUSR1).
    void reopen();

   private:
    void write_loop();
    void write(const std::vector<Event>& batch);
    static void wait_for_processes(const std::vector<Event>& batch);
    void take_stock(const std::vector<Event>& batch, bool stopping);
    bool wanted() const noexcept { return !path_.empty() || inventory_; }
    void open();

    const std::string path_;
    int fd_ = -1;
    std::unique_ptr<Inventory> inventory_;  // the writing thread's
    bool failing_ = false;                  // the last write failed: log the change, not each line

    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Event> queue_;
    std::uint64_t dropped_ = 0;
    bool reopen_ = false;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace proxy
