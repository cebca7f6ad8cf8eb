// A program's commands and options as plain values, read from what CLI11 was told of them: the
// completions and the manual page are made of it, and so say what --help says.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace usage {

struct OutlineOption {
    std::vector<std::string> names;  ///< "-c", "--config"; of an argument its one name: "FILE"
    std::string meaning;
    std::string value;                 ///< "TEXT"; empty: it takes none
    std::vector<std::string> choices;  ///< all values that are taken; empty: any
    bool is_repeatable = false;
    bool is_required = false;
};

struct Outline {
    std::string name;  ///< with those above it: "pgairlock client list"
    std::string meaning;
    std::string footer;  ///< examples and exit codes, as --help ends
    std::vector<OutlineOption> options;
    std::vector<OutlineOption> arguments;
    std::vector<Outline> commands;
};

/// Of the program, or of one of its commands, with all below it; in the order of --help.
Outline outline_of(const CLI::App& app);

std::string full_name(const CLI::App& command);

/// The commands one below, in the order of --help.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

/// With those of its groups, which newer versions of CLI11 give by themselves.
std::vector<const CLI::Option*> options_of(const CLI::App& app);

}  // namespace usage
