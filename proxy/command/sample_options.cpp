// The options of `pgairlock sample`.
#include <CLI/CLI.hpp>

#include "config/spelling.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/command/options.hpp"

namespace proxy::command {
namespace {

constexpr const char* sample_examples = R"(
The role needs one right, and a login to one database:
  CREATE ROLE pgairlock_monitor LOGIN PASSWORD '...';
  GRANT pg_read_all_stats TO pgairlock_monitor;

Examples:
  pgairlock sample --upstream db.internal:5432 --user pgairlock_monitor --sslrootcert global-bundle.pem
  pgairlock sample --upstream db.internal:5432 --user postgres --count 1         who is connected now
  pgairlock sample --upstream db.internal:5432 --user postgres --for 7d --state-dir ./week
  pgairlock sample --config pgairlock.toml --upstream orders --interval 1s

Nobody is proxied, and no setting of the server is changed. What a session shorter than the interval does may be missed:
docs/sampling.md.

Exit: 0 looked at, 1 a server could not be asked, or does not show others' sessions, 2 usage or configuration error.)";

auto duration_into(const char* option, std::optional<std::chrono::milliseconds>& into) {
    return [option, &into](const std::string& text) {
        const auto duration = config::parse_duration(text);
        if (!duration || *duration < config::shortest_sample_interval)
            throw CLI::ValidationError(
                option, config::in_quotes(text) + " is not a duration of 1s or more, such as \"5s\" or \"2h\"");
        into = *duration;
    };
}

}  // namespace

CLI::App* add_sample(CLI::App& app, SampleOptions& sample) {
    CLI::App* command = app.add_subcommand(
        "sample",
        "Look at a server's own list of its sessions again and again, without proxying anybody, and show who is "
        "connected in clear: the first step before anything is changed.");
    auto& flags = sample.source.flags;
    command->add_option("--upstream", flags.upstream, "HOST:PORT of the server; with --config: the upstream's name")
        ->required()
        ->check(why_no_place);
    auto* file = command->add_option("-c,--config", sample.source.config_file, "configuration that has that upstream")
                     ->check(why_no_place);
    command->add_option("--user", sample.user, "role to log in as (default: $PGUSER; with --config its monitor_user)");
    command->add_option("--dbname", sample.database, "database to log in to (default: postgres)");
    command
        ->add_option("--password-file", sample.password_file,
                     "file with the password, one line, 0600 (default: $PGPASSWORD, or the line of $PGPASSFILE or "
                     "~/.pgpass)")
        ->check(why_no_place);
    command
        ->add_option("--sslrootcert", flags.sslrootcert,
                     "PEM file with the CAs to verify the server against, or \"system\" (default); may be repeated")
        ->excludes(file);
    command
        ->add_option("--sslmode", flags.sslmode,
                     "disable, allow, prefer, require, verify-ca or verify-full (default), as in libpq")
        ->excludes(file);
    command
        ->add_option_function<std::string>("--interval", duration_into("--interval", sample.interval),
                                           "between two looks (default: 5s)")
        ->type_name("DURATION");
    auto* lasts = command
                      ->add_option_function<std::string>("--for", duration_into("--for", sample.lasts),
                                                         "end after so long (default: by SIGINT or SIGTERM)")
                      ->type_name("DURATION");
    command->add_option("--count", sample.count, "end after so many looks at each address")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32))
        ->excludes(lasts);
    command
        ->add_option("--state-dir", flags.state_dir,
                     "folder for the inventory (default: sample/ in the default state directory); one that no proxy "
                     "uses")
        ->check(why_no_place);
    command
        ->add_option("--inventory", sample.inventory,
                     "postgresql://...: a fleet's database, to which it is copied as well")
        ->check(why_no_place);
    command->footer(sample_examples);
    return command;
}

}  // namespace proxy::command
