// Messages that are complete and wait to be sent, the oldest first, each with its age. The age does
// not follow a clock that somebody sets: it is the time here, and for what a former process left
// what the clock says of it, up to a limit. Pure: when it is comes as an argument.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "proxy/alert/alert_message.hpp"

namespace proxy {

class AlertQueue {
   public:
    using Clock = std::chrono::steady_clock;

    /// Older messages are given up: nobody needs to be woken by them.
    static constexpr std::chrono::hours longest_wait{24};
    /// Whatever the clock says, a message of a former process gets that long.
    static constexpr std::chrono::hours shortest_wait{1};

    bool empty() const noexcept { return waiting_.empty(); }
    std::size_t size() const noexcept { return waiting_.size(); }
    const AlertMessage& front() const { return waiting_.front().message; }
    void pop_front() { waiting_.pop_front(); }
    bool has(const std::string& id) const noexcept;

    /// When it throws, `message` is what it was.
    void push(AlertMessage&& message, Clock::time_point now) {
        waiting_.emplace_back();
        waiting_.back() = {std::move(message), now};
    }
    /// What a former process has left, among what is there by the time when it began. `today`: the
    /// clock that messages have their times of.
    void insert(std::vector<AlertMessage>&& messages, Clock::time_point now, AlertMessage::Time today);
    /// The first that is too old: it leaves the queue. Empty: there is none.
    std::string drop_one(Clock::time_point now);

   private:
    struct Waiting {
        AlertMessage message;
        Clock::time_point since;
    };
    std::deque<Waiting> waiting_;
};

}  // namespace proxy
