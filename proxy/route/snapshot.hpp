// One state of the configuration with everything it names loaded: what a reload swaps as a whole,
// and what a session keeps as it began.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/file.hpp"
#include "config/load.hpp"
#include "config/users.hpp"
#include "proxy/route/alert_route.hpp"
#include "proxy/route/found_hosts.hpp"
#include "proxy/route/mock_salts.hpp"
#include "proxy/route/probe_certificates.hpp"
#include "tls/listener_context.hpp"
#include "tls/upstream_context.hpp"

namespace proxy {

/// One upstream and its TLS side.
struct UpstreamRoute {
    config::Upstream settings;
    std::unique_ptr<const tls::UpstreamContext> tls;  ///< nullptr: sslmode disable
    protocol::Buffer monitor_password{};              ///< of monitor_password_file; empty: none
    config::FileStates files{};                       ///< what it was made of, without the system's CAs
    std::unique_ptr<FoundHosts> found{};              ///< nullptr: hosts are those of `settings`, and no others

    /// Of the configuration, and behind them those that were found.
    std::vector<config::Address> hosts() const { return found ? *found->all() : settings.hosts; }
};

/// How logins are authenticated ([auth]).
struct AuthRoute {
    protocol::ScramMode scram = protocol::ScramMode::automatic;
    config::Users users;
    MockSalts mock_salts;  ///< for users without a SCRAM secret

    const protocol::ScramUser* find(const std::string& name) const noexcept;
};

/// One listener and its TLS side.
struct ListenerRoute {
    config::Listener settings;
    std::unique_ptr<const tls::ListenerContext> tls;  ///< nullptr: mode disable
    ProbeContexts probes;                             ///< what may be shown instead
    config::Probe probe;                              ///< when, and to whom
    std::shared_ptr<const UpstreamRoute> upstream;
    std::shared_ptr<const AuthRoute> auth;
    std::vector<std::string> reserved_users;  ///< of [runtime]

    /// UNIX-domain peers have no address and are always allowed: the file's permissions decide.
    bool allows(const std::array<std::uint8_t, 16>& address) const noexcept;
    /// Whether its connections over TCP begin with a PROXY protocol header.
    bool has_front() const noexcept { return settings.proxy_protocol == config::ProxyProtocol::require; }
    /// With a front: whether that address is believed.
    bool trusts(const std::array<std::uint8_t, 16>& address) const noexcept;
    /// One of reserved_users.
    bool reserves_for(std::string_view user) const noexcept;
};

struct Snapshot {
    config::Config
        config;  ///< as written: without the paths of generated certificates, so that a reload may renew those
    std::vector<std::shared_ptr<const ListenerRoute>> listeners;  ///< in the order of config.listeners
    std::vector<std::shared_ptr<const UpstreamRoute>> upstreams;  ///< in the order of config.upstreams
    std::vector<std::shared_ptr<const AlertRoute>> alerts;        ///< in the order of config.alerts
    std::string http_token;                                       ///< of http_token_file; empty: none
    bool has_own_authority = false;                               ///< a listener shows a certificate of the private CA
    config::FileStates files;                                     ///< as they were read for this, of files_of()
};

struct LoadedSnapshot {
    std::shared_ptr<const Snapshot> snapshot;  ///< set exactly when `errors` is empty
    std::vector<config::Diagnostic> errors;
    std::vector<config::Diagnostic> warnings;
    std::vector<std::string> made{};  ///< sentences about certificates that were made for this
};

/// Loads every certificate, key, CA file and users_file. A listener without a certificate gets the
/// generated one of `state_dir`, which is made now if there is none. Of `running` (nullptr: this is
/// the start) an upstream whose settings and files are the same keeps its route, and with it the
/// connections that were made for it and what its TLS context remembers.
LoadedSnapshot load_snapshot(config::Config config, const StateDir& state_dir, const Snapshot* running = nullptr);

/// The same without the listeners' TLS for which a certificate would have to be generated: for
/// whoever leaves no traces.
config::Config without_generated(config::Config config);

/// `loaded.errors`, and what is wrong with what is in the files that it names: whoever mends one
/// file is not to learn of the next one afterwards. In the order of the file. Of a table in which a
/// key is wrong nothing more is said. Leaves no traces.
std::vector<config::Diagnostic> all_errors(const config::Loaded& loaded, const std::string& state_dir);

/// The token that those who ask over HTTP send: a line, which may end with a line break. Without a
/// file, and with an error: empty.
std::string load_http_token(const config::File& file, std::vector<config::Diagnostic>& errors);

/// The files a snapshot was made of (certificates, keys, CA files, users_file; of "system" its
/// files, not its folders), for whoever watches them.
std::vector<std::string> files_of(const Snapshot& snapshot);

/// What each file of certificates holds, once, in the order of the configuration; "system" as well.
std::vector<tls::Bundle> bundles_of(const Snapshot& snapshot);

/// "listening on ADDRESS -> UPSTREAM (SSLMODE)" without the address: shown on start and on reload.
std::string target_text(const ListenerRoute& route);

}  // namespace proxy
