#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "bench/commands.hpp"
#include "config/usage/command_line.hpp"

namespace {

constexpr const char* about = R"(What a PostgreSQL connection costs, by phase, with and without a proxy.

  pgairlock-bench connect 'direct=host=db.example user=app sslrootcert=bundle.pem' 'proxy=host=127.0.0.1 port=6432 user=app sslmode=disable'
  pgairlock-bench serve --listen 127.0.0.1:5555
  pgairlock-bench relay 'direct=host=127.0.0.1 port=5555 sslmode=disable' 'proxy=host=127.0.0.1 port=6432 sslmode=disable' --pid proxy=PID
  pgairlock-bench replay capture-20261129T191148Z-1.pcapng 'old=host=10.0.0.5' 'new=host=10.0.0.6'
)";

constexpr const char* exit_codes =
    "\nExit: 0 done, 1 a connection failed or an answer differs, 2 usage error. Documentation: docs/bench.md, "
    "docs/replay.md.";

constexpr const char* connect_examples = R"(
A target is NAME=CONNINFO, with libpq's keywords: host, hostaddr, port, user, password, dbname, sslmode (disable, require, verify-ca,
verify-full), sslnegotiation (postgres, direct), sslrootcert (a file, or "system"), application_name, connect_timeout. PGPASSWORD is honoured.

Examples:
  pgairlock-bench connect 'today=host=db.example user=app sslrootcert=global-bundle.pem' --libpq
  pgairlock-bench connect --user app 'direct=host=db.example sslrootcert=global-bundle.pem' 'proxy=host=127.0.0.1 port=6432 sslmode=disable'
  pgairlock-bench connect --user app 'a=host=/run/postgresql' --rate 50 --duration 30s --format html --output connections.html
  pgairlock-bench connect --user app 'a=host=10.0.0.5 sslmode=require' --connections 1000 --clients 8 --format json | jq .targets[0].phases

Exit: 0 done, 1 a connection failed, 2 usage error.)";

void add_default(CLI::App& command, const std::string& keyword, const std::string& text, bench::Settings& defaults) {
    command.add_option_function<std::string>(
        "--" + keyword, [keyword, &defaults](const std::string& value) { defaults[keyword] = value; }, text);
}

void add_connect(CLI::App& command, bench::ConnectOptions& options) {
    command
        .add_option("targets", options.targets,
                    "NAME=CONNINFO, measured in turn; the first is what the others are compared with")
        ->required();
    add_default(command, "user", "for targets that name none", options.defaults);
    add_default(command, "dbname", "for targets that name none (default: the user's name)", options.defaults);
    add_default(command, "sslmode", "for targets that name none (default: verify-full)", options.defaults);
    add_default(command, "sslnegotiation", "for targets that name none: postgres (default) or direct",
                options.defaults);
    add_default(command, "sslrootcert", "for targets that name none (default, when something is verified: system)",
                options.defaults);
    command.add_option("--query", options.query, "SQL of the query phase (default: SELECT 1); \"\" for none");
    command.add_option("--clients", options.clients, "connections at a time (default: 1; with --rate: at most 100)")
        ->check(CLI::Range(1, 10000));
    command.add_option("--threads", options.threads, "that share the clients (default: 1)")->check(CLI::Range(1, 256));
    command
        .add_option("--rate", options.rate,
                    "open loop: begin so many connections per second, and measure from when each was due")
        ->check(CLI::Range(0.001, 1e6));
    auto* duration = command.add_option("--duration", options.duration,
                                        "of each target in each repetition: 500ms, 5s (default), 2m");
    command.add_option("--connections", options.connections, "instead of --duration: so many in each repetition")
        ->check(CLI::Range(1, 1'000'000'000))
        ->excludes(duration);
    command.add_option("--repetitions", options.repetitions, "how often each target has its turn (default: 3)")
        ->check(CLI::Range(1, 1000));
    command.add_flag(
        "--libpq", options.libpq,
        "connect by libpq, which reads the CA file for every connection: phases total, query and close only");
    command.add_flag("--progress", options.progress,
                     "a line for each repetition on standard error, also when that is no terminal");
    command.add_option("--format", options.format, "table (default), json, csv or html")
        ->check(CLI::IsMember({"table", "json", "csv", "html"}));
    command.add_option("--output", options.output, "write the report to this file");
    command.footer(connect_examples);
}

constexpr const char* relay_examples = R"(
A target is as of `connect`, and PGPASSWORD is honoured: ping, idle and busy-among-idle can be measured before a database that asks for a password.

Example: a proxy before the null backend, and the null backend itself.
  pgairlock-bench serve --listen 127.0.0.1:5555 --cert-file server.crt --key-file server.key &
  pgairlock-bench relay --user app 'direct=host=127.0.0.1 port=5555 sslmode=require' 'proxy=host=127.0.0.1 port=6432 sslmode=require' \
      --pid direct=$! --pid proxy=$(pidof pgairlock) --workload ping --clients 1,8,64

Exit: 0 done, 1 a measurement failed, 2 usage error.)";

void add_relay(CLI::App& command, bench::RelayOptions& options) {
    command
        .add_option("targets", options.targets,
                    "NAME=CONNINFO, measured in turn; the first is what the others are compared with")
        ->required();
    add_default(command, "user", "for targets that name none (default: bench)", options.defaults);
    add_default(command, "dbname", "for targets that name none (default: the user's name)", options.defaults);
    add_default(command, "sslmode", "for targets that name none (default: verify-full)", options.defaults);
    add_default(command, "sslrootcert", "for targets that name none (default, when something is verified: system)",
                options.defaults);
    command
        .add_option("--pid", options.pids,
                    "NAME=PID of a process whose cost is the target's, with its children; may be repeated")
        ->allow_extra_args(false);
    command
        .add_option("--workload", options.workloads,
                    "copy-out, copy-in, ping (these are the default), idle, busy-among-idle; may be repeated")
        ->check(CLI::IsMember({"copy-out", "copy-in", "ping", "idle", "busy-among-idle"}))
        ->allow_extra_args(false)
        ->delimiter(',');
    command.add_option("--clients", options.clients, "of ping: 1,8,64 by default")
        ->check(CLI::Range(1, 10000))
        ->allow_extra_args(false)
        ->delimiter(',');
    command
        .add_option("--idle-beside", options.idle_beside,
                    "idle connections that are held while ping measures, such as 0,1000,5000 (default: 0)")
        ->check(CLI::Range(0, 1000000))
        ->allow_extra_args(false)
        ->delimiter(',');
    command.add_option("--copy-clients", options.copy_clients, "that copy at the same time (default: 1)")
        ->check(CLI::Range(1, 10000));
    command.add_option("--copy-mb", options.copy_mb, "size of one COPY, in 10^6 bytes (default: 1000)")
        ->check(CLI::Range(1, 1000000));
    command.add_option("--duration", options.duration, "of ping and busy-among-idle: 500ms, 3s (default), 2m");
    command.add_option("--idle", options.idle, "connections that idle and busy-among-idle hold (default: 1000)")
        ->check(CLI::Range(1, 1000000));
    command
        .add_option("--connect-rate", options.connect_rate,
                    "new connections per second of busy-among-idle (default: 50)")
        ->check(CLI::Range(0.0, 1e6));
    command.add_option("--repetitions", options.repetitions, "how often each target has its turn (default: 3)")
        ->check(CLI::Range(1, 1000));
    command.add_option("--threads", options.threads, "of the load generator (default: one per core)")
        ->check(CLI::Range(1, 256));
    command.add_option("--format", options.format, "table (default), json or csv")
        ->check(CLI::IsMember({"table", "json", "csv"}));
    command.add_option("--output", options.output, "write the report to this file");
    command.footer(relay_examples);
}

void add_serve(CLI::App& command, bench::ServeOptions& options) {
    command.add_option("--listen", options.listen, "ADDR:PORT (default: 127.0.0.1:0, any free port)");
    auto* cert =
        command.add_option("--cert-file", options.cert_file, "PEM certificate chain; without it there is no TLS");
    auto* key = command.add_option("--key-file", options.key_file, "its private key")->needs(cert);
    cert->needs(key);
    command.add_option("--threads", options.threads, "(default: one per core)")->check(CLI::Range(1, 256));
    command.footer("\nExit: 0 ended by SIGTERM or SIGINT, 1 runtime failure, 2 usage error.");
}

void add_forward(CLI::App& command, bench::ForwardOptions& options) {
    command.add_option("--listen", options.listen, "IP:PORT (default: 127.0.0.1:0, any free port)");
    command.add_option("--to", options.to, "IP:PORT of the server")->required();
    command.footer("\nExit: 0 ended by SIGTERM or SIGINT, 1 runtime failure, 2 usage error.");
}

constexpr const char* replay_examples = R"(
FILE is a capture of pgairlock; several, when it is a ring of files. Statements are played from captures with payload "full" only. Startup
parameters are as captured, except what a target says itself (user, dbname, application_name); its password is the target's, or the one in the
password file for this host, port, database and user, or PGPASSWORD.

Examples:
  pgairlock-bench replay capture.pcapng 'old=host=10.0.0.5 sslrootcert=ca.pem' 'new=host=10.0.0.6 sslrootcert=ca.pem' --speed max
  pgairlock-bench replay capture.pcapng 'copy=host=/run/postgresql user=app dbname=copy' --writes --rows-hash --format json

Exit: 0 the answers are the same, 1 they differ, or not all could be played, 2 usage error.)";

void add_replay(CLI::App& command, bench::ReplayOptions& options) {
    command
        .add_option("arguments", options.arguments, "FILE... TARGET...: captures, and NAME=CONNINFO, played in turn")
        ->required();
    add_default(command, "user", "for targets that name none (default: as captured)", options.defaults);
    add_default(command, "dbname", "for targets that name none (default: as captured)", options.defaults);
    add_default(command, "sslmode", "for targets that name none (default: verify-full)", options.defaults);
    add_default(command, "sslrootcert", "for targets that name none (default, when something is verified: system)",
                options.defaults);
    command.add_option(
        "--passfile", options.passfile,
        "passwords by host, port, database and user, as libpq reads them (default: PGPASSFILE, or ~/.pgpass)");
    command.add_option("--session", options.sessions, "only this one; may be repeated")->allow_extra_args(false);
    command.add_option("--speed", options.speed, "1 (default): as captured; N times as fast; max: without waiting");
    command.add_option("--clients", options.clients, "play each session so many times at once (default: 1)")
        ->check(CLI::Range(1, 1000));
    auto* writes = command.add_flag("--writes", options.writes, "play statements that write, too");
    command
        .add_flag("--only-select", options.only_select,
                  "read only (the default): statements that may write are left out, and counted")
        ->excludes(writes);
    command.add_flag("--rows-hash", options.rows_hash, "compare the rows as well, in any order");
    command.add_flag("--openings", options.openings, "only how sessions open: TLS, startup parameters, login");
    command.add_option("--timeout", options.timeout, "the longest wait for a server that says nothing (default: 60s)");
    command.add_option("--format", options.format, "table (default), json or html")
        ->check(CLI::IsMember({"table", "json", "html"}));
    command.add_option("--output", options.output, "write the report to this file");
    command.footer(replay_examples);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGCHLD, SIG_DFL);  // as in the proxy: ssl_passphrase_command
    CLI::App app{about, "pgairlock-bench"};
    app.footer(exit_codes);
    app.require_subcommand(1);
    app.set_version_flag("--version", "pgairlock-bench " PGAIRLOCK_VERSION);

    bench::ConnectOptions connect;
    connect.version = PGAIRLOCK_VERSION;
    CLI::App* connect_command = app.add_subcommand(
        "connect", "Open and close connections to one or more targets in alternation, and time each phase.");
    add_connect(*connect_command, connect);

    bench::RelayOptions relay;
    bench::ReplayOptions replay;
    replay.version = PGAIRLOCK_VERSION;
    if (const char* password = std::getenv("PGPASSWORD"))
        connect.defaults["password"] = relay.defaults["password"] = replay.defaults["password"] = password;
    relay.version = PGAIRLOCK_VERSION;
    relay.defaults["user"] = "bench";
    CLI::App* relay_command = app.add_subcommand(
        "relay", "What a relayed byte, a round trip and an idle connection cost, with and without a proxy.");
    add_relay(*relay_command, relay);

    CLI::App* replay_command =
        app.add_subcommand("replay", "Play the sessions of a capture to one or more targets, and compare the answers.");
    add_replay(*replay_command, replay);

    bench::ServeOptions serve;
    CLI::App* serve_command = app.add_subcommand(
        "serve", "The null backend: a PostgreSQL server without a database, as fast as memory, until SIGTERM.");
    add_serve(*serve_command, serve);

    bench::ForwardOptions forward;
    CLI::App* forward_command = app.add_subcommand(
        "forward", "The null proxy: hands bytes on and looks at none, what every proxy costs at least, until SIGTERM.");
    add_forward(*forward_command, forward);

    usage::add_completion(app);
    usage::add_manual(app, PGAIRLOCK_VERSION, "pgairlock(1), pgbench(1)");

    if (const auto code = usage::parse_command_line(app, {argv + std::min(argc, 1), argv + argc})) return *code;
    if (connect_command->parsed()) return bench::connect(connect);
    if (relay_command->parsed()) return bench::relay(relay);
    if (replay_command->parsed()) return bench::replay_capture(replay);
    if (serve_command->parsed()) return bench::serve(serve);
    if (forward_command->parsed()) return bench::forward(forward);
    return bench::exit_ok;
}
