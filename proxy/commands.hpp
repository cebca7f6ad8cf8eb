// The commands behind `pgairlock NAME`: each takes its parsed options and returns an exit code (docs/commands.md).
#pragma once

#include <string>
#include <vector>

#include "config/load.hpp"

namespace proxy {

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

int run(const ConfigOptions& options);
int check(const CheckOptions& options);
int gen_cert(const GenCertOptions& options);

/// Loads, and prints errors and warnings to stderr.
config::Loaded load_config(const ConfigOptions& options);
void print(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings);

}  // namespace proxy
