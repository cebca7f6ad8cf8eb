// What SQLite's instr(), replace() and trim() do, in time that grows as the texts do and not as
// their product. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace proxy {

/// Where `wanted` first stands in `text`, in characters from 1 on; 0: nowhere.
std::size_t place_of(std::string_view wanted, std::string_view text);

/// Each `from` in `text` as `to`. nullopt: it would be longer than `max` bytes.
std::optional<std::string> replaced(std::string_view text, std::string_view from, std::string_view to, std::size_t max);

/// Without those characters of `characters` that stand at its begin or its end.
std::string_view trimmed(std::string_view text, std::string_view characters, bool from_begin, bool from_end);

}  // namespace proxy
