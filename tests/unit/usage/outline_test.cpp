// What completions and the manual page say of a program's commands, as CLI11 was told of them.
#include "config/usage/outline.hpp"

#include <CLI/CLI.hpp>

#include "config/usage/command_line.hpp"
#include "config/usage/completion.hpp"
#include "config/usage/manual.hpp"
#include "support/catch.hpp"

namespace {

struct Program {
    CLI::App app{"Makes tea: green, or it's black.\n\n  tea brew --strength 3\n", "tea"};
    std::string file, format, text;
    std::vector<std::string> cups;
    bool is_json = false;
    int strength = 0;

    Program() {
        CLI::App* brew = app.add_subcommand("brew", "Brew it. It takes time.");
        brew->add_option("-c,--config", file, "configuration file");
        brew->add_option("--format", format, "how: table or json")->check(CLI::IsMember({"table", "json"}));
        brew->add_option_group("how strong")->add_option("--strength", strength, "1 to 9")->check(CLI::Range(1, 9));
        brew->add_flag("--json", is_json, "print JSON");
        brew->add_option("CUP", cups, "where to")->required();
        brew->footer("\nExample:\n  tea brew mug\n\nExit: 0 done.");
        CLI::App* pot = app.add_subcommand("pot", "What can be done with pots.");
        pot->add_subcommand("note", "Say something.")->add_option("text,--reason", text, "what to say");
        usage::add_completion(app);
        usage::add_manual(app, "1.2.3", "kettle(1)");
    }
};

using Names = std::vector<std::string>;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void check_all_are_in(const usage::Outline& command, const std::string& script, const std::string& shell) {
    for (const usage::Outline& below : command.commands) {
        INFO(shell << ": " << below.name);
        CHECK(has(script, below.name));
        check_all_are_in(below, script, shell);
    }
    for (const usage::OutlineOption& option : command.options) {
        const std::string name = option.names.back();
        INFO(shell << ": " << name);
        CHECK(has(script, shell == "fish" ? "-l " + name.substr(2) : name));
        for (const std::string& choice : option.choices) CHECK(has(script, choice));
    }
}

}  // namespace

TEST_CASE("usage: an outline has every command, option and value that there is") {
    const Program program;
    const usage::Outline outline = usage::outline_of(program.app);
    REQUIRE(outline.commands.size() == 3);
    const usage::Outline& brew = outline.commands[0];
    CHECK(brew.name == "tea brew");
    REQUIRE(brew.arguments.size() == 1);
    CHECK(brew.arguments[0].names == Names{"CUP"});
    CHECK(brew.arguments[0].is_required);
    CHECK(brew.arguments[0].is_repeatable);
    REQUIRE(brew.options.size() == 5);
    CHECK(brew.options[1].names == Names{"-c", "--config"});
    CHECK(brew.options[1].value == "TEXT");
    CHECK(brew.options[1].choices.empty());
    CHECK(brew.options[2].choices == Names{"table", "json"});
    CHECK(brew.options[2].value == "TEXT");
    CHECK(brew.options[3].names == Names{"--json"});
    CHECK(brew.options[3].value.empty());
    CHECK(brew.options[4].names == Names{"--strength"});  // of a group
    CHECK(brew.options[4].value == "INT");
}

TEST_CASE("usage: what may stand in its place or behind its name is both") {
    const Program program;
    const usage::Outline note = usage::outline_of(program.app).commands[1].commands[0];
    CHECK(note.name == "tea pot note");
    REQUIRE(note.arguments.size() == 1);
    CHECK(note.arguments[0].names == Names{"text"});
    CHECK(note.options.back().names == Names{"--reason"});
}

TEST_CASE("usage: every command, option and value is completed in each shell") {
    const Program program;
    const usage::Outline outline = usage::outline_of(program.app);
    for (const std::string shell : {"bash", "zsh", "fish"}) {
        check_all_are_in(outline, usage::completion(shell, outline), shell);
    }
}

TEST_CASE("usage: a program that is asked for its completion or its manual does nothing else") {
    for (const std::vector<std::string>& asked : {Names{"completion", "fish"}, Names{"--man"}}) {
        Program program;
        CHECK(usage::parse_command_line(program.app, asked) == 0);
    }
    Program program;
    CHECK(usage::parse_command_line(program.app, {"completion", "tcsh"}) == usage::usage_error);
}

TEST_CASE("usage: the manual has every command and option, and groff is told nothing by their words") {
    const Program program;
    const std::string page = usage::manual(usage::outline_of(program.app), "1.2.3", "kettle(1)");
    CHECK(
        page.starts_with(".TH \"TEA\" \"1\" \"\" \"pgairlock 1.2.3\" \"pgairlock\"\n.SH NAME\n"
                         "tea \\- Makes tea: green, or it\\(aqs black\n"));
    CHECK(has(page, "\\fBtea brew\\fR [\\fIOPTION\\fR]... \\fICUP\\fR...\n.br\n"));
    CHECK(has(page, ".SS \"tea pot note\"\n"));
    CHECK(has(page, ".TP\n\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fITEXT\\fR\nconfiguration file\n"));
    CHECK(has(page, "how: table or json\n.br\nOne of \\fBtable\\fR, \\fBjson\\fR.\n"));
    CHECK(has(page, ".PP\nExample:\n.EX\n  tea brew mug\n.EE\n.PP\nExit: 0 done.\n"));
}
