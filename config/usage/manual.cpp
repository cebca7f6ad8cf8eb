#include "config/usage/manual.hpp"

#include "config/usage/roff.hpp"
#include "config/usage/usage_words.hpp"

namespace usage {
namespace {

/// "--fail-on TEXT", the name in bold.
std::string head_of(const OutlineOption& option) {
    std::string head;
    for (const std::string& name : option.names) {
        head += (head.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
    }
    const bool is_argument = !option.names.front().starts_with('-');
    if (!is_argument && !option.value.empty()) head += " \\fI" + roff(option.value) + "\\fR";
    return head + (option.is_repeatable ? " ..." : "");
}

std::string describe(const OutlineOption& option) {
    std::string text = ".TP\n" + head_of(option) + "\n" + roff(option.meaning) + "\n";
    if (option.choices.empty()) return text;
    std::string list;
    for (const std::string& choice : option.choices) {
        list += (list.empty() ? "" : ", ") + ("\\fB" + roff(choice) + "\\fR");
    }
    return text + ".br\nOne of " + list + ".\n";
}

std::string synopsis_of(const Outline& command) {
    std::string text = "\\fB" + roff(command.name) + "\\fR";
    if (!command.options.empty()) text += " [\\fIOPTION\\fR]...";
    for (const OutlineOption& argument : command.arguments) {
        const std::string name = "\\fI" + roff(argument.names.front()) + "\\fR";
        text += argument.is_required ? " " + name : " [" + name + "]";
        if (argument.is_repeatable) text += "...";
    }
    return text;
}

std::string all_synopses(const Outline& command) {
    if (command.commands.empty()) return synopsis_of(command) + "\n.br\n";
    std::string text;
    for (const Outline& below : command.commands) text += all_synopses(below);
    return text;
}

std::string options_and_footer(const Outline& command) {
    std::string text;
    for (const OutlineOption& argument : command.arguments) text += describe(argument);
    for (const OutlineOption& option : command.options) {
        if (option.names.back() != "--help") text += describe(option);  // each has it: said once
    }
    return text + roff_text(command.footer);
}

std::string sections(const Outline& command) {
    std::string text =
        ".SS \"" + roff(command.name) + "\"\n" + roff_text(command.meaning) + options_and_footer(command);
    for (const Outline& below : command.commands) text += sections(below);
    return text;
}

}  // namespace

std::string manual(const Outline& program, std::string_view version, std::string_view see_also) {
    std::string text = roff_title(program.name, 1, version);
    text += ".SH NAME\n" + roff(program.name) + " \\- " + roff(first_sentence(program.meaning)) + "\n";
    text += ".SH SYNOPSIS\n" + all_synopses(program) + "\\fB" + roff(program.name) + "\\fR \\fB\\-\\-help\\fR\n";
    text += ".SH DESCRIPTION\n" + roff_text(program.meaning);
    text += ".PP\nEach command has \\fB\\-\\-help\\fR.\n";
    text += ".SH OPTIONS\n" + options_and_footer(program);
    text += ".SH COMMANDS\n";
    for (const Outline& command : program.commands) text += sections(command);
    text += ".SH \"SEE ALSO\"\n" + roff(see_also) +
            "\n.PP\nThe pages that are called docs/ here are in /usr/share/doc/pgairlock/docs, or in the sources.\n";
    return text;
}

}  // namespace usage
