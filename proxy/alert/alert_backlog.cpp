#include "proxy/alert/alert_backlog.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <new>
#include <utility>

namespace proxy {
namespace {

/// Whoever mends what cannot be read need not restart the proxy.
constexpr std::chrono::minutes load_interval{5};

}  // namespace

AlertBacklog::AlertBacklog(std::string name, std::string folder, std::string ours)
    : name_(std::move(name)), folder_(std::move(folder)), ours_(std::move(ours)), spool_(folder_) {}

std::size_t AlertBacklog::room() const noexcept {
    return AlertSpool::max_messages - std::min(AlertSpool::max_messages, queue_.size());
}

std::size_t AlertBacklog::load() {
    next_load_ = Clock::now() + load_interval;
    AlertSpool::Found found =
        spool_.load(room(), [&](const std::string& id) { return id.starts_with(ours_) || queue_.has(id); });
    const std::size_t count = found.messages.size();
    queue_.insert(std::move(found.messages), Clock::now(), std::chrono::system_clock::now());
    left_ = found.left;
    unread_ = found.unread;
    if (found.error.empty() && left_ + unread_ == 0) next_load_ = Clock::time_point::max();
    if (found.damaged > 0)
        spdlog::error("alert \"{}\": {} messages in {} were damaged, and are lost", name_, found.damaged, folder_);
    if (!found.error.empty() && found.error != unreadable_)
        spdlog::error("alert \"{}\": messages in {} cannot be read: {}; tried again later", name_, folder_,
                      found.error);
    unreadable_ = found.error;
    if (count > 0) spdlog::info("alert \"{}\": {} messages wait from before the start", name_, count);
    return found.damaged;
}

void AlertBacklog::keep(const AlertMessage& message) {
    std::string why;
    try {
        why = spool_.keep(message);
    } catch (const std::bad_alloc&) {
        why = "no memory";  // it is sent all the same
    }
    if (why.empty()) {
        unkept_ = false;
    } else if (!std::exchange(unkept_, true)) {
        spdlog::error("alert \"{}\": messages cannot be kept in {}: {}; a restart would lose them", name_, folder_,
                      why);
    }
}

void AlertBacklog::push(AlertMessage&& message) { queue_.push(std::move(message), Clock::now()); }

void AlertBacklog::pop_front() {
    spool_.forget(queue_.front().id);
    queue_.pop_front();
    if (left_ > 0 && queue_.size() <= AlertSpool::max_messages / 2) next_load_ = {};
}

std::size_t AlertBacklog::drop_old() {
    std::size_t dropped = 0;
    for (std::string id; !(id = queue_.drop_one(Clock::now())).empty(); ++dropped) spool_.forget(id);
    if (dropped == 0) return 0;
    if (left_ > 0) next_load_ = {};
    spdlog::error("alert \"{}\": {} messages are given up: nobody took them for {} h", name_, dropped,
                  AlertQueue::longest_wait.count());
    return dropped;
}

}  // namespace proxy
