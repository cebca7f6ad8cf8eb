// What `run` would trip over, found without making or changing anything.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/route/snapshot.hpp"

namespace proxy::command {

/// One thing that was looked at.
struct Finding {
    enum class State {
        ok,
        skipped,  // not looked at, and `said.message` says why
        warning,  // pgairlock runs without it, or as another user it may be able to
        useless,  // `run` starts, and whoever verifies cannot connect
        stops,    // `run` ends with exit code 1: it may pass
        error,    // and with 2
    };
    std::string what;  ///< "listen 127.0.0.1:6432": a key, and its value
    State state = State::ok;
    config::Diagnostic said{};  ///< unless it is ok
};

struct PreflightOptions {
    std::string state_dir;
    bool with_addresses = true;                 ///< of listeners: a configuration that names them was given
    bool offline = false;                       ///< asks no other host
    std::chrono::milliseconds patience{5'000};  ///< for a fleet's inventory
};

/// Files that are written to, the state directory, the inventory and the private CA: all that is
/// known before anything is loaded.
std::vector<Finding> look_at_files(const config::Config& config, const PreflightOptions& options);

/// The addresses of listeners, HTTP and console, bound and closed. While a pgairlock with this
/// state directory runs, what it has is passed over, and so is every UNIX-domain socket.
std::vector<Finding> look_at_addresses(const Snapshot& snapshot, const PreflightOptions& options);

/// The certificates that listeners show. One that has expired or is not valid yet is said to be
/// so in place of its warning among `warnings`.
std::vector<Finding> look_at_dates(const Snapshot& snapshot, std::vector<config::Diagnostic>& warnings);

/// Those of a state, for stderr.
std::vector<config::Diagnostic> said(const std::vector<Finding>& findings, Finding::State state);

}  // namespace proxy::command
