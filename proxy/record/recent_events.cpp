#include "proxy/record/recent_events.hpp"

namespace proxy {

void RecentEvents::add(Event&& event) {
    auto kept = std::make_shared<const Event>(std::move(event));
    const std::lock_guard lock(mutex_);
    bytes_ += footprint(*kept);
    events_.push_back(std::move(kept));
    while (events_.size() > max_events || (bytes_ > max_bytes && events_.size() > 1)) {
        bytes_ -= footprint(*events_.front());
        events_.pop_front();
    }
}

std::vector<std::shared_ptr<const Event>> RecentEvents::all() const {
    const std::lock_guard lock(mutex_);
    return {events_.begin(), events_.end()};
}

}  // namespace proxy
