#include <CLI/CLI.hpp>
#include <cstdio>

#include "proxy/command/commands.hpp"
#include "proxy/version.hpp"

namespace {

constexpr const char* about =
    R"(PostgreSQL TLS proxy: takes clients as they are (plain, SSLRequest, direct TLS) and speaks fully verified TLS to the server.

  pgairlock run --config /etc/pgairlock/pgairlock.toml
  pgairlock run --listen 127.0.0.1:6432 --upstream HOST:5432 --sslrootcert global-bundle.pem
  pgairlock check --upstream HOST:5432 --sslrootcert old-ca.pem --sslrootcert new-ca.pem
  pgairlock report --since 168h
)";

constexpr const char* exit_codes =
    "\nExit: 0 clean, 1 runtime failure, 2 usage or configuration error. Documentation: docs/.";

void add_source(CLI::App& command, proxy::command::ConfigOptions& source) {
    auto* file =
        command.add_option("-c,--config", source.config_file, "configuration file (TOML; every key: docs/config.md)");
    auto& flags = source.flags;
    const auto without_file = [&](CLI::Option* option) {
        option->excludes(file);
        return option;
    };
    without_file(command.add_option("--upstream", flags.upstream, "HOST:PORT of the PostgreSQL server"));
    without_file(command.add_option(
        "--sslrootcert", flags.sslrootcert,
        "PEM file with the CAs to verify the server against, or \"system\" (default); may be repeated"));
    without_file(
        command.add_option("--sslmode", flags.sslmode,
                           "disable, allow, prefer, require, verify-ca or verify-full (default), as in libpq"));
    without_file(command.add_option(
        "--state-dir", flags.state_dir,
        "for generated certificates and the audit (default: $STATE_DIRECTORY, /var/lib/pgairlock for root, "
        "else $XDG_STATE_HOME/pgairlock)"));
}

constexpr const char* report_examples = R"(
Examples:
  pgairlock report                                         who does what, and what to do about it, of this host's proxy
  pgairlock report --since 168h --user billing             one user's clients of the last week
  pgairlock report --state-dir app1/ --state-dir app2/ --format html > report.html
  pgairlock report --inventory postgresql://pgairlock@db.internal/fleet --format json | jq .summary
  pgairlock report --fail-on weak --format csv > clients.csv || echo "there are weak clients"

Columns and actions: docs/report.md.

Exit: 0 done, 1 --fail-on applies, 2 usage error or no readable inventory.)";

void add_report(CLI::App& command, proxy::command::ReportOptions& report) {
    command
        .add_option("--state-dir", report.state_dirs,
                    "state directory of a proxy; may be repeated (default: as for run). The proxy may be running")
        ->allow_extra_args(false);
    command
        .add_option(
            "--inventory", report.inventories,
            "postgresql://... as in audit.inventory, or an inventory.db file; may be repeated. Inventories are merged")
        ->allow_extra_args(false);
    command.add_option("--since", report.since,
                       "only what was seen since: a time (2026-03-01T02:00Z), a day (2026-03-01) or a duration (168h)");
    command.add_option("--format", report.format, "table (default), json, csv or html")
        ->check(CLI::IsMember({"table", "json", "csv", "html"}));
    command
        .add_option("--fail-on", report.fail_on,
                    "exit 1 when there is a client that is weak, or of which it is unknown whether it verifies; may be "
                    "repeated")
        ->check(CLI::IsMember({"weak", "unknown"}))
        ->allow_extra_args(false)
        ->delimiter(',');
    command.add_option("--user", report.user, "only clients with this user name");
    command.add_option("--database", report.database, "only clients of this database");
    command.add_option("--client", report.client, "only clients from this address or range (10.0.0.0/8)");
    command.add_option("--upstream", report.upstream, "only clients and certificates of this upstream");
    command.footer(report_examples);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{about, "pgairlock"};
    app.footer(exit_codes);
    app.require_subcommand(1);
    app.set_version_flag("--version", proxy::version_text());

    proxy::command::ConfigOptions run;
    CLI::App* run_command =
        app.add_subcommand("run",
                           "Run the proxy in the foreground until SIGTERM or SIGINT, which drain it.\n"
                           "SIGHUP reloads, SIGUSR1 reopens log and audit files.");
    run_command->footer(exit_codes);
    add_source(*run_command, run);
    run_command
        ->add_option("--listen", run.flags.listen,
                     "ADDR:PORT or unix:PATH to accept clients on (default 127.0.0.1:6432)")
        ->excludes("--config");

    proxy::command::CheckOptions check;
    CLI::App* check_command = app.add_subcommand(
        "check",
        "Validate the configuration, then connect to each address of each upstream and show, per CA file, "
        "whether its certificate verifies.");
    check_command->footer(
        "\nExit: 0 every configured verification holds, 1 one does not, 2 usage or configuration error.");
    add_source(*check_command, check.source);
    check_command->add_flag("--offline", check.offline, "stop after validation");
    check_command->add_flag("--json", check.json, "print one JSON document");

    proxy::command::GenCertOptions gen_cert;
    CLI::App* gen_cert_command = app.add_subcommand(
        "gen-cert",
        "Create (once) a private CA and server certificates for the client leg; again with other names issues "
        "new ones under the same CA.");
    gen_cert_command->footer("\nExit: 0 done, 2 not.");
    gen_cert_command
        ->add_option("--host", gen_cert.hosts,
                     "names and addresses that clients connect to; localhost is always included")
        ->required()
        ->delimiter(',');
    gen_cert_command->add_option(
        "--ca-dir", gen_cert.ca_dir,
        "where ca.crt, ca.key and the certificates are (default: tls/ in the state directory)");
    gen_cert_command->add_option("--state-dir", gen_cert.state_dir, "state directory, when --ca-dir is not given");

    proxy::command::ReportOptions report;
    CLI::App* report_command = app.add_subcommand(
        "report",
        "Show what is known about each client from the inventory: sslmode, whether it verifies the server, what a "
        "CA rotation or rds.force_ssl=1 would break, and what to do.");
    add_report(*report_command, report);

    CLI::App* version_command = app.add_subcommand("version", "Print version, commit, compiler and library versions.");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // --help and --version are "errors" of code 0.
        return app.exit(error) == 0 ? proxy::command::exit_ok : proxy::command::exit_usage;
    }
    if (run_command->parsed()) return proxy::command::run(run);
    if (check_command->parsed()) return proxy::command::check(check);
    if (gen_cert_command->parsed()) return proxy::command::gen_cert(gen_cert);
    if (report_command->parsed()) return proxy::command::report(report);
    if (version_command->parsed()) std::fputs(proxy::version_text().c_str(), stdout);
    return proxy::command::exit_ok;
}
