// The command line as people type it: `help`, and what is said when it is wrong, as PostgreSQL's
// own tools say it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace usage {

/// Adds `help [COMMAND]`, and to each command what all have in common: --help that says how it is
/// asked for.
void add_help(CLI::App& app);

/// Adds `completion SHELL`, and to the program `--man`. `app` is complete once it is parsed.
/// `version`: "0.1.0"; `see_also`: other pages, as "psql(1), pgbouncer(1)".
void add_completion(CLI::App& app);
void add_manual(CLI::App& app, std::string version, std::string see_also);

/// Of a command line that is wrong.
inline constexpr int usage_error = 2;

/// nullopt: parsed, and the command's options are set. Else the exit code: help or a version was
/// asked for, or the command line is wrong, which was said.
std::optional<int> parse_command_line(CLI::App& app, std::vector<std::string> arguments);

/// What is wrong with them, in one or more lines that begin with the command, and end with how to
/// ask for help: "pgairlock check: unknown option --confg; did you mean --config?\n...".
/// `parser_says`: what CLI11 found.
std::string explain_usage(const CLI::App& app, const std::vector<std::string>& arguments,
                          const std::string& parser_says);

/// On standard error. Lines stay lines; what a terminal would obey does not pass.
void print_harmless(std::string_view text);

}  // namespace usage
