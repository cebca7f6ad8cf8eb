// What the file of --config says of the proxy that runs with it. Another proxy than that one is
// never asked, ordered or read: where the file does not say which one it is, the command stops.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace proxy::command {

/// The command cannot begin (exit code 2). What is wrong with a file has been printed.
struct Unusable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The configuration of `file`. Throws Unusable when it has errors.
config::Config named_config(const std::string& file);

/// What a command does whose configuration has errors.
enum class Broken {
    stops,
    /// Tells the proxy nevertheless, which says what is wrong where it always does, in log and
    /// audit: as long as the file says for certain which proxy that is.
    reaches_its_proxy,
};

struct ConsolePlace {
    std::string path;                          ///< of the socket
    std::vector<config::Diagnostic> errors{};  ///< of the file, for when nobody else can tell them
};

/// The socket that was named (`console`); else that of the configuration in `config_file`; where
/// both are empty, that of the default state directory. Throws Unusable.
ConsolePlace console_place(const std::string& console, const std::string& config_file, Broken broken);

/// For options that name a place: a variable of a script that is not set must not mean the default
/// one. Empty: it may be one.
std::string why_no_place(const std::string& value);

}  // namespace proxy::command
