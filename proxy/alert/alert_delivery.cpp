#include "proxy/alert/alert_delivery.hpp"

#include <algorithm>
#include <new>

#include "protocol/utf8.hpp"
#include "proxy/alert/child_process.hpp"
#include "proxy/alert/web_post.hpp"

namespace proxy {
namespace {

/// What a program is told beside the message; nothing of our own environment.
std::vector<std::string> environment_of(const AlertMessage& message, const AlertRoute& route) {
    return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "PGAIRLOCK_ALERT=" + route.settings.name,
            "PGAIRLOCK_ALERT_ID=" + message.id,
            "PGAIRLOCK_ALERT_KIND=" + std::string(kind_word(message)),
            "PGAIRLOCK_ALERT_STATUS=" + std::string(to_string(message.status))};
}

}  // namespace

AttemptResult deliver(const AlertMessage& message, const AlertRoute& route, const std::string& proxy,
                      Attempt::Clock::time_point deadline, const std::atomic<bool>& stop) noexcept {
    try {
        const Attempt attempt{.deadline = std::min(deadline, Attempt::Clock::now() + route.settings.timeout),
                              .stop = stop};
        const std::string body = alert_body(message, route, proxy);
        if (route.url) return post(route, body, message.id, attempt);
        return run_child(
            {.command = route.settings.command, .environment = environment_of(message, route), .input = body + "\n"},
            attempt);
    } catch (const std::bad_alloc&) {
        return {.what = "out of memory"};
    } catch (const std::exception& error) {
        return {.what = protocol::printable(error.what())};
    }
}

}  // namespace proxy
