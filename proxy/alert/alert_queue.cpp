#include "proxy/alert/alert_queue.hpp"

#include <algorithm>
#include <tuple>

namespace proxy {

bool AlertQueue::has(const std::string& id) const noexcept {
    return std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiting& one) { return one.message.id == id; });
}

void AlertQueue::insert(std::vector<AlertMessage>&& messages, Clock::time_point now, AlertMessage::Time today) {
    using Age = Clock::duration;
    for (AlertMessage& message : messages) {
        const auto age = std::chrono::duration_cast<Age>(today - message.last_at);
        push(std::move(message), now - std::clamp(age, Age(0), Age(longest_wait - shortest_wait)));
    }
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
        return std::tie(a.message.first_at, a.message.id) < std::tie(b.message.first_at, b.message.id);
    });
}

std::string AlertQueue::drop_one(Clock::time_point now) {
    const auto old = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& one) { return now - one.since > longest_wait; });
    if (old == waiting_.end()) return {};
    std::string id = std::move(old->message.id);
    waiting_.erase(old);
    return id;
}

}  // namespace proxy
