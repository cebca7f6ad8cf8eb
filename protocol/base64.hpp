// Base64 with padding and nothing else between (RFC 4648, section 4), as SCRAM uses it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"

namespace protocol {

std::string base64_encode(Bytes bytes);
/// nullopt: a character outside the alphabet, or a length or padding that no encoder produces.
std::optional<Buffer> base64_decode(std::string_view text);

}  // namespace protocol
