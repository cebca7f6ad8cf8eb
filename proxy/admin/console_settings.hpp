// What a client of the console may set: statement_timeout, and nothing else that counts. What it
// may take for the proxy's own setting is refused. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/console_statement.hpp"
#include "protocol/startup.hpp"

namespace proxy {

class ConsoleSettings {
   public:
    /// statement_timeout of the StartupMessage, by its name or in `options`. What is wrong there is
    /// as if it were not.
    void begin(const protocol::StartupMessage& startup);
    /// SET, RESET, DISCARD. What is wrong with it: 22023; 0A000 of a setting of PgBouncer's, or a
    /// key of the proxy's configuration.
    std::optional<protocol::ErrorResponse> apply(const protocol::ConsoleStatement& statement, bool in_transaction);
    /// SET LOCAL is forgotten.
    void end_transaction() noexcept { local_.reset(); }

    /// 0: none.
    std::chrono::milliseconds statement_timeout() const noexcept { return local_.value_or(timeout_); }

   private:
    std::chrono::milliseconds at_begin_{0};
    std::chrono::milliseconds timeout_{0};
    std::optional<std::chrono::milliseconds> local_;
};

/// "1500", "5s", "2 min": PostgreSQL's times in milliseconds. nullopt: it is none.
std::optional<std::chrono::milliseconds> parse_timeout(std::string_view text);
/// As SHOW tells it: "5s".
std::string timeout_text(std::chrono::milliseconds timeout);

}  // namespace proxy
