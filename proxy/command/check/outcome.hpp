// All that one `pgairlock check` came to, and what is shown of it. "OK" means one thing in text,
// JSON and exit code: a session would be verified, by all CA files together.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "proxy/command/check/address_result.hpp"
#include "proxy/command/check/preflight.hpp"

namespace proxy::command {

/// A certificate in use that ends soon, or is not valid yet.
struct EndsSoon {
    std::string what;  ///< "shown by listener \"legacy\"", "leaf of 10.0.0.1:5432"
    std::string file;  ///< empty: a server sent it
    std::string subject;
    tls::Validity valid;
};

struct Outcome {
    std::vector<tls::Bundle> bundles{};
    std::vector<Finding> preflight{};
    std::vector<config::Diagnostic> warnings{};  ///< those of the preflight among them
    bool connected = true;                       ///< false: --offline
    std::vector<AddressResult> addresses{};
    std::vector<EndsSoon> ends_soon{};  ///< of --warn-days
};

/// What else than OK is demanded.
struct Demands {
    bool alone = false;      ///< each CA file by itself
    bool candidate = false;  ///< sslrootcert_candidate
    bool expiry = false;     ///< nothing in Outcome::ends_soon
};

/// Every address is OK, there is one at least, and nothing keeps `run` from starting, nor its
/// clients from verifying it.
bool is_ok(const Outcome& outcome);
/// Of all addresses that have a candidate; nullopt: none is configured.
std::optional<bool> candidates_hold(const Outcome& outcome);
/// Which demands are not met: "alone", "candidate", "expiry".
std::vector<std::string> unmet(const Outcome& outcome, const Demands& demands);

/// To stdout.
void print_bundles(const Outcome& outcome);
void print_preflight(const Outcome& outcome);
void print_addresses(const Outcome& outcome);
void print_ends_soon(const Outcome& outcome);

/// One document, without a line break.
std::string as_json(const Outcome& outcome, const Demands& demands);
/// The same for a configuration that cannot be used.
std::string as_json(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings);

}  // namespace proxy::command
