// Text forms that the configuration uses beside those of load.hpp.
#pragma once

#include <optional>
#include <string_view>

#include "config/config.hpp"

namespace config {

// As protocol::ServerName has them.
bool is_dns_name(std::string_view text);
bool is_ip_address(std::string_view text);

/// Loopback, or a UNIX-domain socket: nobody on another host reaches what listens there.
bool is_of_this_host(const Address& address) noexcept;

/// RFC 3339, seconds may be left out: "2026-03-01T02:00Z", "2026-03-01T02:00:00.25+01:00".
std::optional<std::chrono::system_clock::time_point> parse_time(std::string_view text) noexcept;

/// "START/END", the later last.
std::optional<TimeWindow> parse_time_window(std::string_view text) noexcept;

/// At most 63 letters, digits, '-', '_' and '.', the first of them a letter or a digit.
bool is_plain_name(std::string_view text) noexcept;

bool has_control_characters(std::string_view text) noexcept;

}  // namespace config
