#include "proxy/server/watchdog.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/server/worker.hpp"

namespace proxy {

bool Pulse::answers() {
    if (asked_ && !answered_->exchange(false)) return false;
    asked_ = false;  // until it is: without memory nobody is
    asio::post(io_, [answered = answered_] { *answered = true; });
    asked_ = true;
    return true;
}

tls::Awaitable<> Watchdog::run() {
    const auto granted = ServiceManager::watchdog();
    if (!granted) co_return;
    for (;;) {
        if (all_answer()) manager_.alive();
        timer_.expires_after(*granted / rounds);
        co_await timer_.async_wait(tls::returning());
    }
}

bool Watchdog::all_answer() {
    std::size_t silent = 0;
    for (const auto& worker : workers_) silent += worker->answers() ? 0 : 1;
    if (silent > 0 && !silent_)
        spdlog::error("{} of {} worker threads do not answer: systemd is not told that we are alive", silent,
                      workers_.size());
    silent_ = silent > 0;
    return silent == 0;
}

}  // namespace proxy
