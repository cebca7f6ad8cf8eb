// Values of results and parameters: PostgreSQL's text and binary formats of the types that the
// console has (PostgreSQL docs, "Formats and Format Codes", and the types' send and receive
// functions).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/backend_messages.hpp"

namespace protocol {

/// "2026-11-29 23:10:00.5+00". `time`: microseconds since 1970, UTC.
std::string timestamp_text(std::int64_t time);
/// A date, or date and time, in ISO 8601 or as above; without a zone it is UTC. nullopt: it is
/// none.
std::optional<std::int64_t> parse_timestamp(std::string_view text);

/// "2 days 03:04:05.5". `length`: microseconds.
std::string interval_text(std::int64_t length);
/// "5 minutes", "1 day 02:00:00", "90s"; a month has 30 days. nullopt: it is none.
std::optional<std::int64_t> parse_interval(std::string_view text);

/// Appends the binary form of a value in text form. False: there is none of that type, and nothing
/// is appended.
bool append_binary(Buffer& out, ColumnType type, std::string_view text);

/// A parameter in binary as text. `oid`: of its type. nullopt: no such type here, or not its form.
std::optional<std::string> binary_as_text(std::uint32_t oid, Bytes value);

}  // namespace protocol
