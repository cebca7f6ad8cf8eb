#include "proxy/server/systemd.hpp"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdlib>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/record/bounded_queue.hpp"

namespace proxy {
namespace {

struct Notification {
    std::string text;
};
std::size_t footprint(const Notification& message) noexcept { return sizeof message + message.text.size(); }

constexpr std::size_t max_notifications = 64 * 1024;
constexpr std::chrono::seconds last_notification{1};
/// What `systemctl status` shows in one line.
constexpr std::size_t max_status = 512;

/// Errors name what users have written; a newline in it would begin another variable.
std::string status_line(const std::string& text) {
    return "STATUS=" + protocol::printable(protocol::as_utf8(text, max_status));
}

}  // namespace

struct ServiceManager::Messages {
    BoundedQueue<Notification> queue{max_notifications};

    void send() {
        for (bool closed = false; !closed;) {
            const auto batch = queue.take(BoundedQueue<Notification>::Clock::time_point::max());
            for (const Notification& message : batch.items) sd_notify(0, message.text.c_str());
            closed = batch.closed;
        }
    }
};

ServiceManager::ServiceManager() {
    if (std::getenv("NOTIFY_SOCKET") == nullptr) return;
    messages_ = std::make_shared<Messages>();
    thread_.emplace([messages = messages_] { messages->send(); });
}

ServiceManager::~ServiceManager() {
    if (!messages_) return;
    messages_->queue.close();
    thread_->end_within(last_notification);
}

void ServiceManager::tell(std::string text) {
    if (messages_ && !handed_over_) messages_->queue.push({.text = std::move(text)});
}

void ServiceManager::handed_over(pid_t pid, const std::string& status) {
    tell("MAINPID=" + std::to_string(pid) + "\n" + status_line(status));
    handed_over_ = true;
}

void ServiceManager::ready(const std::string& status) { tell("READY=1\n" + status_line(status)); }

void ServiceManager::status(const std::string& text) { tell(status_line(text)); }

void ServiceManager::reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    // Type=notify-reload pairs the message with its signal by this time.
    const long long microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
    tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

void ServiceManager::stopping() { tell("STOPPING=1\n" + status_line("draining")); }

void ServiceManager::alive() { tell("WATCHDOG=1"); }

std::optional<std::chrono::microseconds> ServiceManager::watchdog() {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
    return std::chrono::microseconds(microseconds);
}

std::vector<int> activated_sockets() {
    std::vector<int> sockets;
    const int count = sd_listen_fds(1);
    for (int i = 0; i < count; ++i) sockets.push_back(SD_LISTEN_FDS_START + i);
    return sockets;
}

}  // namespace proxy
