// The commands behind `pgairlock NAME`: each takes its parsed options and returns an exit code
// (docs/commands.md).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace proxy::command {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;

/// Where `run` and `check` get their configuration: a file, or flags.
struct ConfigOptions {
    std::string config_file;
    config::Flags flags;
};

struct CheckOptions {
    ConfigOptions source;
    bool offline = false;
    bool json = false;
    std::vector<std::string> fail_on{};                  ///< what else than OK is demanded: "alone", "candidate"
    std::optional<std::chrono::milliseconds> timeout{};  ///< of each connection; not set: connect_timeout
    std::optional<std::chrono::milliseconds> watch{};    ///< looks again after so long, until SIGINT or SIGTERM
    std::optional<unsigned> warn_days{};                 ///< exit 1 also for certificates that end so soon
};

struct GenCertOptions {
    std::string ca_dir;
    std::string state_dir;
    std::vector<std::string> hosts;
};

/// Whose clients, and which of them: what `report` and `client` have in common.
struct ClientsOptions {
    std::string config_file;  ///< says where the inventory is
    std::vector<std::string> state_dirs;
    std::vector<std::string> inventories;  ///< paths, or postgresql://...
    std::string user;
    std::string database;
    std::string application;
    std::string client;
    std::string upstream;
    std::string proxy;
};

struct ReportOptions {
    ClientsOptions clients;
    std::string since;
    std::string until;
    std::string format = "table";
    std::vector<std::string> fail_on;   ///< report::FailOn
    std::vector<std::string> group_by;  ///< report::Dimension
    std::string against;                ///< an older report in JSON
    std::optional<std::size_t> width;   ///< columns of the table; 0: without a limit; not set: the terminal's
};

struct AuditVerifyOptions {
    std::vector<std::string> files;  ///< in the order of time: one chain
};

struct CaptureReadOptions {
    std::vector<std::string> files;  ///< "-": standard input
    std::string format = "text";     ///< text or json
    std::string session;
    std::string user;
    std::string database;
    std::string client;      ///< an address, or a range of them
    std::string compare_at;  ///< a moment: what was before it, and since
    bool failed = false;     ///< lists only sessions whose TLS or login failed
    bool follow = false;     ///< goes on as the last file grows, until SIGINT
};

struct AlertTestOptions {
    std::string config_file;
    std::string on;  ///< only those that are told of it; empty: all
};

/// What `client list` shows, and what its siblings write.
struct ClientOptions {
    int (*command)(const ClientOptions& options) = nullptr;  ///< which of them was given, if any
    ClientsOptions clients;
    bool all = false;       ///< no filter, and that is meant
    bool withdraw = false;  ///< takes back what was said before
    bool json = false;
    std::string until;  ///< of an acceptance
    std::string owner;
    std::string reason;  ///< of an acceptance; the text of a note
    std::string at;      ///< of a repair
};

/// A capture to be started, stopped or shown. The values are the console's to judge.
struct CaptureOptions {
    int (*command)(const CaptureOptions& options) = nullptr;  ///< which of them was given, if any
    std::string config_file;                                  ///< says where the console is
    std::string console;                                      ///< its socket
    std::optional<std::string> lasts;
    std::optional<std::string> payload;
    std::optional<std::string> trigger;
    std::vector<std::string> listeners;
    std::vector<std::string> users;
    std::vector<std::string> databases;
    std::vector<std::string> applications;
    std::vector<std::string> clients;
    std::optional<std::string> max_size;
    std::optional<std::string> write;  ///< "-": standard output; not set: the proxy writes
    bool keylog = false;
    std::optional<std::uint64_t> id;  ///< of stop; not set: all
    bool json = false;
};

/// The dashboard over inventories, without a proxy.
struct DashboardOptions {
    ClientsOptions clients;  ///< which inventories; nothing is left out of them
    std::string listen;      ///< "127.0.0.1:6440", or "unix:PATH"
    std::string token_file;
};

/// Which servers are looked at, as whom, how often and for how long.
struct SampleOptions {
    ConfigOptions source;  ///< with a file: its upstream named `flags.upstream`
    std::string user;      ///< empty: PGUSER's
    std::string database = "postgres";
    std::string password_file;  ///< empty: PGPASSWORD, or the line of libpq's password file
    std::string inventory;      ///< postgresql://...: the looks are copied there as well
    std::optional<std::chrono::milliseconds> interval{};
    std::optional<std::chrono::milliseconds> lasts{};
    std::optional<std::uint64_t> count{};  ///< looks at each address
};

/// Which question, and where the running proxy is asked.
struct HealthOptions {
    std::string check = "livez";  ///< livez, startupz, readyz or upstreamz
    std::string config_file;      ///< says where
    std::string url;              ///< or this
    std::string token_file;       ///< with a URL: what lets us have reasons
};

/// Which proxy is to reload.
struct ReloadOptions {
    std::string config_file;  ///< says where the console is
    std::string console;      ///< its socket
};

/// Which proxy is to be replaced by the binary that is at its path now: as for a reload.
using UpgradeOptions = ReloadOptions;

int run(const ConfigOptions& options);
int check(const CheckOptions& options);
int gen_cert(const GenCertOptions& options);
int report(const ReportOptions& options);
int audit_verify(const AuditVerifyOptions& options);
int capture_read(const CaptureReadOptions& options);
int client_list(const ClientOptions& options);
int client_accept(const ClientOptions& options);
int client_note(const ClientOptions& options);
int client_repaired(const ClientOptions& options);
int alert_test(const AlertTestOptions& options);
int health(const HealthOptions& options);
int sample(const SampleOptions& options);
int dashboard(const DashboardOptions& options);
int reload(const ReloadOptions& options);
int upgrade(const UpgradeOptions& options);
int capture_start(const CaptureOptions& options);
int capture_stop(const CaptureOptions& options);
int capture_status(const CaptureOptions& options);

/// Loads, and prints errors and warnings to stderr.
config::Loaded load_config(const ConfigOptions& options);
void print(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings);

}  // namespace proxy::command
