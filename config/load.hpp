// From a TOML file to a Config, or to everything that is wrong with it at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace config {

struct Loaded {
    std::optional<Config> config;    ///< set exactly when `errors` is empty
    std::vector<Diagnostic> errors;  ///< in file order
    std::vector<Diagnostic> warnings;
    /// What was read in spite of `errors`: to look for more of them, and for nothing else. Each of
    /// its listeners has an upstream. Empty: there are none, or nothing was read.
    std::optional<Config> incomplete{};
};

/// Reads and checks `path`. Keys, types, ranges, references between tables and readability of named
/// files are checked here; what is inside certificate files is checked by tls::.
Loaded load(const std::string& path);

/// The same on text already in memory (tests, fuzzing); `name` stands for the file in messages and
/// anchors relative paths.
Loaded load_text(std::string_view text, const std::string& name);

/// What `run` and `check` take instead of a file. Empty members are absent flags.
struct Flags {
    std::string listen;
    std::string upstream;
    std::vector<std::string> sslrootcert;
    std::string sslmode;
    std::string state_dir;
};

/// One listener and one upstream, both named "default". Errors have the origin {"command line", 0,
/// 0, "--sslmode"}; the second --sslrootcert has column 2, and so on.
Loaded from_flags(const Flags& flags);

/// Parsers that the command line and the tables share. nullopt: not of that form.
std::optional<Duration> parse_duration(std::string_view text);   ///< "250ms", "5s", "2m", "1h"
std::optional<std::uint64_t> parse_size(std::string_view text);  ///< "64KiB", "1GiB", "512B"
std::optional<Address> parse_address(std::string_view text);     ///< host:port, [::1]:port, unix:/path
std::optional<Cidr> parse_cidr(std::string_view text);           ///< "10.0.0.0/8", "::1/128", or an address alone

}  // namespace config
