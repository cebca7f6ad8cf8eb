#include "proxy/alert/alerts.hpp"

#include <algorithm>

namespace proxy {
namespace {

constexpr std::chrono::milliseconds patience = AlertSender::farewell + std::chrono::seconds(1);

}  // namespace

Alerts::~Alerts() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (const auto& [name, sender] : senders_) sender->close();
    for (const auto& [name, sender] : senders_) {
        const auto left = deadline - std::chrono::steady_clock::now();
        sender->end_within(
            std::max(std::chrono::duration_cast<std::chrono::milliseconds>(left), std::chrono::milliseconds(0)));
    }
}

void Alerts::use(const std::vector<std::shared_ptr<const AlertRoute>>& routes) {
    const std::lock_guard lock(mutex_);
    for (const auto& route : routes) {
        std::unique_ptr<AlertSender>& sender = senders_[route->settings.name];
        if (!sender)
            sender = std::make_unique<AlertSender>(AlertSender::Settings{
                .name = route->settings.name, .folder = folder_ + "/" + route->settings.name, .proxy = proxy_});
        sender->use(route);
    }
    // Its thread stays, for it may be in the middle of something, and come back with the next
    // reload.
    for (const auto& [name, sender] : senders_) {
        const bool is_used =
            std::any_of(routes.begin(), routes.end(), [&](const auto& route) { return route->settings.name == name; });
        if (!is_used) sender->use(nullptr);
    }
}

void Alerts::notice(const Event& event) noexcept {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, sender] : senders_) sender->notice(event);
}

std::map<std::string, AlertNumbers> Alerts::numbers() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, AlertNumbers> all;
    for (const auto& [name, sender] : senders_) all[name] = sender->numbers();
    return all;
}

}  // namespace proxy
