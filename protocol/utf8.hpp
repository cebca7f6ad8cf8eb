// Names come from the wire in any encoding, but files and databases want UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace protocol {

/// What is no UTF-8 becomes U+FFFD.
std::string as_utf8(std::string_view text);

/// The same, of at most `limit` bytes: PostgreSQL cuts names too.
std::string as_utf8(std::string_view text, std::size_t limit);

}  // namespace protocol
