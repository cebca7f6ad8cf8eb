#include "config/usage/outline.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

namespace usage {
namespace {

/// "TEXT:{table,json}" -> "TEXT" and the two; "INT:INT in [1 - 100]" -> "INT".
void read_type(const std::string& type, OutlineOption& into) {
    into.value = type.substr(0, type.find(':'));
    const std::size_t begin = type.find(":{");
    const std::size_t end = type.find('}', begin == std::string::npos ? 0 : begin);
    if (begin == std::string::npos || end == std::string::npos) return;
    std::string choice;
    for (const char c : type.substr(begin + 2, end - begin - 2) + ",") {
        if (c != ',') {
            choice += c;
        } else {
            into.choices.push_back(std::exchange(choice, {}));
        }
    }
}

/// Some are both: given in their place, or by their name.
OutlineOption outline_of(const CLI::Option& option, bool in_its_place) {
    OutlineOption outline{.names = {},
                          .meaning = option.get_description(),
                          .value = {},
                          .choices = {},
                          .is_repeatable = option.get_expected_max() > 1,
                          .is_required = option.get_required()};
    if (in_its_place) {
        outline.names.push_back(option.get_name(true));
    } else {
        for (const std::string& name : option.get_snames()) outline.names.push_back("-" + name);
        for (const std::string& name : option.get_lnames()) outline.names.push_back("--" + name);
    }
    if (option.get_items_expected_max() > 0) read_type(option.get_type_name(), outline);
    return outline;
}

}  // namespace

std::string full_name(const CLI::App& command) {
    const CLI::App* const parent = command.get_parent();
    return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    std::vector<const CLI::App*> commands;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (!command->get_name().empty()) commands.push_back(command);  // not a group of options
    }
    return commands;
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    std::vector<const CLI::Option*> options = app.get_options();
    for (const CLI::App* group : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (!group->get_name().empty()) continue;
        for (const CLI::Option* option : group->get_options()) {
            if (option == group->get_help_ptr()) continue;  // that of the command
            if (std::find(options.begin(), options.end(), option) == options.end()) options.push_back(option);
        }
    }
    return options;
}

Outline outline_of(const CLI::App& app) {
    Outline outline{.name = full_name(app),
                    .meaning = app.get_description(),
                    .footer = app.get_footer(),
                    .options = {},
                    .arguments = {},
                    .commands = {}};
    for (const CLI::Option* option : options_of(app)) {
        if (option->get_positional()) outline.arguments.push_back(outline_of(*option, true));
        if (option->nonpositional()) outline.options.push_back(outline_of(*option, false));
    }
    for (const CLI::App* command : commands_of(app)) outline.commands.push_back(outline_of(*command));
    return outline;
}

}  // namespace usage
