#include "proxy/record/recent_events.hpp"

#include <algorithm>

namespace proxy {

void RecentEvents::add(Event&& event) {
    auto kept = std::make_shared<const Event>(std::move(event));
    const std::lock_guard lock(mutex_);
    bytes_ += footprint(*kept);
    events_.push_back(std::move(kept));
    ++added_;
    while (events_.size() > max_events || (bytes_ > max_bytes && events_.size() > 1)) {
        bytes_ -= footprint(*events_.front());
        events_.pop_front();
    }
}

std::vector<std::shared_ptr<const Event>> RecentEvents::all() const {
    const std::lock_guard lock(mutex_);
    return {events_.begin(), events_.end()};
}

RecentEvents::Later RecentEvents::behind(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const std::uint64_t forgotten = added_ - events_.size();
    const std::uint64_t skipped = std::min<std::uint64_t>(std::max(number, forgotten), added_) - forgotten;
    return {.first = forgotten + skipped + 1,
            .events = {events_.begin() + static_cast<std::ptrdiff_t>(skipped), events_.end()}};
}

}  // namespace proxy
