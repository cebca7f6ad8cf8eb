// The command line of `pgairlock capture`.
#include <CLI/CLI.hpp>
#include <charconv>

#include "protocol/utf8.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/command/options.hpp"

namespace proxy::command {
namespace {

constexpr const char* capture_examples = R"(
Examples:
  pgairlock capture start --for 30m --trigger failures     who fails in the rotation window, and what came before
  pgairlock capture start --for 5m --user billing          one user's sessions; literals and rows are blanked
  pgairlock capture start --client 10.1.0.0/16 --max-size 1GiB --payload headers
  pgairlock capture start --write - | wireshark -k -i -    watch, until Wireshark stops or Ctrl-C
  pgairlock capture start --for 1m --write window.pcapng   into a file of yours, by this command
  pgairlock capture status
  pgairlock capture stop 3

What is in a file, and what never is: docs/capture.md. The same by SQL: docs/commands.md, "The console".)";

/// Of one command, behind what makes it known by example.
std::string capture_footer(const char* examples) {
    return std::string("\nExamples:\n") + examples +
           "\nExit: 0 done, 1 no proxy runs there, or it refuses, or nothing is to be stopped, 2 usage error.";
}

constexpr const char* capture_read_examples = R"(
Examples:
  pgairlock capture read /var/lib/pgairlock/captures/*.pcapng
  pgairlock capture read --failed --compare-at 2026-03-01T02:00Z captures/*.pcapng
  pgairlock capture read --session 17a29cbdecd2-3 --format json captures/*.pcapng | jq .sessions[].statements
  pgairlock capture read --follow captures/capture-20260301T014500Z-1.pcapng

What it shows, and the JSON: docs/capture-read.md.

Exit: 0 read, 1 a file that cannot be read, 2 usage error, or no session matches.)";

using CaptureCommand = int (*)(const CaptureOptions& options);

/// Empty: it is the number of one.
std::string why_no_capture_number(const std::string& text) {
    std::uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec == std::errc() && read.ptr == text.data() + text.size() && number > 0) return {};
    return "expected the number of a capture, as capture status lists them, not \"" + protocol::printable(text) + "\"";
}

CLI::App* add_capture_command(CLI::App& parent, const char* name, CaptureCommand run, CaptureOptions& capture) {
    CLI::App* command = parent.add_subcommand(name);
    command->callback([&capture, run] { capture.command = run; });
    CLI::Option* file =
        command->add_option("-c,--config", capture.config_file, "configuration of the proxy: its console")
            ->check(why_no_place);
    command
        ->add_option("--console", capture.console,
                     "the console's socket (default: console/.s.PGSQL.6434 in the state directory, as for run)")
        ->check(why_no_place)
        ->excludes(file);
    return command;
}

void add_start(CLI::App& parent, CaptureOptions& capture) {
    CLI::App* command = add_capture_command(parent, "start", capture_start, capture);
    command->description("Start a capture. It says at once where it writes and until when.");
    command->footer(
        capture_footer("  pgairlock capture start --for 30m --trigger failures\n"
                       "  pgairlock capture start --for 5m --user billing --write window.pcapng\n"));
    const auto several = [&](const char* option, std::vector<std::string>& values, const char* what) {
        command->add_option(option, values, what)->allow_extra_args(false);
    };
    command->add_option("--for", capture.lasts, "how long: 30s, 30m, 2h (default: until capture stop)");
    command->add_option("--payload", capture.payload,
                        "headers, redacted (default: literals, values and rows are blanked) or full; secrets never");
    command->add_option("--trigger", capture.trigger,
                        "all (default) or failures: only connections whose TLS or login failed");
    several("--listener", capture.listeners, "only clients of this listener; may be repeated, as the other filters");
    several("--user", capture.users, "only sessions of this user");
    several("--database", capture.databases, "only sessions in this database");
    several("--application", capture.applications, "only sessions with this application_name");
    several("--client", capture.clients, "only clients from this address or range (10.0.0.0/8)");
    command->add_option("--max-size", capture.max_size, "end when so much was written: 64MiB, 1GiB (64KiB at least)");
    command->add_option("--write", capture.write,
                        "write the capture here, as a new file, or to standard output (-), until it ends or Ctrl-C; "
                        "without it the proxy writes into capture.dir");
    command->add_flag("--json", capture.json, "print one JSON document");
    command->add_flag("--keylog", capture.keylog,
                      "also the raw TLS records and what decrypts them (needs capture.allow_secrets)");
}

}  // namespace

CLI::App* add_capture(CLI::App& app, CaptureOptions& capture) {
    CLI::App* command = app.add_subcommand(
        "capture",
        "Record what clients and servers say inside TLS, as pcapng that Wireshark decodes as it is. The proxy "
        "must be running; its console takes the order.");
    command->require_subcommand(1);
    command->footer(capture_examples);
    add_start(*command, capture);

    CLI::App* stop = add_capture_command(*command, "stop", capture_stop, capture);
    stop->description("Stop one capture, or all that commands started; those of capture.windows go on.");
    stop->footer(capture_footer(
        "  pgairlock capture stop 3\n  pgairlock capture stop --config /etc/pgairlock/pgairlock.toml\n"));
    stop->add_option("ID", capture.id, "which one (default: all that commands started)")->check(&why_no_capture_number);
    stop->add_flag("--json", capture.json, "print one JSON document");

    CLI::App* status = add_capture_command(*command, "status", capture_status, capture);
    status->description("Show the captures that run, those that windows will start, and the last that are over.");
    status->footer(capture_footer("  pgairlock capture status\n  pgairlock capture status --json | jq .\n"));
    status->add_flag("--json", capture.json, "print one JSON document");
    return command;
}

CLI::App* add_capture_read(CLI::App& capture, CaptureReadOptions& read) {
    CLI::App* command = capture.add_subcommand(
        "read",
        "Show what captures hold, without Wireshark: who connected and how, why handshakes and logins failed, each "
        "statement with its time and outcome, and a summary. What is missing in them is said first.");
    command
        ->add_option("FILE", read.files,
                     "capture files (pcapng); of several captures, each session is counted once; - is standard input")
        ->required();
    command->add_option("--format", read.format, "text (default) or json")->check(CLI::IsMember({"text", "json"}));
    command->add_option("--session", read.session, "only this session, as the audit names it");
    command->add_option("--user", read.user, "only sessions of this user");
    command->add_option("--database", read.database, "only sessions in this database");
    command->add_option("--client", read.client, "only sessions from this address, or range of them (10.0.0.0/8)");
    command->add_flag(
        "--failed", read.failed,
        "list only sessions whose TLS or login failed, or that were turned away; the summary is about all");
    command->add_option("--compare-at", read.compare_at,
                        "compare what was before this time and since: 2026-03-01T02:00Z, or a duration ago (2h)");
    command->add_flag("--follow", read.follow,
                      "go on as the last file grows, and with the files of its ring that come "
                      "after it, until Ctrl-C; text only");
    command->footer(capture_read_examples);
    return command;
}

}  // namespace proxy::command
