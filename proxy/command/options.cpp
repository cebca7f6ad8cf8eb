#include "proxy/command/options.hpp"

#include <CLI/CLI.hpp>

#include "config/load.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/command/named_config.hpp"

namespace proxy::command {
namespace {

constexpr const char* client_examples = R"(
Examples:
  pgairlock client list --upstream orders                  who there is, and what was said about them
  pgairlock client accept --user legacy --client 10.1.2.3 --until 90d --owner "team billing" --reason "replaced in March"
  pgairlock client accept --user legacy --withdraw         nobody vouches for it any more
  pgairlock client note --application nightly "runs on the first of the month"
  pgairlock client repaired --user billing                 what it did until now counts no more

What each of them means: docs/report.md, "What people decide".)";

/// Of one command, behind what makes it known by example.
std::string client_footer(const char* examples) {
    return std::string("\nExamples:\n") + examples +
           "\nExit: 0 done, 1 no client matches, 2 usage error, or the inventory cannot be read or written.";
}

/// A variable of a script that is not set must not mean everybody.
std::string not_empty(const std::string& value) {
    return value.empty() ? "it is empty: leave the option out to mean all of them" : "";
}

std::string address(const std::string& value) {
    const std::string without_zone = value.substr(0, value.find('%'));
    return config::parse_cidr(without_zone) ? "" : value + " is neither an address nor a range (10.0.0.0/8)";
}

using Command = int (*)(const ClientOptions& options);

CLI::App* add_command(CLI::App& parent, const char* name, Command run, ClientOptions& client) {
    CLI::App* command = parent.add_subcommand(name);
    command->callback([&client, run] { client.command = run; });
    add_clients(*command, client.clients);
    return command;
}

/// One that changes what is said.
CLI::App* add_change(CLI::App& parent, const char* name, Command run, ClientOptions& client) {
    CLI::App* command = add_command(parent, name, run, client);
    command->add_flag("--all", client.all, "every client: without it, one of the filters must be given");
    command->add_flag("--withdraw", client.withdraw, "take back what was said before");
    return command;
}

}  // namespace

void add_inventories(CLI::App& command, ClientsOptions& clients) {
    command.add_option("-c,--config", clients.config_file, "configuration of a proxy: its inventory")
        ->check(why_no_place);
    command
        .add_option("--state-dir", clients.state_dirs,
                    "state directory of a proxy; may be repeated (default: as for run). The proxy may be running")
        ->check(why_no_place)
        ->allow_extra_args(false);
    command
        .add_option(
            "--inventory", clients.inventories,
            "postgresql://... as in audit.inventory, or an inventory.db file; may be repeated. Inventories are merged")
        ->check(why_no_place)
        ->allow_extra_args(false);
}

void add_clients(CLI::App& command, ClientsOptions& clients) {
    add_inventories(command, clients);
    const auto filter = [&](const char* option, std::string& value, const char* what) {
        return command.add_option(option, value, what)->check(not_empty);
    };
    filter("--user", clients.user, "only clients with this user name");
    filter("--database", clients.database, "only clients of this database");
    filter("--application", clients.application, "only clients with this application_name");
    filter("--client", clients.client, "only clients from this address or range (10.0.0.0/8)")->check(address);
    filter("--upstream", clients.upstream, "only clients and certificates of this upstream");
    filter("--proxy", clients.proxy, "only clients that this proxy saw (runtime.name)");
}

void add_client(CLI::App& app, ClientOptions& client) {
    CLI::App* command = app.add_subcommand(
        "client",
        "What people know about clients, kept in the inventory and shown by every report. It is said of the clients "
        "that match now, not of those that come later.");
    command->require_subcommand(1);
    command->footer(client_examples);

    CLI::App* list = add_command(*command, "list", client_list, client);
    list->description("Show clients, and what was said about them.");
    list->footer(
        client_footer("  pgairlock client list --upstream orders\n  pgairlock client list --user billing --json\n"));
    list->add_flag("--json", client.json, "print one JSON document");

    CLI::App* accept = add_change(*command, "accept", client_accept, client);
    accept->description("Accept clients as they are: --fail-on passes over them, until they become worse.");
    accept->footer(client_footer(
        "  pgairlock client accept --user legacy --until 90d --owner \"team billing\" --reason \"replaced in March\"\n"
        "  pgairlock client accept --user legacy --withdraw\n"));
    accept
        ->add_option("--until", client.until,
                     "for how long: a time (2027-03-01T02:00Z), a day (2027-03-01) or a duration (90d)")
        ->check(why_no_time);
    accept->add_option("--owner", client.owner, "who answers for them");
    accept->add_option("--reason", client.reason, "why");

    CLI::App* note = add_change(*command, "note", client_note, client);
    note->description("Say something about clients: it changes nothing, and is shown.");
    note->footer(client_footer("  pgairlock client note --application nightly \"runs on the first of the month\"\n"));
    note->add_option("text,--reason", client.reason, "what to say");

    CLI::App* repaired = add_change(*command, "repaired", client_repaired, client);
    repaired->description("Clients were repaired: what was seen of them until then counts no more.");
    repaired->footer(client_footer("  pgairlock client repaired --user billing --at 2h\n"));
    repaired->add_option("--at", client.at, "when: a time, a day or a duration (2h: two hours ago); default: now")
        ->check(why_no_time);
}

}  // namespace proxy::command
