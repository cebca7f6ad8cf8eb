// What systemd is told, and the sockets that it hands over (sd_notify(3), sd_listen_fds(3)).
// Without systemd nothing happens.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/record/own_thread.hpp"

namespace proxy {

/// Tells it on a thread of its own: one that is stopped does not take what it is told.
class ServiceManager {
   public:
    ServiceManager();
    ~ServiceManager();

    // From any thread.

    void ready(const std::string& status);
    void status(const std::string& text);
    void reloading();
    void stopping();
    void alive();
    /// Another process is the service's main one from now on: nothing more is told by this one.
    void handed_over(pid_t pid, const std::string& status);

    /// How often it wants to hear that we are alive (WatchdogSec=); nullopt: not at all.
    static std::optional<std::chrono::microseconds> watchdog();

   private:
    struct Messages;

    void tell(std::string text);

    std::shared_ptr<Messages> messages_;  // the thread's as well; nullptr: nobody wants to hear
    std::optional<OwnThread> thread_;
    std::atomic<bool> handed_over_{false};
};

/// Descriptors passed by socket activation; asked for once.
std::vector<int> activated_sockets();

}  // namespace proxy
