// What is said on the console: its few statements, in PostgreSQL's style. Keywords in any case,
// values 'quoted' as in SQL or as plain words, options as those of COPY. Questions in SQL are
// found, and not understood:
//
//     CAPTURE START (FOR '30m', TRIGGER failures, CLIENT '10.0.0.0/8') TO STDOUT
//
// What an option means is not known here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"

namespace protocol {

struct ConsoleOption {
    std::string name;          ///< in lower case
    std::string value;         ///< empty also when none was given, as for KEYLOG
    std::size_t position = 0;  ///< of the name, as in ErrorResponse
};

/// One statement. Which members beyond `kind` count depends on it.
struct ConsoleStatement {
    enum class Kind {
        capture_start,
        capture_stop,
        capture_status,
        show,
        sql,   // a question: SELECT, WITH, VALUES, TABLE
        kill,  // KILL 'session' | pid
        reload,
        drain,
        shutdown,
        upgrade,
        set,     // SET, RESET, DISCARD, DEALLOCATE, CLOSE, UNLISTEN: what drivers say for themselves, of no effect here
        select,  // of nothing, or of one literal: whether anybody is there
        begin,   // BEGIN, START TRANSACTION
        commit,  // COMMIT, END
        rollback,  // ROLLBACK, ABORT
    };
    enum class To { folder, client, file };

    Kind kind{};
    std::vector<ConsoleOption> options{};  ///< capture_start; set: the name and its value, words in lower case
    To to = To::folder;                    ///< capture_start
    /// capture_stop; 0: none was named. kill: the pid; 0: `text` is the session. set: 1: SET LOCAL.
    /// select: 1: `text` is an int4.
    std::uint64_t id = 0;
    /// capture_start: the file's name; show: what, in lower case; set: its first word, in upper
    /// case; select: the literal; kill: the session; sql: the statement as it was written.
    std::string text{};
    bool has_text = false;     ///< select: there is a literal
    std::size_t position = 0;  ///< of `text` or `id`, or of the statement, as in ErrorResponse
};

/// Of one query: each is looked at on a thread that serves others as well.
inline constexpr std::size_t max_console_statements = 16;

/// All statements of one query, separated by semicolons; none: an empty query. Or what is wrong
/// with the first that is: 42601, or 0A000 for a word of PgBouncer's that we have not, with its
/// place.
std::variant<std::vector<ConsoleStatement>, ErrorResponse> parse_console(std::string_view query);

}  // namespace protocol
