// One [[alert]]: groups what happens, keeps messages on the disk, and sends them one after the
// other on a thread of its own, which may hang. What a receiver does not take is tried again, later
// and later.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/observation/event.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/route/alert_route.hpp"

namespace proxy {

struct AlertNumbers {
    std::uint64_t sent = 0;
    std::uint64_t failed = 0;   ///< attempts
    std::uint64_t dropped = 0;  ///< messages that were given up
    std::uint64_t waiting = 0;  ///< messages, now
};

class AlertSender {
   public:
    /// What the end of the process gives to sending what is due.
    static constexpr std::chrono::seconds farewell{2};

    struct Settings {
        std::string name;
        std::string folder;  ///< of its messages
        std::string proxy;   ///< who sends; empty: nobody says
    };

    explicit AlertSender(Settings settings);
    ~AlertSender();

    // From any thread; none of these waits for I/O.

    /// What is configured from now on; nullptr: nothing, and what waits goes on waiting.
    void use(std::shared_ptr<const AlertRoute> route);
    void notice(const Event& event) noexcept;
    AlertNumbers numbers() const noexcept;
    /// What was grouped is kept and sent, as far as `farewell` goes.
    void close();

    bool end_within(std::chrono::milliseconds patience) { return thread_.end_within(patience); }

   private:
    class Work;

    const std::shared_ptr<Work> work_;  // the thread's as well, which may outlive us
    OwnThread thread_;
};

}  // namespace proxy
