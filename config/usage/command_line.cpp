#include "config/usage/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "config/spelling.hpp"
#include "config/usage/completion.hpp"
#include "config/usage/manual.hpp"
#include "config/usage/outline.hpp"
#include "config/usage/usage_words.hpp"
#include "protocol/utf8.hpp"

namespace usage {
namespace {

using Arguments = std::vector<std::string>;

/// "help" -> "--help", "help client list" -> "client list --help": CLI11 knows what follows.
void rewrite_help(Arguments& arguments) {
    const auto is_option = [](const std::string& argument) { return argument.starts_with('-'); };
    if (arguments.empty() || arguments.front() != "help") return;
    if (std::any_of(arguments.begin(), arguments.end(), is_option)) return;
    arguments.erase(arguments.begin());
    arguments.emplace_back("--help");
}

std::vector<std::string_view> names_of(const std::vector<const CLI::App*>& commands) {
    std::vector<std::string_view> names;
    for (const CLI::App* command : commands) names.push_back(command->get_name());
    return names;
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
    const auto commands = commands_of(app);
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&](const CLI::App* command) { return command->get_name() == name; });
    return found == commands.end() ? nullptr : *found;
}

/// `name` as typed: "--config", "-c".
const CLI::Option* find_option(const CLI::App& app, const std::string& name) {
    for (const CLI::Option* option : options_of(app)) {
        if (option->nonpositional() && option->check_name(name)) return option;
    }
    return nullptr;
}

/// "--config", and no "-c".
std::vector<std::string> long_options(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : options_of(app)) {
        for (const std::string& name : option->get_lnames()) names.push_back(name);
    }
    return names;
}

std::string ask_for_help(const CLI::App& command) {
    return "Try \"" + full_name(command) + " --help\" for more information.\n";
}

/// Which of the commands has this option; empty: none.
std::string command_with(const CLI::App& app, const std::string& option) {
    for (const CLI::App* command : commands_of(app)) {
        if (find_option(*command, option) != nullptr) return full_name(*command);
    }
    return {};
}

std::string unknown_option(const CLI::App& command, const std::string& typed) {
    std::string text = full_name(command) + ": unknown option " + typed;
    const auto names = long_options(command);
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string name = typed.substr(std::min(typed.find_first_not_of('-'), typed.size()));
    const auto meant = config::nearest(name, known);
    const bool is_single = !typed.starts_with("--") && typed.size() > 2;
    if (is_single && find_option(command, "-" + typed) != nullptr) return text + "; did you mean -" + typed + "?";
    if (meant) return text + "; did you mean --" + std::string(*meant) + "?";
    if (const std::string below = command_with(command, typed); !below.empty()) {
        return text + "; options of a command stand behind it: " + below + " " + typed;
    }
    return text;
}

std::string unknown_command(const CLI::App& command, const std::string& typed) {
    const auto known = names_of(commands_of(command));
    const auto meant = config::nearest(typed, known);
    return full_name(command) + ": unknown command " + config::in_quotes(typed) + "; " +
           (meant ? "did you mean \"" + std::string(*meant) + "\"?" : "the commands are " + config::join(known));
}

/// What the parser meets first that it does not know, and of which command.
struct Unknown {
    const CLI::App* command = nullptr;
    std::string message;  ///< empty: everything is known
};

Unknown find_unknown(const CLI::App& app, const Arguments& arguments) {
    const CLI::App* command = &app;
    std::size_t words = 0;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& typed = arguments[i];
        if (typed == "--") break;
        if (typed.size() > 1 && typed.front() == '-') {
            const std::string name = typed.substr(0, typed.find('='));
            // "-config", as Go's programs have it, would be -c with a value.
            const bool is_single = typed.size() > 2 && typed[1] != '-';
            if (is_single && find_option(*command, "-" + name) != nullptr)
                return {command, unknown_option(*command, name)};
            const CLI::Option* option = find_option(*command, name);
            // "-cFILE"
            if (option == nullptr && !typed.starts_with("--")) option = find_option(*command, typed.substr(0, 2));
            if (option == nullptr) return {command, unknown_option(*command, name)};
            const bool is_separate = name == typed && (typed.starts_with("--") || typed.size() == 2);
            if (is_separate && option->get_items_expected_max() > 0) ++i;
            continue;
        }
        const CLI::App* const next = find_command(*command, typed);
        if (next != nullptr) {
            command = next;
            continue;
        }
        if (!commands_of(*command).empty()) return {command, unknown_command(*command, typed)};
        ++words;
    }
    std::size_t wanted = 0;
    for (const CLI::Option* option : options_of(*command)) {
        if (!option->get_positional()) continue;
        wanted += std::min<std::size_t>(static_cast<std::size_t>(option->get_items_expected_max()), 1U << 16);
    }
    if (words <= wanted) return {command, {}};
    std::string text = full_name(*command) + ": too many arguments";
    text += wanted == 0 ? ": it takes options alone" : "";
    return {command, text};
}

/// As pg_ctl does, and with what most people want.
std::string nothing_given(const CLI::App& command) {
    std::string text = full_name(command) + ": no command is given; the commands are\n";
    std::size_t widest = 0;
    const auto commands = commands_of(command);
    for (const CLI::App* one : commands) widest = std::max(widest, one->get_name().size());
    for (const CLI::App* one : commands) {
        const std::string description = one->get_description();
        text += "  " + one->get_name() + std::string(widest - one->get_name().size() + 2, ' ') +
                first_sentence(description) + "\n";
    }
    return text;
}

}  // namespace

void add_help(CLI::App& app) {
    CLI::App* command = app.add_subcommand("help", "Explain a command, as COMMAND --help does.");
    // Read by rewrite_help: this is what is shown.
    command->add_option("COMMAND", "such as check, or client accept")->expected(0, -1);
    command->footer(
        "\nExamples:\n  pgairlock help\n  pgairlock help check\n  pgairlock help client accept\n"
        "\nExit: 0 shown, 2 no such command.");
}

void add_completion(CLI::App& app) {
    CLI::App* command = app.add_subcommand("completion", "Print what completes commands and options in a shell.");
    command->add_option("SHELL", "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
    // Thrown, as by --version: printed, and nothing else is done.
    command->callback([&app, command] {
        const auto shell = command->get_option("SHELL")->as<std::string>();
        throw CLI::CallForVersion(completion(shell, outline_of(app)), 0);
    });
    const std::string name = app.get_name();
    command->footer("\nExamples:\n  source <(" + name + " completion bash)\n  " + name +
                    " completion zsh > /usr/local/share/zsh/site-functions/_" + name + "\n  " + name +
                    " completion fish > ~/.config/fish/completions/" + name +
                    ".fish\n\nThe packages of Debian bring them along.\n\nExit: 0 printed, 2 no such shell.");
}

void add_manual(CLI::App& app, std::string version, std::string see_also) {
    app.add_flag_callback(
        "--man",
        [&app, version = std::move(version), see_also = std::move(see_also)] {
            throw CLI::CallForVersion(manual(outline_of(app), version, see_also), 0);
        },
        "Print the manual page, for \"man -l -\", and exit");
}

void print_harmless(std::string_view text) {
    std::string out;
    for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        out += protocol::printable(text.substr(0, end)) + "\n";
        text.remove_prefix(end + 1);
    }
    std::fputs((out + protocol::printable(text)).c_str(), stderr);
}

std::optional<int> parse_command_line(CLI::App& app, Arguments arguments) {
    rewrite_help(arguments);
    try {
        Arguments reversed(arguments.rbegin(), arguments.rend());
        app.parse(std::move(reversed));
        return std::nullopt;
    } catch (const CLI::Success& asked) {
        // "Errors" of code 0: help or version. What is wrong with the line comes first.
        const Unknown unknown = find_unknown(app, arguments);
        if (unknown.message.empty()) {
            std::ostringstream out, nothing;
            app.exit(asked, out, nothing);
            std::fputs(out.str().c_str(), stdout);
            return 0;
        }
        print_harmless(unknown.message + "\n" + ask_for_help(*unknown.command));
    } catch (const CLI::ParseError& error) {
        print_harmless(explain_usage(app, arguments, error.what()));
    }
    return usage_error;
}

std::string explain_usage(const CLI::App& app, const Arguments& arguments, const std::string& parser_says) {
    const Unknown unknown = find_unknown(app, arguments);
    if (!unknown.message.empty()) return unknown.message + "\n" + ask_for_help(*unknown.command);
    const CLI::App& command = *unknown.command;
    if (!commands_of(command).empty()) return nothing_given(command) + ask_for_help(command);
    return full_name(command) + ": " + in_our_words(parser_says) + "\n" + ask_for_help(command);
}

}  // namespace usage
