// The command lines of what asks, tells and watches a running proxy: health, reload, upgrade, alert
// test, and the dashboard.
#include <CLI/CLI.hpp>

#include "proxy/command/named_config.hpp"
#include "proxy/command/options.hpp"

namespace proxy::command {
namespace {

constexpr const char* dashboard_examples = R"(
Examples:
  pgairlock dashboard --inventory postgresql://pgairlock@db.internal/fleet --listen 127.0.0.1:6440
  pgairlock dashboard --inventory postgresql://pgairlock@db.internal/fleet --listen 0.0.0.0:6440 --token-file /etc/pgairlock/token
  pgairlock dashboard --state-dir app1/ --state-dir app2/ --listen unix:/run/pgairlock/dashboard.sock

A running proxy has its own dashboard, with its sessions and events: admin.http of its configuration. The token is a line
of 16 to 1024 characters; a browser asks for it as a password, for any user name. While a database is away the page says
so, and shows what it knew last. What the page and its JSON say: docs/dashboard.md.

Exit: 0 ended by SIGINT or SIGTERM, 1 the address cannot be used, 2 usage error or no such inventory.)";

constexpr const char* health_examples = R"(
Examples:
  pgairlock health --config /etc/pgairlock/pgairlock.toml             is the process alive?
  pgairlock health --ready --url http://127.0.0.1:6433                does it take clients?
  pgairlock health upstreamz --url unix:/run/pgairlock/http.sock --token-file /etc/pgairlock/http.token

Exit: 0 yes, 1 no or no answer, 2 usage or configuration error. In Kubernetes and containers: docs/operate.md.)";

constexpr const char* alert_examples = R"(
Examples:
  pgairlock alert test --config /etc/pgairlock/pgairlock.toml
  pgairlock alert test --config /etc/pgairlock/pgairlock.toml --on new_weak_client

What can be told, and how: docs/alerts.md.

Exit: 0 all were sent, 1 one was not, 2 usage or configuration error.)";

constexpr const char* reload_examples = R"(
Examples:
  pgairlock reload --config /etc/pgairlock/pgairlock.toml
  pgairlock reload --console /run/pgairlock/.s.PGSQL.6434

Exit: 0 reloaded, 1 it failed, and the last good configuration goes on, or no proxy runs there, 2 usage error, or a
configuration that does not say which proxy is meant.)";

constexpr const char* upgrade_examples = R"(
Examples:
  pgairlock upgrade --config /etc/pgairlock/pgairlock.toml        after a new version was installed, or a key that needs a restart
  pgairlock upgrade --console /run/pgairlock/.s.PGSQL.6434

As SIGUSR2, whose outcome is in the log. What goes over, and what stays: docs/upgrade.md.

Exit: 0 the new process serves, 1 it does not, and the old one goes on, or no proxy runs there, 2 usage error, or a
configuration that does not say which proxy is meant.)";

}  // namespace

CLI::App* add_health(CLI::App& app, HealthOptions& health) {
    CLI::App* command = app.add_subcommand(
        "health", "Ask the running proxy how it is, over HTTP ([admin] http), and print one line: for containers.");
    auto* check = command->add_option("CHECK", health.check,
                                      "livez (default): every thread answers; startupz: every listener accepts; "
                                      "readyz: clients are accepted; upstreamz: every upstream serves");
    check->check(CLI::IsMember({"livez", "startupz", "readyz", "upstreamz"}));
    const auto add_short = [&](const char* name, const char* stands_for) {
        command
            ->add_flag_callback(
                name, [&health, stands_for] { health.check = stands_for; }, std::string("short for ") + stands_for)
            ->excludes(check);
    };
    add_short("--ready", "readyz");
    add_short("--upstream", "upstreamz");
    auto* where = command->add_option_group("where");
    where->add_option("-c,--config", health.config_file, "configuration file of the proxy, whose admin.http says where")
        ->check(why_no_place);
    auto* url = where->add_option("--url", health.url, "http://ADDRESS:PORT or unix:PATH")->check(why_no_place);
    where->require_option(1);
    command
        ->add_option("--token-file", health.token_file, "with --url: file with the token, for the reasons of upstreamz")
        ->needs(url);
    command->footer(health_examples);
    return command;
}

CLI::App* add_dashboard(CLI::App& app, DashboardOptions& dashboard) {
    CLI::App* command = app.add_subcommand(
        "dashboard",
        "Serve a web page about the clients, proxies and certificates of inventories, such as a fleet's, until SIGINT "
        "or SIGTERM.");
    add_inventories(*command, dashboard.clients);
    command->add_option("--listen", dashboard.listen, "ADDR:PORT (127.0.0.1:6440) or unix:PATH to serve at")
        ->required();
    command->add_option("--token-file", dashboard.token_file,
                        "file with the token that whoever asks must send; needed where other hosts can ask");
    command->footer(dashboard_examples);
    return command;
}

CLI::App* add_alert_test(CLI::App& app, AlertTestOptions& test) {
    CLI::App* alert = app.add_subcommand("alert", "What can be done with alerts ([[alert]]).");
    alert->require_subcommand(1);
    CLI::App* command = alert->add_subcommand(
        "test", "Send a message that says it is a test through every [[alert]], and say what was answered.");
    command->add_option("-c,--config", test.config_file, "configuration file of the proxy")
        ->check(why_no_place)
        ->required();
    command->add_option("--on", test.on, "only those that are told of this, such as new_weak_client");
    command->footer(alert_examples);
    return command;
}

CLI::App* add_reload(CLI::App& app, ReloadOptions& reload) {
    CLI::App* command = app.add_subcommand(
        "reload", "Have the running proxy read its configuration and files anew, and wait for the outcome.");
    auto* file = command->add_option("-c,--config", reload.config_file, "configuration of the proxy: its console")
                     ->check(why_no_place);
    command
        ->add_option("--console", reload.console,
                     "the console's socket (default: console/.s.PGSQL.6434 in the state directory, as for run)")
        ->check(why_no_place)
        ->excludes(file);
    command->footer(reload_examples);
    return command;
}

CLI::App* add_upgrade(CLI::App& app, UpgradeOptions& upgrade) {
    CLI::App* command = app.add_subcommand(
        "upgrade",
        "Have the running proxy start the binary that is at its path now, hand its sockets over to it, and serve its "
        "sessions to their end; wait for the outcome.");
    auto* file = command->add_option("-c,--config", upgrade.config_file, "configuration of the proxy: its console")
                     ->check(why_no_place);
    command
        ->add_option("--console", upgrade.console,
                     "the console's socket (default: console/.s.PGSQL.6434 in the state directory, as for run)")
        ->check(why_no_place)
        ->excludes(file);
    command->footer(upgrade_examples);
    return command;
}

}  // namespace proxy::command
