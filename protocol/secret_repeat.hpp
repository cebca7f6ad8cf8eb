// Whether a server's words have in them the password or token that a client has told it: as it is,
// or as programs write such things down. Pure.
//
// Found are the secret and pieces of it in any case, with separators within, reversed, in hex,
// percent-encoded and in base64. A server that means to hide it has other ways.
#pragma once

#include <string_view>

namespace protocol {

/// True as soon as eight characters in a row are the secret's; of shorter ones, all. What one of
/// PostgreSQL's own sentences begins with is not looked at.
bool repeats_secret(std::string_view text, std::string_view secret);

/// The other way round, for texts that are too short to have a piece of it: `text`, which is not
/// empty, is a part of the secret, in any case.
bool is_part_of_secret(std::string_view text, std::string_view secret);

}  // namespace protocol
