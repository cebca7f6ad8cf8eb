// All three scripts find out first which command the words so far name, and then look it up. "help"
// is passed over: what follows it is completed as if it stood there without it. An option whose
// values are known offers them; any other that takes a value offers files, for lack of a better.
#include "config/usage/completion.hpp"

#include <algorithm>
#include <functional>

#include "config/usage/usage_words.hpp"

namespace usage {
namespace {

/// "pgairlock-bench" -> "pgairlock_bench".
std::string identifier(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string replace_all(std::string_view text, char what, std::string_view by) {
    std::string out;
    for (const char c : text) c == what ? out.append(by) : out.append(1, c);
    return out;
}

/// For bash and zsh.
std::string shell_word(std::string_view text) { return "'" + replace_all(text, '\'', "'\\''") + "'"; }

std::string fish_word(std::string_view text) {
    return "'" + replace_all(replace_all(text, '\\', "\\\\"), '\'', "\\'") + "'";
}

std::string last_word(const Outline& command) { return command.name.substr(command.name.rfind(' ') + 1); }

void for_each(const Outline& command, const std::function<void(const Outline&)>& visit) {
    visit(command);
    for (const Outline& below : command.commands) for_each(below, visit);
}

/// 'pgairlock run' | 'pgairlock check' ..., or for fish without the strokes.
std::string known_commands(const Outline& program, std::string_view between) {
    std::string text;
    for_each(program, [&](const Outline& command) {
        if (command.name != program.name) text += (text.empty() ? "" : std::string(between)) + shell_word(command.name);
    });
    return text;
}

std::string joined(const std::vector<std::string>& words, const std::function<std::string(const std::string&)>& each) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + each(word);
    return text;
}

std::string plain(const std::vector<std::string>& words) {
    return joined(words, [](const std::string& word) { return word; });
}

/// 'pgairlock report -c' | 'pgairlock report --config'
std::string behind(const Outline& command, const OutlineOption& option) {
    std::string text;
    for (const std::string& name : option.names) {
        text += (text.empty() ? "" : " | ") + shell_word(command.name + " " + name);
    }
    return text;
}

const OutlineOption* argument_with_choices(const Outline& command) {
    for (const OutlineOption& argument : command.arguments) {
        if (!argument.choices.empty()) return &argument;
    }
    return nullptr;
}

/// What an option's value can be, by what stands before it: cases of bash and zsh.
std::string cases_of_values(const Outline& program, const std::function<std::string(const OutlineOption&)>& act) {
    std::string text;
    for_each(program, [&](const Outline& command) {
        for (const OutlineOption& option : command.options) {
            if (option.value.empty()) continue;
            text += "        " + behind(command, option) + ") " + act(option) + " ;;\n";
        }
    });
    return text;
}

std::string bash(const Outline& program) {
    const std::string function = "_" + identifier(program.name);
    std::string text = "# Completes " + program.name + " in bash.\n" + function + "() {\n" +
                       "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} at=" +
                       program.name + " i\n" + R"(    local words= values= files=
    # "--format=json" comes as three words.
    [[ $current != = ]] || current=
    [[ $previous != = ]] || previous=${COMP_WORDS[COMP_CWORD-2]}
    for ((i = 1; i < COMP_CWORD; ++i)); do
        case "$at ${COMP_WORDS[i]}" in
            )" + shell_word(program.name + " help") +
                       ") ;;\n            " + known_commands(program, " | ") +
                       R"() at+=" ${COMP_WORDS[i]}" ;;
        esac
    done
    case "$at $previous" in
)";
    text += cases_of_values(program, [](const OutlineOption& option) {
        return option.choices.empty() ? std::string("files=1") : "values=" + shell_word(plain(option.choices));
    });
    text += "    esac\n    case $at in\n";
    for_each(program, [&](const Outline& command) {
        std::vector<std::string> words;
        for (const Outline& below : command.commands) words.push_back(last_word(below));
        const OutlineOption* argument = argument_with_choices(command);
        if (argument != nullptr) words.insert(words.end(), argument->choices.begin(), argument->choices.end());
        for (const OutlineOption& option : command.options) words.push_back(option.names.back());
        text += "        " + shell_word(command.name) + ") words=" + shell_word(plain(words)) + " ;;\n";
    });
    text += R"(    esac
    if [[ $values ]]; then
        words=$values
    elif [[ $files ]]; then
        words=
    elif [[ $current != -* ]]; then
        # Options are offered to whoever begins one.
        words=$(printf '%s\n' $words | grep -v '^-')
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ $words ]] || compopt -o default
}
complete -F )";
    return text + function + " " + program.name + "\n";
}

std::string zsh(const Outline& program) {
    const std::string function = "_" + identifier(program.name);
    std::string text = "#compdef " + program.name + "\n# Completes " + program.name + " in zsh.\n" + function +
                       "() {\n" + "    local at=" + program.name + " i\n    local -a commands options values\n" +
                       R"(    for ((i = 2; i < CURRENT; ++i)); do
        case "$at ${words[i]}" in
            )" + "(" + shell_word(program.name + " help") +
                       ") ;;\n            (" + known_commands(program, " | ") +
                       R"() at+=" ${words[i]}" ;;
        esac
    done
    case "$at ${words[CURRENT-1]}" in
)";
    text += cases_of_values(program, [](const OutlineOption& option) {
        return option.choices.empty() ? std::string("_files; return")
                                      : "compadd -- " + plain(option.choices) + "; return";
    });
    text += "    esac\n    case $at in\n";
    for_each(program, [&](const Outline& command) {
        text += "        " + shell_word(command.name) + ")\n            commands=(\n";
        for (const Outline& below : command.commands) {
            text += "                " + shell_word(last_word(below) + ":" + first_sentence(below.meaning)) + "\n";
        }
        text += "            )\n            options=(\n";
        for (const OutlineOption& option : command.options) {
            text += "                " + shell_word(option.names.back() + ":" + first_sentence(option.meaning)) + "\n";
        }
        text += "            )\n";
        if (const OutlineOption* argument = argument_with_choices(command))
            text += "            values=(" + plain(argument->choices) + ")\n";
        text += "            ;;\n";
    });
    text += R"(    esac
    if [[ $PREFIX == -* ]]; then
        _describe -o option options
    elif ((${#commands})); then
        _describe command commands
    elif ((${#values})); then
        compadd -- $values
    else
        _files
    fi
}
# Read as a file of $fpath, or by "source".
if [[ ${funcstack[1]} == )" +
            function + " ]]; then\n    " + function + " \"$@\"\nelse\n    compdef " + function + " " + program.name +
            "\nfi\n";
    return text;
}

/// "-s c -l config"
std::string fish_names(const OutlineOption& option) {
    return joined(option.names, [](const std::string& name) {
        return name.starts_with("--") ? "-l " + name.substr(2) : "-s " + name.substr(1);
    });
}

std::string fish(const Outline& program) {
    const std::string function = "__fish_" + identifier(program.name) + "_at";
    std::string text =
        "# Completes " + program.name + " in fish.\nfunction " + function + "\n    set -l at " + program.name +
        "\n    set -l words (commandline -opc)\n    for word in $words[2..-1]\n        switch \"$at $word\"\n" +
        "            case " + shell_word(program.name + " help") + "\n            case " +
        known_commands(program, " ") + "\n                set at \"$at $word\"\n        end\n    end\n" +
        "    test \"$at\" = \"$argv\"\nend\n";
    for_each(program, [&](const Outline& command) {
        const std::string here = "complete -c " + program.name + " -n " + fish_word(function + " " + command.name);
        for (const Outline& below : command.commands) {
            text += here + " -f -a " + last_word(below) + " -d " + fish_word(first_sentence(below.meaning)) + "\n";
        }
        if (const OutlineOption* argument = argument_with_choices(command))
            text += here + " -f -a " + fish_word(plain(argument->choices)) + "\n";
        for (const OutlineOption& option : command.options) {
            text += here + " " + fish_names(option);
            if (!option.choices.empty()) {
                text += " -x -a " + fish_word(plain(option.choices));
            } else if (!option.value.empty()) {
                text += " -r -F";
            }
            text += " -d " + fish_word(first_sentence(option.meaning)) + "\n";
        }
    });
    return text;
}

}  // namespace

std::string completion(std::string_view shell, const Outline& program) {
    if (shell == "zsh") return zsh(program);
    return shell == "fish" ? fish(program) : bash(program);
}

}  // namespace usage
