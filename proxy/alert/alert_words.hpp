// What alerts are about, and what they say: from one event to words. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

/// `test`: somebody wants to see whether messages arrive.
enum class AlertStatus : std::uint8_t { firing, resolved, test };

std::string_view to_string(AlertStatus status) noexcept;
std::string_view to_string(config::AlertKind kind) noexcept;

/// Whether `event` is something that `kind` tells of.
bool concerns(config::AlertKind kind, const Event& event) noexcept;
/// Whether `event` shows that what `kind` tells of is over.
bool ends(config::AlertKind kind, const Event& event) noexcept;
/// Whether an alert that tells of `all` tells of `event` by another, narrower word than `kind`: one
/// cause is one message.
bool is_told_by_another(config::AlertKind kind, const std::vector<config::AlertKind>& all, const Event& event) noexcept;
/// Whether anything ever ends it.
bool can_end(config::AlertKind kind) noexcept;

/// What happened, in one line for people; two that are the same say the same. Without control
/// characters, whatever strangers call themselves.
std::string alert_line(config::AlertKind kind, const Event& event);

/// "3 new weak clients", "the server is verified again".
std::string alert_title(config::AlertKind kind, AlertStatus status, std::uint64_t count);

/// "12 s", "5 min 10 s", "3 h 5 min", "2 d 4 h".
std::string how_long(std::chrono::steady_clock::duration time);

}  // namespace proxy
