// Whether every thread that serves still comes round, for systemd's WatchdogSec=: a process whose
// sessions hang is started anew instead of looking alive.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "proxy/server/systemd.hpp"
#include "tls/asio.hpp"

namespace proxy {

class Worker;

/// Asks one io_context's thread.
class Pulse {
   public:
    explicit Pulse(asio::io_context& io) : io_(io) {}
    /// From one thread. True: it has answered what it was asked before, and is asked again.
    bool answers();

   private:
    asio::io_context& io_;
    bool asked_ = false;
    std::shared_ptr<std::atomic<bool>> answered_ = std::make_shared<std::atomic<bool>>(false);
};

class Watchdog {
   public:
    /// Part of the time that systemd grants: one late answer is no reason to be killed.
    static constexpr int rounds = 4;

    Watchdog(tls::Executor executor, ServiceManager& manager, const std::vector<std::unique_ptr<Worker>>& workers)
        : manager_(manager), workers_(workers), timer_(executor) {}

    /// As long as the io_context runs; at once over without a watchdog.
    tls::Awaitable<> run();

   private:
    bool all_answer();

    ServiceManager& manager_;
    const std::vector<std::unique_ptr<Worker>>& workers_;
    tls::Timer timer_;
    bool silent_ = false;
};

}  // namespace proxy
