// What is no TOML is told with its place and with what would be right.
#include <algorithm>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/toml_line.hpp"
#include "support/catch.hpp"

namespace {

using Lines = std::vector<std::string>;

Lines slips_of(const std::string& text) {
    Lines lines;
    for (const config::Diagnostic& error : config::load_text(text, "t").errors) lines.push_back(to_string(error));
    return lines;
}

struct Slip {
    std::string text;
    std::string told;
};

void check_all(const std::vector<Slip>& slips) {
    for (const Slip& slip : slips) {
        INFO(slip.text);
        CHECK(slips_of(slip.text) == Lines{slip.told});
    }
}

}  // namespace

TEST_CASE("toml: what is written without quotes is told how it is written") {
    check_all({
        {"[log]\nlevel = info\n", "t:2:9: log.level: strings need quotes: level = \"info\" (the line: level = info)"},
        {"[upstream.a]\nhosts = db:5432\n",
         "t:2:9: upstream.a.hosts: strings need quotes: hosts = \"db:5432\" (the line: hosts = db:5432)"},
        {"[upstream.a]\nhosts = db:5432, db2:5432\n",
         "t:2:9: upstream.a.hosts: strings need quotes: hosts = [\"db:5432\", \"db2:5432\"] "
         "(the line: hosts = db:5432, db2:5432)"},
        {"[upstream.a]\nhosts = [db:5432, [::1]:5432]\n",
         "t:2:10: upstream.a.hosts: strings need quotes: hosts = [\"db:5432\", \"[::1]:5432\"] "
         "(the line: hosts = [db:5432, [::1]:5432])"},
        {"[[listener]]\nlisten = [::1]:6432\n",
         "t:2:10: listener.listen: strings need quotes: listen = \"[::1]:6432\" (the line: listen = [::1]:6432)"},
        {"[upstream.a]\nhosts = [\n  \"a:1\",\n  db:5432\n]\n",
         "t:4:3: upstream.a.hosts: strings need quotes: \"db:5432\""},
        {"[listener.tls]\nmode = require\n",
         "t:2:8: listener.tls.mode: strings need quotes: mode = \"require\" (the line: mode = require)"},
        {"[upstream.a]\nsslrootcert = /etc/x\n",
         "t:2:15: upstream.a.sslrootcert: strings need quotes: sslrootcert = \"/etc/x\" "
         "(the line: sslrootcert = /etc/x)"},
        {"[runtime]\ndrain_timeout = 30s\n",
         "t:2:17: runtime.drain_timeout: strings need quotes: drain_timeout = \"30s\" "
         "(the line: drain_timeout = 30s)"},
        {"[[listener]]\nlisten = 127.0.0.1:6432 # here\n",
         "t:2:10: listener.listen: strings need quotes: listen = \"127.0.0.1:6432\" "
         "(the line: listen = 127.0.0.1:6432 # here)"},
        {"[runtime]\ncore_dumps = True\n",
         "t:2:14: runtime.core_dumps: true and false are written in lower case and without quotes: "
         "core_dumps = true (the line: core_dumps = True)"},
        {"[runtime]\ncore_dumps = off\n",
         "t:2:14: runtime.core_dumps: true and false are written in lower case and without quotes: "
         "core_dumps = false (the line: core_dumps = off)"},
        {"[runtime]\nthreads = 1,000\n",
         "t:2:11: runtime.threads: expected a number in digits alone: threads = 1000 (the line: threads = 1,000)"},
        {"[runtime]\nthreads = 04\n",
         "t:2:11: runtime.threads: expected a number in digits alone: threads = 4 (the line: threads = 04)"},
        {"[runtime]\nthreads = four\n",
         "t:2:11: runtime.threads: expected a number in digits alone: threads = 0 (the line: threads = four)"},
    });
}

TEST_CASE("toml: other slips of a key and its value come with the line and what would be right") {
    check_all({
        {"[log]\nlevel: \"info\"\n",
         "t:2:6: log.level: between a key and its value stands one \"=\": level = \"info\" (the line: level: "
         "\"info\")"},
        {"[log]\nlevel == \"info\"\n",
         "t:2:7: log.level: between a key and its value stands one \"=\": level = \"info\" "
         "(the line: level == \"info\")"},
        {"[runtime]\nthreads = = 2\n",
         "t:2:9: runtime.threads: between a key and its value stands one \"=\": threads = 2 "
         "(the line: threads = = 2)"},
        {"[log]\nlevel \"info\"\n",
         "t:2:1: log.level: between a key and its value stands \"=\": level = \"info\" (the line: level \"info\")"},
        {"[log]\nlevel =\n", "t:2:7: log.level: the value is missing: level = \"info\" (the line: level =)"},
        {"[log]\nlevel\n", "t:2:6: log.level: the value is missing: level = \"info\" (the line: level)"},
        {"[log]\nlevel = \"info\n",
         "t:2:9: log.level: the closing quote is missing: level = \"info\" (the line: level = \"info)"},
        {"[log]\nlevel = \"info'\n",
         "t:2:9: log.level: the closing quote is missing: level = \"info\" (the line: level = \"info')"},
        {"[log]\nlevel = 'info\n",
         "t:2:9: log.level: the closing quote is missing: level = \"info\" (the line: level = 'info)"},
        {"\xef\xbb\xbf[log]\nlevel = “info”\n",
         "t:2:9: log.level: these quotes are typographic, and TOML's are \" and ': level = \"info\" "
         "(the line: level = “info”)"},
        {"[log]\nlevel = \"info\";\n",
         "t:2:15: log.level: nothing but a comment (#) stands behind a value: level = \"info\" "
         "(the line: level = \"info\";)"},
        {"[log]\nlevel = \"info\" // all\n",
         "t:2:16: log.level: nothing but a comment (#) stands behind a value: level = \"info\" "
         "(the line: level = \"info\" // all)"},
        {"[upstream.a]\nhosts = \"a:1\", \"b:2\"\n",
         "t:2:14: upstream.a.hosts: several values need brackets, and a comma between them: hosts = [\"a:1\", \"b:2\"] "
         "(the line: hosts = \"a:1\", \"b:2\")"},
        {"[upstream.a]\nhosts = [\"a:1\" \"b:2\"]\n",
         "t:2:16: upstream.a.hosts: a comma is missing between two values: hosts = [\"a:1\", \"b:2\"] "
         "(the line: hosts = [\"a:1\" \"b:2\"])"},
        {"[upstream.a]\nhosts = [\"a:1\"\n[log]\n",
         "t:3:1: upstream.a.hosts: the list that begins in line 2 has no \"]\""},
        {"[log]\nfile = \"C:\\log\"\n",
         "t:2:8: log.file: within \"...\" a backslash begins an escape; within '...' it is a backslash: "
         "file = 'C:\\log' (the line: file = \"C:\\log\")"},
        {"[log]\nlevel = \"info\"\nlevel = \"debug\"\n",
         "t:3:1: log.level: is given a second time, and was in line 2 already: leave out one of them "
         "(the line: level = \"debug\")"},
    });
}

TEST_CASE("toml: slips of tables, comments and files") {
    check_all({
        {"[log\nlevel = \"info\"\n", "t:1:1: \"]\" is missing: [log] (the line: [log)"},
        {"[[listener]\n",
         "t:1:1: as many brackets close a table's name as open it: [[listener]] (the line: [[listener])"},
        {"[log]]\n", "t:1:1: as many brackets close a table's name as open it: [log] (the line: [log]])"},
        {"[log];\n", "t:1:1: nothing but a comment (#) stands behind a table's name: [log] (the line: [log];)"},
        {"[log] level = \"info\"\n", "t:1:1: nothing but a comment (#) stands behind a table's name: [log]"},
        {"[upstream.my db]\n",
         "t:1:1: a name of other characters than letters, digits, '-' and '_' needs quotes: [upstream.\"my db\"] "
         "(the line: [upstream.my db])"},
        {"[]\n", "t:1:1: a table has a name, such as [log] (the line: [])"},
        {"[log]\n[runtime]\n[log]\n",
         "t:3:1: the table [log] is there a second time, and was in line 1 already: put its keys together there "
         "(the line: [log])"},
        {"[listener]\nname = \"a\"\n[listener]\n",
         "t:3:1: this table is there a second time, and was in line 1 already: each is: [[listener]] "
         "(the line: [listener])"},
        {"log:\n  level: info\n", "t:1:1: log: a table is written: [log]"},
        {"// a comment\n[log]\n", "t:1:1: a comment begins with #"},
        {"{\"log\": {}}\n", "t:1:1: expected a table, such as [log], or a key and its value, such as level = \"info\""},
        {"[log]\nfile = \"\xe4\"\n",
         "t:2:9: log.file: a character here is not UTF-8: save the file as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 "
         "(the line: file = \"\xef\xbf\xbd\")"},
        {std::string("\xff\xfe[\0l\0o\0g\0]\0", 12),
         "t:1:1: the file is UTF-16, as some editors save \"Unicode\": save it as UTF-8, or: iconv -f UTF-16 -t UTF-8"},
        {"[log]\rlevel = \"info\"\r",
         "t:1:6: a carriage return ends no line: save the file with line ends of Unix, or: tr '\\r' '\\n'"},
        {"[log]\nlevel =\u00a0\u00a0info\n",
         "t:2:8: log.level: there is a blank here that only looks like one (no-break or zero-width): type a space "
         "(the line: level =\u00a0\u00a0info)"},
    });
}

TEST_CASE("toml: names in quotes and strings of several lines are understood") {
    check_all({
        {"[upstream.\"my db\"]\nhosts = x:1\n",
         "t:2:9: upstream.my db.hosts: strings need quotes: hosts = \"x:1\" (the line: hosts = x:1)"},
        {"[log]\n'level' = info\n",
         "t:2:11: log.level: strings need quotes: level = \"info\" (the line: 'level' = info)"},
        {"[alert]\ncommand = [\"\"\"\nlevel = S3CRET\n",
         "t:3:16: alert.command: the string between three quotes that begins in line 2 has no end, or what stands in "
         "it cannot"},
        {"[log]\nfile = \"\"\"x\"\"\"\nlevel = info\n",
         "t:3:9: log.level: strings need quotes: level = \"info\" (the line: level = info)"},
    });
}

TEST_CASE("toml: tabs, line ends of Windows and a byte order mark are no slips") {
    CHECK(slips_of("\xef\xbb\xbf[log]\r\n\tlevel = \"info\"\r\n[upstream.a]\r\n\thosts\t=\t\"a:1\"\r\n").empty());
}

TEST_CASE("toml: all lines that are wrong by themselves are told at once") {
    CHECK(slips_of("[log]\nlevel = info\n[listener.tls]\nmode = require\n[runtime]\ncore_dumps = True\nthreads = 2\n"
                   "[upstream.a]\nhosts = \"a:1\"\n") ==
          Lines{"t:2:9: log.level: strings need quotes: level = \"info\" (the line: level = info)",
                "t:4:8: listener.tls.mode: strings need quotes: mode = \"require\" (the line: mode = require)",
                "t:6:14: runtime.core_dumps: true and false are written in lower case and without quotes: "
                "core_dumps = true (the line: core_dumps = True)"});
    std::string many = "[log]\n";
    for (int i = 0; i < 100; ++i) many += "x" + std::to_string(i) + " = y\n";
    CHECK(slips_of(many).size() == 20);
}

TEST_CASE("toml: what may be a secret is in no message") {
    for (const std::string key :
         {"webhook", "inventory", "command", "ssl_passphrase_command", "token_file", "webhok", "password", "level"}) {
        for (const std::string value : {"https://hooks.test/S3CRET", "S3CRET", "\"S3CRET", "[S3CRET, \"S3CRET\"]",
                                        "\"S3CRET\" \"S3CRET\"", "“S3CRET”", "\"\\S3CRET\""}) {
            const bool is_public = key == "level" && value.find("://") == std::string::npos;
            for (const std::string separator : {" = ", ": ", " == ", " "}) {
                const std::string line = key + separator + value;
                INFO(line);
                for (const std::string& told : slips_of("[alert]\n" + line + "\n")) {
                    const bool is_syntax = told.find("alert." + key + ": expected") == std::string::npos;
                    if (!is_public && is_syntax) CHECK(told.find("S3CRET") == std::string::npos);
                }
            }
        }
    }
    for (const std::string text : {"[alert] webhook = S3CRET", "[alert]\ncommand = [\n\"x\",\nS3CRET\n]",
                                   "[alert]\ncommand = [\n\"x\"\n\"S3CRET\"\n]",
                                   "[alert]\nsslrootcert = [\n"
                                   "-----S3CRET\n]",
                                   "S3CRET", "-----BEGIN S3CRET", "[alert]\nS3CRET"}) {
        INFO(text);
        const Lines told = slips_of(text);
        REQUIRE_FALSE(told.empty());
        CHECK(told.front().find("S3CRET") == std::string::npos);
    }
}

TEST_CASE("toml: a value is written as its key wants it") {
    using config::as_toml;
    using Shape = config::KnownKey::Shape;
    CHECK(as_toml("info", Shape::text) == "\"info\"");
    CHECK(as_toml("say \"no\"", Shape::text) == "'say \"no\"'");
    CHECK(as_toml("a, b", Shape::list) == "[\"a\", \"b\"]");
    CHECK(as_toml("[a, 'b c'", Shape::list) == "[\"a\", \"b c\"]");
    CHECK(as_toml("YES", Shape::boolean) == "true");
    CHECK(as_toml("\"false\"", Shape::boolean) == "false");
    CHECK_FALSE(as_toml("perhaps", Shape::boolean));
    CHECK(as_toml("10'000", Shape::integer) == "10000");
    CHECK(as_toml("00", Shape::integer) == "0");
    CHECK_FALSE(as_toml("-1", Shape::integer));
    CHECK_FALSE(as_toml(";", Shape::text));
}

TEST_CASE("a boolean or a number in quotes is told how it is written") {
    CHECK(slips_of("[runtime]\ncore_dumps = 'true'\nthreads = '4'\n[upstream.a]\nhosts = 'a:1'\n") ==
          Lines{"t:2:14: runtime.core_dumps: a boolean has no quotes: write true",
                "t:3:11: runtime.threads: a number has no quotes: write 4"});
    CHECK(slips_of("[runtime]\ncore_dumps = 'x'\nthreads = 'x'\n[upstream.a]\nhosts = 'a:1'\n") ==
          Lines{"t:2:14: runtime.core_dumps: expected a boolean (true or false), got a string",
                "t:3:11: runtime.threads: expected an integer, got a string"});
}

TEST_CASE("toml: any line can be looked at") {
    const std::string pieces[] = {"[", "]",  "\"",           "'",    "=", ":", ",", "level", " ",
                                  "#", "\\", "\xe2\x80\x9c", "\xff", "."};
    for (const std::string& a : pieces) {
        for (const std::string& b : pieces) {
            for (const std::string& c : pieces) {
                const std::string text = "[log]\n" + a + b + c + "\n" + c + a + "\nlevel = " + b + c + a;
                CHECK_FALSE(config::load_text(text, "t").config);
            }
        }
    }
}
