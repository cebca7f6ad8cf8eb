// TLS alerts of clients, in words for whoever has to repair it: one table for the comments of
// captures, and for those who read them. Pure.
#pragma once

#include <string_view>

namespace protocol {

/// What a client means by a fatal alert (RFC 8446, section 6), a sentence without its full stop;
/// empty: no such alert.
std::string_view alert_meaning(int alert) noexcept;

}  // namespace protocol
