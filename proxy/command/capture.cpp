// `pgairlock capture`: commands for the captures of a running proxy, given through its console.
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <utility>

#include "config/usage/command_line.hpp"
#include "protocol/utf8.hpp"
#include "proxy/command/capture_missing.hpp"
#include "proxy/command/capture_stream.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/console_client.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/report/report_layout.hpp"

namespace proxy::command {
namespace {

namespace json = boost::json;

/// As a value of CAPTURE START. A variable of a script that is not set must not mean everything.
std::string as_literal(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
}

std::string start_statement(const CaptureOptions& options) {
    std::string list;
    const auto add = [&](const char* name, const std::string& value) {
        list += (list.empty() ? "" : ", ") + std::string(name) + " " + as_literal(value);
    };
    const auto add_all = [&](const char* name, const std::vector<std::string>& values) {
        for (const std::string& value : values) add(name, value);
    };
    if (options.lasts) add("FOR", *options.lasts);
    if (options.payload) add("PAYLOAD", *options.payload);
    if (options.trigger) add("TRIGGER", *options.trigger);
    add_all("LISTENER", options.listeners);
    add_all("USER", options.users);
    add_all("DATABASE", options.databases);
    add_all("APPLICATION", options.applications);
    add_all("CLIENT", options.clients);
    if (options.max_size) add("MAX_SIZE", *options.max_size);
    if (options.keylog) list += (list.empty() ? "" : ", ") + std::string("KEYLOG");
    return "CAPTURE START" + (list.empty() ? "" : " (" + list + ")") + (options.write ? " TO STDOUT" : "");
}

std::string document(const char* name, const ConsoleTable& table) {
    json::array captures;
    for (const auto& row : table.rows) {
        json::object capture;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const auto& [column, is_number] = table.columns[i];
            std::int64_t number = 0;
            if (row[i] && is_number) std::from_chars(row[i]->data(), row[i]->data() + row[i]->size(), number);
            capture[column] = !row[i] ? json::value(nullptr) : is_number ? json::value(number) : json::value(*row[i]);
        }
        captures.push_back(std::move(capture));
    }
    return protocol::printable_json(json::serialize(json::object{{name, std::move(captures)}})) + "\n";
}

/// How long it goes on, or went on.
std::string end_text(const ConsoleTable& table, std::size_t row) {
    const std::string ended = table.value(row, "ended"), until = table.value(row, "until");
    return !ended.empty() ? ended : until.empty() ? "until stop" : until;
}

/// Why it is over: "disk: no space left", "stopped by uid 0".
std::string why_text(const ConsoleTable& table, std::size_t row) {
    const std::string reason = table.value(row, "reason"), by = table.value(row, "stopped_by");
    const std::string message = table.value(row, "message");
    if (reason.empty()) return message;
    return reason + (by == reason ? "" : " by " + by) + (message.empty() ? "" : ": " + message);
}

std::string table_text(const ConsoleTable& table) {
    // Who and what are the long ones.
    report::Grid grid{.columns = {{.title = "ID", .right = true},
                                  {.title = "STATE"},
                                  {.title = "FROM"},
                                  {.title = "UNTIL"},
                                  {.title = "SESSIONS", .right = true},
                                  {.title = "PACKETS", .right = true},
                                  {.title = "BYTES", .right = true},
                                  {.title = "MISSING"},
                                  {.title = "BY"},
                                  {.title = "OPTIONS"},
                                  {.title = "WRITES TO"},
                                  {.title = "WHY ENDED"}},
                      .rows = {}};
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
        const auto value = [&](const char* column) { return table.value(row, column); };
        grid.rows.emplace_back();
        for (const std::string& text : {value("id"), value("state"), value("from"), end_text(table, row),
                                        value("sessions"), value("packets"), value("bytes"), missing_text(table, row),
                                        value("by"), value("options"), value("writes_to"), why_text(table, row)})
            grid.rows.back().push_back({protocol::printable(text)});
    }
    return report::to_text(std::move(grid), {});
}

/// "1 session": of the column "sessions".
std::string plural(const ConsoleTable& table, std::size_t row, const std::string& noun) {
    const std::string number = table.value(row, noun + "s");
    return number + " " + noun + (number == "1" ? "" : "s");
}

void print_out(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to standard output");
}

/// The command that ends it, from the same place.
std::string stop_command(const CaptureOptions& options, const std::string& id) {
    return "pgairlock capture stop " + id + (options.console.empty() ? "" : " --console " + options.console) +
           (options.config_file.empty() ? "" : " --config " + options.config_file);
}

void tell_started(const ConsoleTable& started, const CaptureOptions& options) {
    const std::string id = started.value(0, "id"), until = started.value(0, "until");
    std::string text;
    for (const std::string& line :
         {"capture " + id + " writes to " + started.value(0, "writes_to"), "file:    " + started.value(0, "file"),
          "until:   " + (until.empty() ? "stop" : until), "options: " + started.value(0, "options"),
          "end it:  " + stop_command(options, id)})
        text += protocol::printable(line) + "\n";
    print_out(text);
}

/// A statement that is wrong has a wrong option of ours.
bool is_usage(const ConsoleError& error) { return error.sqlstate == "42601" || error.sqlstate == "22023"; }

/// "MAX_SIZE: expected a size" is about our --max-size.
std::string in_our_words(const std::string& error) {
    const auto is_of_name = [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; };
    const std::size_t end = error.find(": ");
    if (end == 0 || end == std::string::npos || !std::all_of(error.begin(), error.begin() + end, is_of_name))
        return error;
    std::string option = "--" + error.substr(0, end);
    for (char& c : option) c = c == '_' ? '-' : is_of_name(c) ? static_cast<char>(c - 'A' + 'a') : c;
    return option + error.substr(end);
}

template <class Command>
int with_console(Command command) {
    try {
        return command();
    } catch (const ConsoleError& error) {
        print_error(is_usage(error) ? in_our_words(error.what()) : error.what());
        return is_usage(error) ? exit_usage : exit_failure;
    } catch (const std::exception& error) {
        print_error(error.what());
        return exit_usage;
    }
}

int stream(const CaptureOptions& options, ConsoleClient& console) {
    const std::string& file = *options.write;
    const auto tell = [&] {
        if (file != "-") std::fprintf(stderr, "capturing into %s; Ctrl-C ends it\n", protocol::printable(file).c_str());
    };
    const std::size_t bytes = stream_capture(console, start_statement(options), file, tell);
    if (file != "-") std::fprintf(stderr, "%s: %zu bytes\n", protocol::printable(file).c_str(), bytes);
    return exit_ok;
}

}  // namespace

int capture_start(const CaptureOptions& options) {
    return with_console([&] {
        if (options.write && options.write->empty())
            throw std::runtime_error("--write: expected a file, or - for standard output");
        if (options.write == "-" && ::isatty(STDOUT_FILENO) != 0)
            throw std::runtime_error("--write -: standard output is a terminal; pipe it: ... | wireshark -k -i -");
        if (options.write && options.json)
            throw std::runtime_error("--json: says nothing of a capture that --write writes");
        ConsoleClient console(console_place(options.console, options.config_file, Broken::stops).path);
        console.on_notice = [](const std::string& text) { usage::print_harmless("warning: " + text + "\n"); };
        if (options.write) return stream(options, console);
        const ConsoleTable started = console.query(start_statement(options));
        if (options.json) {
            print_out(document("started", started));
        } else {
            tell_started(started, options);
        }
        return exit_ok;
    });
}

int capture_stop(const CaptureOptions& options) {
    return with_console([&] {
        ConsoleClient console(console_place(options.console, options.config_file, Broken::stops).path);
        const ConsoleTable stopped =
            console.query("CAPTURE STOP" + (options.id ? " " + std::to_string(*options.id) : ""));
        std::string text;
        for (std::size_t row = 0; row < stopped.rows.size(); ++row) {
            text +=
                protocol::printable("stopped capture " + stopped.value(row, "id") + " to " +
                                    stopped.value(row, "writes_to") + ": " + plural(stopped, row, "session") + ", " +
                                    plural(stopped, row, "packet") + "; missing: " + missing_text(stopped, row)) +
                "\n";
        }
        print_out(options.json ? document("stopped", stopped) : text);
        return exit_ok;
    });
}

int capture_status(const CaptureOptions& options) {
    return with_console([&] {
        ConsoleClient console(console_place(options.console, options.config_file, Broken::stops).path);
        const ConsoleTable captures = console.query("CAPTURE STATUS");
        if (options.json) {
            print_out(document("captures", captures));
        } else {
            print_out(captures.rows.empty() ? "no capture runs, is planned, or has run\n" : table_text(captures));
        }
        return exit_ok;
    });
}

}  // namespace proxy::command
