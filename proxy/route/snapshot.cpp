#include "proxy/route/snapshot.hpp"

#include <algorithm>
#include <map>

#include "config/file.hpp"
#include "config/inspect.hpp"
#include "proxy/route/listen_names.hpp"
#include "tls/authority.hpp"

namespace proxy {
namespace {

/// The first start: a private CA and one RSA and one ECDSA certificate, so that every client finds
/// one that it understands.
void use_generated_certificate(config::ListenerTls& tls, const StateDir& state_dir, LoadedSnapshot& loaded) {
    try {
        // What is read here may be replaced here.
        const config::FilesRead apart(config::FilesRead::Outer::apart);
        const tls::IssuedFiles files = tls::ensure(state_dir.path + "/tls", state_dir.without_authority);
        if (!files.doubt.empty()) loaded.warnings.push_back({tls.origin, files.doubt});
        loaded.made.insert(loaded.made.end(), files.made.begin(), files.made.end());
        for (const std::string& what : files.tightened) loaded.warnings.push_back({tls.origin, what});
        const auto file = [&](const std::string& path) { return config::File{.path = path, .origin = tls.origin}; };
        tls.cert_file = file(files.ecdsa_cert);
        tls.key_file = file(files.ecdsa_key);
        tls.certificate.push_back(
            {.cert_file = file(files.rsa_cert), .key_file = file(files.rsa_key), .server_names = {}});
    } catch (const std::exception& error) {
        loaded.errors.push_back(
            {tls.origin, std::string("no cert_file is given and none could be generated: ") + error.what()});
    }
}

std::shared_ptr<const AuthRoute> load_auth(const config::Auth& settings, const StateDir& state_dir,
                                           LoadedSnapshot& loaded) {
    auto route = std::make_shared<AuthRoute>();
    route->scram = settings.scram;
    if (settings.scram != protocol::ScramMode::terminate) return route;
    const auto text = config::read_file(settings.users_file, config::FileKind::users, loaded.errors);
    if (!text) return route;
    route->users = config::parse_users(protocol::as_text(*text), settings.users_file, loaded.errors, loaded.warnings);
    warn_about_secrets(route->users, settings.users_file, loaded.warnings);
    route->mock_salts = load_mock_salts(settings, route->users, state_dir, loaded.errors, loaded.warnings);
    return route;
}

/// A line, which may end with a line break.
std::string load_http_token(const config::File& file, LoadedSnapshot& loaded) {
    constexpr std::size_t shortest = 16, longest = 1024;
    if (!file) return {};
    const auto bytes = config::read_file(file, config::FileKind::secret, loaded.errors);
    if (!bytes) return {};
    std::string token(protocol::as_text(*bytes));
    while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
    const bool is_printable = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
    if (!is_printable || token.size() < shortest || token.size() > longest)
        loaded.errors.push_back(
            {file.origin, "\"" + file.path + "\" holds no token: one line of 16 to 1024 characters without blanks"});
    return token;
}

bool uses_system_store(const config::Upstream& settings) {
    const auto is_system = [](const config::File& file) { return file.path == "system"; };
    return std::any_of(settings.sslrootcert.begin(), settings.sslrootcert.end(), is_system) ||
           std::any_of(settings.sslrootcert_candidate.begin(), settings.sslrootcert_candidate.end(), is_system) ||
           (settings.sslrootcert.empty() && settings.sslmode == protocol::SslMode::verify_full);
}

std::shared_ptr<const UpstreamRoute> load_upstream(const config::Upstream& settings, const Running& running,
                                                   LoadedSnapshot& loaded) {
    auto route = std::make_shared<UpstreamRoute>();
    route->settings = settings;
    if (settings.sslmode != protocol::SslMode::disable) {
        const config::FilesRead files;
        route->tls = std::make_unique<const tls::UpstreamContext>(settings, loaded.errors, loaded.warnings);
        route->files = files.states();
    }
    if (!running.snapshot || (uses_system_store(settings) && !running.keeps_system_store)) return route;
    const auto& known = running.snapshot->upstreams;
    const auto same = std::find_if(known.begin(), known.end(), [&](const auto& other) {
        return config::is_same(other->settings, settings) && config::hold_the_same(other->files, route->files);
    });
    return same == known.end() ? route : *same;
}

/// What was read of those that are watched.
config::FileStates watched(const Snapshot& snapshot, const config::FileStates& read) {
    config::FileStates states;
    for (const std::string& path : files_of(snapshot)) {
        const auto found = read.find(path);
        if (found != read.end()) states.insert(*found);
    }
    return states;
}

}  // namespace

const protocol::ScramUser* AuthRoute::find(const std::string& name) const noexcept {
    const auto found = users.find(name);
    return found == users.end() ? nullptr : &found->second;
}

bool ListenerRoute::allows(const std::array<std::uint8_t, 16>& address) const noexcept {
    return std::any_of(settings.allow.begin(), settings.allow.end(),
                       [&](const config::Cidr& range) { return range.contains(address); });
}

LoadedSnapshot load_snapshot(config::Config config, const StateDir& state_dir, const Running& running) {
    LoadedSnapshot loaded;
    const config::FilesRead files;
    auto snapshot = std::make_shared<Snapshot>();
    std::map<std::string, std::shared_ptr<const UpstreamRoute>> upstreams;
    const std::shared_ptr<const AuthRoute> auth = load_auth(config.auth, state_dir, loaded);
    snapshot->http_token = load_http_token(config.admin.http_token_file, loaded);
    for (const config::Upstream& settings : config.upstreams) {
        auto route = load_upstream(settings, running, loaded);
        snapshot->upstreams.push_back(route);
        upstreams[settings.name] = std::move(route);
    }
    for (config::Listener settings : config.listeners) {
        config::ListenerTls& tls = settings.tls;
        const bool wants_tls = tls.mode != config::ClientTlsMode::disable;
        if (wants_tls && !tls.cert_file && tls.certificate.empty()) {
            snapshot->has_own_authority = true;
            use_generated_certificate(tls, state_dir, loaded);
        }
        auto route = std::make_shared<ListenerRoute>();
        route->settings = settings;
        route->settings.listen = resolve_listen(settings.listen, loaded.errors);
        route->upstream = upstreams.at(settings.upstream);
        route->auth = auth;
        route->probe = config.audit.probe;
        const bool has_certificate = tls.cert_file || !tls.certificate.empty();
        if (wants_tls && has_certificate) {
            route->tls = std::make_unique<const tls::ListenerContext>(tls, loaded.errors, loaded.warnings);
            const bool probed =
                config.audit.probe.enabled && tls.trust == config::Trust::distributed && loaded.errors.empty();
            if (probed)
                route->probes =
                    load_probes(config.audit.probe, tls, *route->tls, state_dir.path, loaded.errors, loaded.warnings);
        }
        snapshot->listeners.push_back(std::move(route));
    }
    snapshot->config = std::move(config);
    snapshot->files = watched(*snapshot, files.states());
    if (loaded.errors.empty()) loaded.snapshot = std::move(snapshot);
    return loaded;
}

std::vector<std::string> files_of(const Snapshot& snapshot) {
    // The listeners as they were loaded: with the paths of generated certificates.
    config::Config loaded = snapshot.config;
    for (std::size_t i = 0; i < snapshot.listeners.size(); ++i) loaded.listeners[i] = snapshot.listeners[i]->settings;
    return config::files_of(loaded);
}

std::string target_text(const ListenerRoute& route) {
    const config::Upstream& upstream = route.upstream->settings;
    return upstream.name + " (" + std::string(protocol::to_string(upstream.sslmode)) + ")";
}

}  // namespace proxy
