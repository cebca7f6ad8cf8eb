// The configuration that `pgairlock check` is about, with all that it names, and what keeps `run`
// from starting with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/command/check/outcome.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/route/snapshot.hpp"

namespace proxy::command {

struct LoadedCheck {
    std::shared_ptr<const Snapshot> snapshot{};  ///< set exactly when `errors` is empty
    std::vector<config::Diagnostic> errors{};
    std::vector<config::Diagnostic> warnings{};
    std::vector<Finding> preflight{};
    config::FileStates files{};  ///< what all of this was made of
    std::string config_file{};   ///< empty: it was given as flags
    std::string config_stamp{};  ///< of that file, from before it was read
};

LoadedCheck load_for_check(const CheckOptions& options);

/// Whether a file has changed since, or one can be read now that could not.
bool is_outdated(const LoadedCheck& loaded);

}  // namespace proxy::command
