#include "proxy/route/snapshot.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

#include "config/file.hpp"
#include "config/inspect.hpp"
#include "proxy/route/listen_names.hpp"
#include "tls/authority.hpp"
#include "tls/system_store.hpp"

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
        tls.certificate.push_back({.cert_file = file(files.rsa_cert),
                                   .key_file = file(files.rsa_key),
                                   .ssl_passphrase_command = {},
                                   .server_names = {}});
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

/// Any line that a role's password can be; the line break is not of it.
protocol::Buffer load_password(const config::File& file, std::vector<config::Diagnostic>& errors) {
    if (!file) return {};
    constexpr std::size_t longest = 8192;  // tokens are passwords too
    auto bytes = config::read_file(file, config::FileKind::secret, errors);
    if (!bytes) return {};
    while (!bytes->empty() && (bytes->back() == '\n' || bytes->back() == '\r')) bytes->pop_back();
    const bool is_line = std::none_of(bytes->begin(), bytes->end(), [](std::uint8_t c) { return c < ' '; });
    if (is_line && !bytes->empty() && bytes->size() <= longest) return std::move(*bytes);
    errors.push_back({file.origin, "\"" + file.path + "\" holds no password: one line of at most " +
                                       std::to_string(longest) + " bytes"});
    return {};
}

std::shared_ptr<const UpstreamRoute> load_upstream(const config::Upstream& settings, const Snapshot* running,
                                                   LoadedSnapshot& loaded) {
    auto route = std::make_shared<UpstreamRoute>();
    route->settings = settings;
    const config::FilesRead files;
    if (settings.sslmode != protocol::SslMode::disable)
        route->tls = std::make_unique<const tls::UpstreamContext>(settings, loaded.errors, loaded.warnings);
    if (!settings.monitor_user.empty())
        route->monitor_password = load_password(settings.monitor_password_file, loaded.errors);
    route->files = files.states();
    if (settings.discover) route->found = std::make_unique<FoundHosts>(settings.hosts);
    if (!running) return route;
    const auto& known = running->upstreams;
    const auto same = std::find_if(known.begin(), known.end(), [&](const auto& other) {
        return config::is_same(other->settings, settings) && config::hold_the_same(other->files, route->files);
    });
    return same == known.end() ? route : *same;
}

/// "upstream.orders" of "upstream.orders.sslkey".
std::string_view table_of(std::string_view key) { return key.substr(0, std::min(key.rfind('.'), key.size())); }

/// Whether it is one of `told` in other words: the same value, or what follows from a wrong one of
/// its table.
bool is_told_by(const std::vector<config::Diagnostic>& told, const config::Diagnostic& error) {
    const config::Origin& at = error.origin;
    return std::any_of(told.begin(), told.end(), [&](const config::Diagnostic& one) {
        const config::Origin& known = one.origin;
        if (known.key == at.key && known.line == at.line && known.column == at.column) return true;
        // A file that is not there makes no value beside it wrong.
        return !one.may_pass && (known.key == at.key || table_of(known.key) == table_of(at.key));
    });
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

namespace {

bool is_within(const std::vector<config::Cidr>& ranges, const std::array<std::uint8_t, 16>& address) noexcept {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const config::Cidr& range) { return range.contains(address); });
}

}  // namespace

bool ListenerRoute::reserves_for(std::string_view user) const noexcept {
    return std::find(reserved_users.begin(), reserved_users.end(), user) != reserved_users.end();
}

bool ListenerRoute::allows(const std::array<std::uint8_t, 16>& address) const noexcept {
    return is_within(settings.allow, address);
}

bool ListenerRoute::trusts(const std::array<std::uint8_t, 16>& address) const noexcept {
    return is_within(settings.trusted_proxies, address);
}

std::string load_http_token(const config::File& file, std::vector<config::Diagnostic>& errors) {
    constexpr std::size_t shortest = 16, longest = 1024;
    return load_secret_line(file, {.shortest = shortest, .longest = longest}, errors);
}

LoadedSnapshot load_snapshot(config::Config config, const StateDir& state_dir, const Snapshot* running) {
    LoadedSnapshot loaded;
    const config::FilesRead files;
    auto snapshot = std::make_shared<Snapshot>();
    std::map<std::string, std::shared_ptr<const UpstreamRoute>> upstreams;
    const std::shared_ptr<const AuthRoute> auth = load_auth(config.auth, state_dir, loaded);
    snapshot->http_token = load_http_token(config.admin.http_token_file, loaded.errors);
    for (const config::Alert& settings : config.alerts)
        snapshot->alerts.push_back(load_alert(settings, loaded.errors, loaded.warnings));
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
        route->reserved_users = config.runtime.reserved_users;
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

config::Config without_generated(config::Config config) {
    for (config::Listener& listener : config.listeners) {
        if (!listener.tls.cert_file && listener.tls.certificate.empty())
            listener.tls.mode = config::ClientTlsMode::disable;
    }
    return config;
}

std::vector<config::Diagnostic> all_errors(const config::Loaded& loaded, const std::string& state_dir) try {
    if (!loaded.incomplete) return loaded.errors;
    std::vector<config::Diagnostic> all = loaded.errors;
    for (config::Diagnostic& error :
         load_snapshot(without_generated(*loaded.incomplete), {.path = state_dir, .writable = false}).errors) {
        if (!is_told_by(loaded.errors, error)) all.push_back(std::move(error));
    }
    const auto place = [&](const config::Diagnostic& one) {
        return std::tuple(one.origin.file != loaded.incomplete->file, one.origin.line, one.origin.column);
    };
    std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
    return all;
} catch (const std::exception&) {
    return loaded.errors;  // there are errors enough
}

std::vector<std::string> files_of(const Snapshot& snapshot) {
    // The listeners as they were loaded: with the paths of generated certificates.
    config::Config loaded = snapshot.config;
    for (std::size_t i = 0; i < snapshot.listeners.size(); ++i) loaded.listeners[i] = snapshot.listeners[i]->settings;
    std::vector<std::string> files = config::files_of(loaded);
    const std::vector<tls::Bundle> bundles = bundles_of(snapshot);
    const bool uses_system = std::any_of(bundles.begin(), bundles.end(),
                                         [](const tls::Bundle& bundle) { return bundle.path == tls::system_store; });
    if (uses_system) {
        for (std::string& file : tls::system_store_files()) files.push_back(std::move(file));
        std::sort(files.begin(), files.end());
        files.erase(std::unique(files.begin(), files.end()), files.end());
    }
    return files;
}

std::vector<tls::Bundle> bundles_of(const Snapshot& snapshot) {
    std::vector<tls::Bundle> all;
    const auto add = [&](const std::vector<tls::Bundle>& bundles) {
        for (const tls::Bundle& bundle : bundles) {
            const bool known =
                std::any_of(all.begin(), all.end(), [&](const tls::Bundle& one) { return one.path == bundle.path; });
            if (!known) all.push_back(bundle);
        }
    };
    for (const auto& listener : snapshot.listeners) {
        if (listener->tls) add(listener->tls->bundles());
    }
    for (const auto& upstream : snapshot.upstreams) {
        if (upstream->tls) add(upstream->tls->bundles());
    }
    return all;
}

std::string target_text(const ListenerRoute& route) {
    const config::Upstream& upstream = route.upstream->settings;
    return upstream.name + " (" + std::string(protocol::to_string(upstream.sslmode)) + ")";
}

}  // namespace proxy
