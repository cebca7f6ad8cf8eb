// Queries of the console with any contents.
#include <cstdlib>

#include "protocol/console_statement.hpp"

namespace {

using protocol::ConsoleStatement;

void check(bool holds) {
    if (!holds) std::abort();
}

void check_statements(const std::vector<ConsoleStatement>& statements, std::string_view query) {
    std::size_t last = 0;
    for (const ConsoleStatement& statement : statements) {
        check(statement.position > last && statement.position <= query.size());
        last = statement.position;
        const bool sets = statement.kind == ConsoleStatement::Kind::set;
        check(statement.options.empty() || sets || statement.kind == ConsoleStatement::Kind::capture_start);
        std::size_t at = 0;
        for (const auto& option : statement.options) {
            check(!option.name.empty() && option.position > at && option.position <= query.size() + (sets ? 1 : 0));
            at = option.position;
            for (const char c : option.name) check(c < 'A' || c > 'Z');
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view query = protocol::as_text({data, size});
    const auto parsed = protocol::parse_console(query);
    if (const auto* wrong = std::get_if<protocol::ErrorResponse>(&parsed)) {
        // No command of the console; or one of PgBouncer's that has no place here.
        const bool is_absent = wrong->sqlstate == "0A000" && !wrong->hint.empty();
        check((wrong->sqlstate == "42601" || is_absent) && !wrong->message.empty());
        check(wrong->position >= 1 && wrong->position <= size + 1);
    } else {
        check_statements(std::get<std::vector<ConsoleStatement>>(parsed), query);
    }
    return 0;
}
