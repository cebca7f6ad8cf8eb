// The commands behind `pgairlock NAME`: each takes its parsed options and returns an exit code
// (docs/commands.md).
#pragma once

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
};

struct GenCertOptions {
    std::string ca_dir;
    std::string state_dir;
    std::vector<std::string> hosts;
};

struct ReportOptions {
    std::vector<std::string> state_dirs;
    std::vector<std::string> inventories;  ///< paths, or postgresql://...
    std::string since;
    std::string format = "table";
    std::vector<std::string> fail_on;  ///< "weak", "unknown"
    std::string user;
    std::string database;
    std::string client;
    std::string upstream;
};

int run(const ConfigOptions& options);
int check(const CheckOptions& options);
int gen_cert(const GenCertOptions& options);
int report(const ReportOptions& options);

/// Loads, and prints errors and warnings to stderr.
config::Loaded load_config(const ConfigOptions& options);
void print(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings);

}  // namespace proxy::command
