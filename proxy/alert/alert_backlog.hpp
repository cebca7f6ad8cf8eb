// What one alert has still to send: messages in memory, each of them on the disk as well as long as
// that takes it, and what a former process has left there. Says in the log what goes wrong. One
// thread's.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "proxy/alert/alert_queue.hpp"
#include "proxy/alert/alert_spool.hpp"

namespace proxy {

class AlertBacklog {
   public:
    using Clock = AlertQueue::Clock;

    /// `name`: of the alert. `ours`: what ids of this process begin with.
    AlertBacklog(std::string name, std::string folder, std::string ours);

    bool empty() const noexcept { return queue_.empty(); }
    const AlertMessage& front() const { return queue_.front(); }
    /// How many more there is room for, in memory and on the disk.
    std::size_t room() const noexcept;
    /// All that wait, wherever they are.
    std::size_t size() const noexcept { return queue_.size() + left_ + unread_; }

    /// When to look for what a former process has left; max(): all of it has been read.
    Clock::time_point next_load() const noexcept { return next_load_; }
    /// Reads as much of it as there is room for; the rest when some were sent. Gives how many were
    /// damaged, and are lost.
    std::size_t load();
    /// On the disk, as it is so far.
    void keep(const AlertMessage& message);
    /// It is complete, and waits from now on. When it throws, `message` is what it was.
    void push(AlertMessage&& message);
    /// What was kept of it, perhaps.
    void forget(const std::string& id) { spool_.forget(id); }
    /// It was sent, or is given up.
    void pop_front();
    /// Gives up what nobody took for too long: how many.
    std::size_t drop_old();

   private:
    const std::string name_;
    const std::string folder_;
    const std::string ours_;
    AlertSpool spool_;
    AlertQueue queue_;
    std::size_t left_ = 0;    // files of a former process that there was no room for
    std::size_t unread_ = 0;  // and those that cannot be read
    Clock::time_point next_load_{};
    std::string unreadable_;  // why, as it was told last
    bool unkept_ = false;     // told that the disk takes nothing
};

}  // namespace proxy
