// One attempt to send one message, by whichever way its alert has.
#pragma once

#include "proxy/alert/alert_message.hpp"
#include "proxy/alert/attempt.hpp"

namespace proxy {

/// Takes no longer than settings.timeout, nor than until `deadline`. Never throws.
AttemptResult deliver(const AlertMessage& message, const AlertRoute& route, const std::string& proxy,
                      Attempt::Clock::time_point deadline, const std::atomic<bool>& stop) noexcept;

}  // namespace proxy
