#include "proxy/record/event_queue.hpp"

#include <utility>

namespace proxy {

bool EventQueue::push(Event&& event) {
    const std::size_t size = footprint(event);
    bool first = false;
    bool room = false;
    {
        const std::lock_guard lock(mutex_);
        first = !anything();
        room = dropped_ == 0 && waiting_bytes_ + taken_bytes_ + size <= max_bytes_;
        if (room) {
            events_.push_back(std::move(event));
            waiting_bytes_ += size;
        } else {
            ++dropped_;
        }
    }
    if (first) wake_.notify_one();
    return room;
}

void EventQueue::ask_reopen() {
    {
        const std::lock_guard lock(mutex_);
        reopen_ = true;
    }
    wake_.notify_one();
}

void EventQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    wake_.notify_one();
}

EventQueue::Batch EventQueue::take(Clock::time_point due) {
    std::unique_lock lock(mutex_);
    taken_bytes_ = 0;
    if (due == Clock::time_point::max()) {
        wake_.wait(lock, [this] { return anything(); });
    } else {
        wake_.wait_until(lock, due, [this] { return anything(); });
    }
    taken_bytes_ = std::exchange(waiting_bytes_, 0);
    return {.events = std::exchange(events_, {}),
            .dropped = std::exchange(dropped_, 0),
            .reopen = std::exchange(reopen_, false),
            .closed = closed_};
}

}  // namespace proxy
