// Text forms that the configuration uses beside those of load.hpp.
#pragma once

#include <string_view>

namespace config {

/// Letters, digits, '-' and, as in practice, '_', in labels joined by dots. Something like 10.0.0.256 is not one.
bool is_dns_name(std::string_view text) noexcept;

/// IPv4, or IPv6 without brackets, with an optional zone (fe80::1%eth0).
bool is_ip_address(std::string_view text) noexcept;

bool has_control_characters(std::string_view text) noexcept;

}  // namespace config
