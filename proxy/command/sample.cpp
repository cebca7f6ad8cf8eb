// `pgairlock sample`: a server's own list of its sessions, looked at again and again, without a
// proxy. The monitor does the looking; here is who is told of it.
#include <pwd.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "config/passfile.hpp"
#include "config/spelling.hpp"
#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/inventories.hpp"
#include "proxy/command/named_config.hpp"
#include "proxy/command/sample_summary.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/inventory/fleet.hpp"
#include "proxy/inventory/inventory.hpp"
#include "proxy/inventory/inventory_reader.hpp"
#include "proxy/inventory/inventory_use.hpp"
#include "proxy/route/proxy_name.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/offload.hpp"
#include "proxy/version.hpp"

namespace proxy::command {
namespace {

using namespace std::chrono_literals;

/// It was asked, and has not answered, or not what it was asked for.
struct NotSeen : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value ? value : "";
}

/// Of that configuration alone, with nobody to be served.
config::Config wanted_upstream(const SampleOptions& options) {
    config::Config config;
    if (options.source.config_file.empty()) {
        config::Loaded loaded = load_config(options.source);
        print(loaded.errors, loaded.warnings);
        if (!loaded.config) throw Unusable("");
        config = std::move(*loaded.config);
    } else {
        config = named_config(options.source.config_file);
        std::erase_if(config.upstreams, [&](const auto& one) { return one.name != options.source.flags.upstream; });
        if (config.upstreams.empty())
            throw Unusable(options.source.config_file + " has no upstream " +
                           config::in_quotes(options.source.flags.upstream));
    }
    config.listeners.clear();
    config.alerts.clear();
    config::Upstream& upstream = config.upstreams.front();
    if (options.source.config_file.empty()) upstream.name = options.source.flags.upstream;
    if (!options.user.empty()) upstream.monitor_user = options.user;
    if (upstream.monitor_user.empty()) upstream.monitor_user = environment("PGUSER");
    if (upstream.monitor_user.empty()) throw Unusable("no role is given to log in as: say --user NAME, or set PGUSER");
    if (!options.password_file.empty())
        upstream.monitor_password_file = {.path = options.password_file,
                                          .origin = {"command line", 0, 0, "--password-file"}};
    if (options.interval) upstream.sample_interval = *options.interval;
    if (upstream.sample_interval.count() == 0) upstream.sample_interval = config::Upstream{}.sample_interval;
    upstream.monitor_interval = upstream.sample_interval;
    return config;
}

std::string home() {
    if (const std::string home = environment("HOME"); !home.empty()) return home;
    const passwd* const entry = ::getpwuid(::geteuid());
    return entry && entry->pw_dir ? entry->pw_dir : "";
}

/// As libpq finds it, where no file was named.
std::string found_password(const config::Upstream& upstream, const std::string& database) {
    if (upstream.monitor_password_file) return {};
    if (std::string password = environment("PGPASSWORD"); !password.empty()) return password;
    std::string path = environment("PGPASSFILE");
    if (path.empty() && !home().empty()) path = home() + "/.pgpass";
    if (path.empty()) return {};
    const config::Passfile file = config::read_passfile(path);
    if (!file.warning.empty()) print_error(file.warning);
    const config::Address& host = upstream.hosts.front();
    const bool is_socket = host.kind == config::Address::Kind::unix_socket;
    return config::find_password(file.text, {.host = is_socket ? "localhost" : host.host,
                                             .port = is_socket ? std::uint16_t{5432} : host.port,
                                             .database = database,
                                             .user = upstream.monitor_user});
}

/// Its folder is made. Throws NotSeen where another process works with it.
std::string inventory_of(const SampleOptions& options) {
    const std::string& named = options.source.flags.state_dir;
    const std::string folder = named.empty() ? state_dir("") + "/sample" : named;
    create_state_dir(folder);
    const std::string file = inventory_file(folder);
    const InventoryUse::Other other = InventoryUse::seen_from_outside(file);
    if (other.state == InventoryUse::Other::State::none) return file;
    const std::string who = other.pid > 0 ? "process " + std::to_string(other.pid) : "another process";
    throw NotSeen(file + " is used by " + who + ": give another folder with --state-dir DIR; a report reads several");
}

/// All on the thread of `io`, but for tell().
class Sampling {
   public:
    Sampling(const SampleOptions& options, std::shared_ptr<const UpstreamRoute> route, Inventory& inventory,
             const std::string& password)
        : options_(options), route_(std::move(route)), inventory_(inventory) {
        monitor_.sample({.tell = [this](ServerLook look) { tell(std::move(look)); },
                         .database = options.database,
                         .application_name = "pgairlock sample",
                         .password = protocol::Buffer(password.begin(), password.end())});
    }
    ~Sampling() { close(); }

    /// Until it is to end. Throws NotSeen where there is nothing to be seen.
    const SampleSummary& run();

   private:
    void tell(ServerLook look) {
        asio::post(io_, [this, look = std::move(look)] { take(look); });
    }
    void take(const ServerLook& look);
    void flush();
    void beat();
    void give_up(std::string why);
    bool has_looked_enough() const;
    void close();

    const SampleOptions& options_;
    const std::shared_ptr<const UpstreamRoute> route_;
    Inventory& inventory_;
    asio::io_context io_{1};
    boost::asio::steady_timer beat_{io_};
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    SampleSummary summary_;
    std::map<std::string, std::string> told_;  // the last failure of each address
    std::string why_not_;
    Resolver resolver_;
    Outages outages_;
    HostRoles roles_;
    HostMonitor monitor_{resolver_, outages_, roles_};
    bool closed_ = false;
};

void Sampling::close() {
    if (std::exchange(closed_, true)) return;
    resolver_.close();
    monitor_.close();
}

void Sampling::give_up(std::string why) {
    why_not_ = std::move(why);
    io_.stop();
}

bool Sampling::has_looked_enough() const {
    if (options_.lasts && std::chrono::steady_clock::now() - began_ >= *options_.lasts) return true;
    // All addresses of a name are asked at once, and answer one after the other.
    return options_.count && std::chrono::steady_clock::now() - began_ >= 1s && !summary_.servers().empty() &&
           std::all_of(summary_.servers().begin(), summary_.servers().end(),
                       [&](const auto& server) { return server.second.asked() >= *options_.count; });
}

void Sampling::take(const ServerLook& look) {
    inventory_.absorb(look);
    summary_.add(look);
    const std::string& user = route_->settings.monitor_user;
    if (look.hidden)
        return give_up(look.upstream_addr + " does not show \"" + user +
                       "\" whence and how others are connected: GRANT pg_read_all_stats TO " + user);
    std::string& told = told_[look.upstream_addr];
    if (!look.failure.empty() && told != look.failure) print_error(look.upstream_addr + ": " + look.failure);
    told = look.failure;
    if (has_looked_enough()) io_.stop();
}

void Sampling::flush() {
    for (const Event& event : inventory_.flush()) print_error(event.message);
    if (!inventory_.damage().empty()) give_up("the inventory cannot be written any more: " + inventory_.damage());
}

/// Each half second.
void Sampling::beat() {
    flush();
    const auto since = std::chrono::steady_clock::now() - began_;
    const auto patience = route_->settings.connect_timeout + 5s;
    if (summary_.looks() == 0 && since > patience)
        return give_up(summary_.servers().empty()
                           ? "no address of " + config::to_string(route_->settings.hosts.front()) +
                                 " was found, or none has answered"
                           : "no server could be looked at");
    if (has_looked_enough()) return io_.stop();
    beat_.expires_after(500ms);
    beat_.async_wait([this](boost::system::error_code error) {
        if (!error) beat();
    });
}

const SampleSummary& Sampling::run() {
    boost::asio::signal_set signals(io_, SIGINT, SIGTERM);
    signals.async_wait([this](boost::system::error_code error, int) {
        if (!error) io_.stop();
    });
    monitor_.serve({route_});
    beat();
    io_.run();
    close();
    flush();
    if (!why_not_.empty()) throw NotSeen(why_not_);
    if (summary_.looks() == 0) throw NotSeen("ended before any server was looked at");
    return summary_;
}

int look(const SampleOptions& options) {
    std::signal(SIGPIPE, SIG_IGN);
    spdlog::set_default_logger(spdlog::stderr_logger_mt("sample"));
    spdlog::set_pattern("%l: %v");
    spdlog::set_level(spdlog::level::err);  // what the monitor finds is told here
    config::Config config = wanted_upstream(options);
    const std::string password = found_password(config.upstreams.front(), options.database);
    const std::string name = proxy_name(config.runtime);
    const config::Audit audit = config.audit;
    LoadedSnapshot loaded = load_snapshot(std::move(config), {.path = state_dir(""), .writable = false});
    print(loaded.errors, {});
    if (!loaded.snapshot) return exit_usage;
    const std::string file = inventory_of(options);
    InventoryUse use(file);
    Inventory inventory(
        {.path = file,
         .retention = audit.inventory_retention,
         .proxy = {.name = name + " (sample)", .version = version(), .consistent_after = audit.consistent_after},
         .name_pattern = audit.application_name_pattern});
    if (!options.inventory.empty())
        inventory.share(std::make_unique<Fleet>(Fleet::Settings{.url = options.inventory,
                                                                .file = file,
                                                                .instance = inventory.instance(),
                                                                .retention = audit.inventory_retention}));
    Sampling sampling(options, loaded.snapshot->upstreams.front(), inventory, password);
    const SampleSummary& seen = sampling.run();
    const std::string place = std::filesystem::path(file).parent_path().string();
    const std::string out = seen.text() + "\nKept in " + protocol::printable(file) +
                            ". Over time, and what to do: pgairlock report --state-dir " + protocol::printable(place) +
                            "\n";
    std::fputs(out.c_str(), stdout);
    return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

}  // namespace

int sample(const SampleOptions& options) try {
    const int code = look(options);
    // A name server that does not answer does not hold up the end.
    if (Offload::left_work_behind()) std::_Exit(code);
    return code;
} catch (const Unusable& error) {
    if (*error.what()) print_error(error.what());
    return exit_usage;
} catch (const std::exception& error) {
    print_error(error.what());
    return exit_failure;
}

}  // namespace proxy::command
