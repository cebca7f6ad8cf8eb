// Names come from the wire in any encoding, but files and databases want UTF-8, and people want to
// read it.
#pragma once

#include <string>
#include <string_view>

namespace protocol {

/// Bytes of the character that `text`, which is not empty, begins with; 0: it begins with none
/// (RFC 3629, section 4).
std::size_t character_length(std::string_view text) noexcept;

/// What is no UTF-8 becomes U+FFFD.
std::string as_utf8(std::string_view text);

/// The same, of at most `limit` bytes: PostgreSQL cuts names too.
std::string as_utf8(std::string_view text, std::size_t limit);

/// How much of a peer's text is worth writing down: it chooses what it sends, not how much of our
/// log, audit or errors that fills.
inline constexpr std::size_t max_peer_text = 2000;

/// Valid UTF-8 that is different for different bytes. What is no UTF-8, or NUL, which no text of
/// PostgreSQL can have, becomes \xNN in lower-case hex, as in PostgreSQL's log. A backslash that
/// would read as one of these becomes \x5c itself, so that who is really called "\xff" is nobody
/// else.
std::string as_distinct_utf8(std::string_view text);

// --- What is shown to people

/// Nothing in it can do anything to a terminal, or turn the text beside it round: every control or
/// direction character becomes U+FFFD, and so does what is no UTF-8.
std::string printable(std::string_view text);

/// Whether printable() takes away this one character.
bool is_harmful(std::string_view character) noexcept;

/// The same JSON, with what is_harmful() written as \uNNNN. A value is none the poorer for it.
std::string printable_json(std::string json);

}  // namespace protocol
