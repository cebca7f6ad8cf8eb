#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "config/spelling.hpp"
#include "config/usage/command_line.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/command/options.hpp"
#include "proxy/upgrade/successor.hpp"
#include "proxy/version.hpp"

namespace {

constexpr const char* about =
    R"(PostgreSQL TLS proxy: takes clients as they are (plain, SSLRequest, direct TLS) and speaks fully verified TLS to the server.

  pgairlock run --config /etc/pgairlock/pgairlock.toml
  pgairlock run --listen 127.0.0.1:6432 --upstream HOST:5432 --sslrootcert global-bundle.pem
  pgairlock check --upstream HOST:5432 --sslrootcert old-ca.pem --sslrootcert new-ca.pem
  pgairlock sample --upstream HOST:5432 --user pgairlock_monitor --for 1h
  pgairlock report --since 7d
  pgairlock client accept --user legacy --until 2027-03-01 --owner "team billing"
  pgairlock capture start --for 30m --trigger failures
  pgairlock dashboard --inventory postgresql://pgairlock@db.internal/fleet --listen 127.0.0.1:6440
)";

constexpr const char* exit_codes =
    "\nExit: 0 clean, 1 runtime failure, 2 usage or configuration error. \"pgairlock help COMMAND\" explains one. "
    "Documentation: docs/.";

constexpr const char* run_examples = R"(
Examples:
  pgairlock run --config /etc/pgairlock/pgairlock.toml
  pgairlock run --upstream db.internal:5432 --sslrootcert global-bundle.pem     clients at 127.0.0.1:6432
  pgairlock run --listen unix:/run/pgairlock/.s.PGSQL.6432 --upstream db.internal:5432

Exit: 0 ended by a signal, 1 runtime failure, or a file that is not there yet, 2 usage or configuration error.)";

constexpr const char* gen_cert_examples = R"(
Examples:
  pgairlock gen-cert --host app-7.internal,10.1.2.3
  pgairlock gen-cert --host app-7.internal --ca-dir ./certificates

Clients that verify are given ca.crt as sslrootcert.

Exit: 0 done, 2 not.)";

constexpr const char* audit_verify_examples = R"(
Example:
  pgairlock audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl

Exit: 0 whole, 1 broken or not chained, 2 usage error or a file that cannot be read.)";

constexpr const char* version_examples = R"(
Examples:
  pgairlock version
  pgairlock version --json | jq -r .openssl_loaded

Exit: 0.)";

void add_source(CLI::App& command, proxy::command::ConfigOptions& source) {
    command.callback([&source] {
        if (source.config_file.empty() && source.flags.upstream.empty())
            throw CLI::ValidationError("no server is given: say --config FILE or --upstream HOST:PORT");
    });
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
    without_file(
        command.add_option(
            "--state-dir", flags.state_dir,
            "for generated certificates and the audit (default: $STATE_DIRECTORY, /var/lib/pgairlock for root, "
            "else $XDG_STATE_HOME/pgairlock)"))
        ->check(proxy::command::why_no_place);
}

CLI::App* add_run(CLI::App& app, proxy::command::ConfigOptions& run) {
    CLI::App* command =
        app.add_subcommand("run",
                           "Run the proxy in the foreground until SIGTERM or SIGINT, which drain it.\n"
                           "SIGHUP reloads, SIGUSR1 reopens log and audit files, SIGUSR2 upgrades without a gap.");
    command->footer(run_examples);
    add_source(*command, run);
    command
        ->add_option("--listen", run.flags.listen,
                     "ADDR:PORT or unix:PATH to accept clients on (default 127.0.0.1:6432)")
        ->excludes("--config");
    return command;
}

constexpr const char* check_examples = R"(
Examples:
  pgairlock check --config /etc/pgairlock/pgairlock.toml            before a start or a reload
  pgairlock check --upstream db:5432 --sslrootcert old.pem --sslrootcert new.pem
  pgairlock check --config pgairlock.toml --fail-on candidate       may sslrootcert_candidate become sslrootcert?
  pgairlock check --config pgairlock.toml --watch 10s               during a rotation: what moves, and when

Exit: 0 every address is OK and nothing keeps run from starting, 1 not so, or --fail-on or --warn-days applies, 2 usage or
configuration error. OK: a session would be verified, by all CA files together.)";

/// Of `option`; `least`: what makes sense.
auto read_duration(const char* option, std::optional<std::chrono::milliseconds>& into,
                   std::chrono::milliseconds least) {
    return [option, &into, least](const std::string& text) {
        const auto duration = config::parse_duration(text);
        if (!duration || *duration < least)
            throw CLI::ValidationError(option, config::in_quotes(text) + " is not a duration of " +
                                                   std::to_string(least.count()) +
                                                   "ms or more, such as \"5s\" or \"2m\"");
        into = *duration;
    };
}

CLI::App* add_check(CLI::App& app, proxy::command::CheckOptions& check) {
    using std::chrono::milliseconds;
    CLI::App* command = app.add_subcommand(
        "check",
        "Validate the configuration, look for what run would trip over, then connect to each address of each upstream "
        "and show what its certificate comes to: by all CA files together, and by each alone.");
    command->footer(check_examples);
    add_source(*command, check.source);
    CLI::Option* offline = command->add_flag("--offline", check.offline, "ask no other host");
    command
        ->add_option("--fail-on", check.fail_on,
                     "exit 1 also where a CA file does not suffice alone (alone: the default with --upstream), or "
                     "where sslrootcert_candidate alone "
                     "would not verify what an address shows (candidate); may be repeated")
        ->check(CLI::IsMember({"alone", "candidate"}))
        ->allow_extra_args(false)
        ->delimiter(',')
        ->excludes(offline);
    command
        ->add_option("--warn-days", check.warn_days,
                     "exit 1 also when a certificate in use, here or on a server, ends within so many days")
        ->check(CLI::Range(0, 36'500));
    command
        ->add_option_function<std::string>("--timeout", read_duration("--timeout", check.timeout, milliseconds(1)),
                                           "for each connection (default: the upstream's connect_timeout)")
        ->type_name("DURATION");
    command
        ->add_option_function<std::string>(
            "--watch", read_duration("--watch", check.watch, milliseconds(100)),
            "look again after so long, and print what has changed, until SIGINT or SIGTERM")
        ->type_name("DURATION")
        ->excludes(offline);
    command->add_flag("--json", check.json, "print one JSON document; with --watch one object a line after it");
    return command;
}

constexpr const char* report_examples = R"(
Examples:
  pgairlock report                                         who does what, and what to do about it, of this host's proxy
  pgairlock report --since 7d --user billing               one user's clients of the last week
  pgairlock report --state-dir app1/ --state-dir app2/ --format html > report.html
  pgairlock report --inventory postgresql://pgairlock@db.internal/fleet --format json | jq .summary
  pgairlock report --against last-week.json                who is new, worse, better or gone since that report in JSON
  pgairlock report --fail-on weak --format csv > clients.csv || echo "there are weak clients"

Columns and actions: docs/report.md.

Exit: 0 done, 1 --fail-on applies, 2 usage error or no readable inventory.)";

void add_report(CLI::App& command, proxy::command::ReportOptions& report) {
    proxy::command::add_clients(command, report.clients);
    command
        .add_option("--since", report.since,
                    "only what was seen since: a time (2026-03-01T02:00Z), a day (2026-03-01) or a duration (7d)")
        ->check(proxy::command::why_no_time);
    command.add_option("--until", report.until, "only what was seen until then")->check(proxy::command::why_no_time);
    command.add_option("--format", report.format, "table (default), json, csv or html")
        ->check(CLI::IsMember({"table", "json", "csv", "html"}));
    command
        .add_option("--fail-on", report.fail_on,
                    "exit 1 when a client is weak, unknown (whether it verifies), breaks or may break on the rotation "
                    "or on force_ssl, falls back to clear text (fallback) or cannot connect (failing), when one goes "
                    "around the proxies or nobody looked (direct), when a proxy is silent, when a server's certificate "
                    "ends within 30 days (expiring), or the report incomplete; may "
                    "be repeated. An empty or incomplete report fails every one")
        ->check(CLI::IsMember({"weak", "unknown", "rotation", "force_ssl", "fallback", "failing", "direct", "silent",
                               "expiring", "incomplete"}))
        ->allow_extra_args(false)
        ->delimiter(',');
    command
        .add_option("--group-by", report.group_by,
                    "one row for clients with the same: upstream, proxy, client (address and process), user, database, "
                    "application; comma-separated")
        ->check(CLI::IsMember({"upstream", "proxy", "client", "user", "database", "application"}))
        ->allow_extra_args(false)
        ->delimiter(',');
    command.add_option("--against", report.against,
                       "an older report in JSON: who is new, better, worse or gone since then");
    command.add_option("--width", report.width,
                       "columns of the table (default: the terminal's, or 120); 0: nothing is shortened");
    command.footer(report_examples);
}

CLI::App* add_audit_verify(CLI::App& app, proxy::command::AuditVerifyOptions& verify) {
    CLI::App* audit = app.add_subcommand("audit", "What can be done with audit files.");
    audit->require_subcommand(1);
    CLI::App* command = audit->add_subcommand(
        "verify", "Check the hash chain of audit files (audit.chain = true) and show where it is broken.");
    command->add_option("FILE", verify.files, "audit files in the order of time: the oldest first")->required();
    command->footer(audit_verify_examples);
    return command;
}

void add_gen_cert(CLI::App& command, proxy::command::GenCertOptions& gen_cert) {
    command.footer(gen_cert_examples);
    command
        .add_option("--host", gen_cert.hosts,
                    "names and addresses that clients connect to; localhost is always included")
        ->required()
        ->delimiter(',');
    command.add_option("--ca-dir", gen_cert.ca_dir,
                       "where ca.crt, ca.key and the certificates are (default: tls/ in the state directory)");
    command.add_option("--state-dir", gen_cert.state_dir, "state directory, when --ca-dir is not given")
        ->check(proxy::command::why_no_place);
}

}  // namespace

int main(int argc, char** argv) {
    proxy::Launch::note(argc, argv);
    std::signal(SIGCHLD, SIG_DFL);  // ignored by whoever started us, no program's end could be known
    CLI::App app{about, "pgairlock"};
    app.footer(exit_codes);
    app.require_subcommand(1);
    std::string version = proxy::version_text();
    version.pop_back();  // CLI11 ends the line
    app.set_version_flag("-V,--version", version);

    proxy::command::ConfigOptions run;
    const CLI::App* run_command = add_run(app, run);
    proxy::command::CheckOptions check;
    const CLI::App* check_command = add_check(app, check);

    proxy::command::GenCertOptions gen_cert;
    CLI::App* gen_cert_command = app.add_subcommand(
        "gen-cert",
        "Create (once) a private CA and server certificates for the client leg; again with other names issues "
        "new ones under the same CA.");
    add_gen_cert(*gen_cert_command, gen_cert);

    proxy::command::ReportOptions report;
    CLI::App* report_command = app.add_subcommand(
        "report",
        "Show what is known about each client from the inventory: sslmode, whether it verifies the server, what a "
        "CA rotation or rds.force_ssl=1 would break, and what to do.");
    add_report(*report_command, report);

    proxy::command::AuditVerifyOptions audit_verify;
    const CLI::App* audit_verify_command = add_audit_verify(app, audit_verify);
    proxy::command::ClientOptions client;
    proxy::command::add_client(app, client);
    proxy::command::CaptureOptions capture;
    CLI::App* capture_command = proxy::command::add_capture(app, capture);
    proxy::command::CaptureReadOptions capture_read;
    const CLI::App* capture_read_command = proxy::command::add_capture_read(*capture_command, capture_read);

    proxy::command::AlertTestOptions alert_test;
    const CLI::App* alert_test_command = proxy::command::add_alert_test(app, alert_test);
    proxy::command::HealthOptions health;
    const CLI::App* health_command = proxy::command::add_health(app, health);
    proxy::command::DashboardOptions dashboard;
    const CLI::App* dashboard_command = proxy::command::add_dashboard(app, dashboard);
    proxy::command::ReloadOptions reload;
    const CLI::App* reload_command = proxy::command::add_reload(app, reload);
    proxy::command::UpgradeOptions upgrade;
    const CLI::App* upgrade_command = proxy::command::add_upgrade(app, upgrade);
    proxy::command::SampleOptions sample;
    const CLI::App* sample_command = proxy::command::add_sample(app, sample);
    bool is_json = false;
    CLI::App* version_command = app.add_subcommand("version", "Print version, commit, compiler and library versions.");
    version_command->add_flag("--json", is_json, "print one JSON document");
    version_command->footer(version_examples);
    usage::add_completion(app);
    usage::add_manual(app, proxy::version(), "pgairlock.toml(5), pgairlock-bench(1), psql(1)");
    usage::add_help(app);

    if (const auto code = usage::parse_command_line(app, {argv + std::min(argc, 1), argv + argc})) return *code;
    if (run_command->parsed()) return proxy::command::run(run);
    if (check_command->parsed()) return proxy::command::check(check);
    if (gen_cert_command->parsed()) return proxy::command::gen_cert(gen_cert);
    if (report_command->parsed()) return proxy::command::report(report);
    if (audit_verify_command->parsed()) return proxy::command::audit_verify(audit_verify);
    if (capture_read_command->parsed()) return proxy::command::capture_read(capture_read);
    if (alert_test_command->parsed()) return proxy::command::alert_test(alert_test);
    if (health_command->parsed()) return proxy::command::health(health);
    if (dashboard_command->parsed()) return proxy::command::dashboard(dashboard);
    if (reload_command->parsed()) return proxy::command::reload(reload);
    if (upgrade_command->parsed()) return proxy::command::upgrade(upgrade);
    if (sample_command->parsed()) return proxy::command::sample(sample);
    if (client.command) return client.command(client);
    if (capture.command) return capture.command(capture);
    if (version_command->parsed()) {
        std::fputs((is_json ? proxy::version_json() : proxy::version_text()).c_str(), stdout);
    }
    return proxy::command::exit_ok;
}
