// Words that PgBouncer's console knows and ours does not, and what there is instead: whoever comes
// from there is told, and not left with a syntax error.
#pragma once

#include <span>
#include <string_view>

namespace protocol {

struct AbsentWord {
    std::string_view word;  ///< in upper case: "PAUSE"; of SHOW in lower case: "fds"
    std::string_view told;  ///< why it is not there
    std::string_view hint;  ///< what to use
};

std::span<const AbsentWord> absent_commands() noexcept;
std::span<const AbsentWord> absent_views() noexcept;

/// Of a setting of PgBouncer's configuration (1.18 to 1.25), in lower case: what there is instead.
/// Empty: it is none, or PostgreSQL has one of that name, which drivers may set.
std::string_view instead_of_setting(std::string_view name) noexcept;

/// nullptr: PgBouncer does not know it either, or we do.
const AbsentWord* find_absent(std::span<const AbsentWord> words, std::string_view word) noexcept;

}  // namespace protocol
