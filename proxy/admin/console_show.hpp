// What SHOW answers by SQL over the console's own relations, with PgBouncer's columns where it has
// the command. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace proxy {

struct ConsoleView {
    std::string_view name;     ///< in lower case: SHOW name
    std::string_view meaning;  ///< for SHOW HELP
    std::string_view query;
};

std::span<const ConsoleView> console_views() noexcept;
/// nullptr: SHOW answers that in another way, or not.
const ConsoleView* find_view(std::string_view name) noexcept;

}  // namespace proxy
