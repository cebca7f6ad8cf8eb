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

Alerts::Prepared Alerts::prepare(const std::vector<std::shared_ptr<const AlertRoute>>& routes) const {
    const std::lock_guard lock(mutex_);
    Prepared fresh;
    for (const auto& route : routes) {
        const std::string& name = route->settings.name;
        if (senders_.contains(name) || fresh.contains(name)) continue;
        auto sender = std::make_unique<AlertSender>(
            AlertSender::Settings{.name = name, .folder = folder_ + "/" + name, .proxy = proxy_});
        fresh.emplace(name, std::move(sender));
    }
    return fresh;
}

void Alerts::use(const std::vector<std::shared_ptr<const AlertRoute>>& routes, Prepared fresh) noexcept {
    const std::lock_guard lock(mutex_);
    senders_.merge(fresh);
    for (const auto& route : routes) {
        const auto sender = senders_.find(route->settings.name);
        if (sender != senders_.end()) sender->second->use(route);
    }
    // Its thread stays, for it may be in the middle of something, and come back with the next
    // reload.
    for (const auto& [name, sender] : senders_) {
        const bool is_used = std::any_of(routes.begin(), routes.end(),
                                         [&name = name](const auto& route) { return route->settings.name == name; });
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
