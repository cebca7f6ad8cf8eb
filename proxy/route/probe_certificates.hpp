// The certificates that probes show instead of a listener's own ([audit.probe],
// docs/verification.md).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/per_probe_kind.hpp"
#include "tls/listener_context.hpp"

namespace proxy {

/// nullptr: not available.
using ProbeContexts = config::PerProbeKind<std::unique_ptr<const tls::ListenerContext>>;

/// `untrusted` is minted here and its issuer forgotten at once. `wrong-name` needs the CA that
/// issued the listener's own certificates; a warning says when it is not there.
ProbeContexts load_probes(const config::Probe& settings, const config::ListenerTls& listener,
                          const tls::ListenerContext& real, const std::string& state_dir,
                          std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings);

}  // namespace proxy
