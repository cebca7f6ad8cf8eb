// The certificates that probes show instead of a listener's own ([audit.probe],
// docs/verification.md).
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/server_context.hpp"

namespace proxy {

/// By config::ProbeKind; nullptr: not available.
using ProbeContexts = std::array<std::unique_ptr<const tls::ServerContext>, 3>;

/// `untrusted` is minted here and its issuer forgotten at once. `wrong-name` needs the CA that
/// issued the listener's own certificates; a warning says when it is not there.
ProbeContexts load_probes(const config::Probe& settings, const config::ListenerTls& listener,
                          const tls::ServerContext& real, const std::string& state_dir,
                          std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings);

}  // namespace proxy
