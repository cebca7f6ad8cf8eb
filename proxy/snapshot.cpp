#include "proxy/snapshot.hpp"

#include <algorithm>
#include <map>

#include "tls/authority.hpp"

namespace proxy {
namespace {

/// The first start: a private CA and one RSA and one ECDSA certificate, so that every client finds one that it understands.
void use_generated_certificate(config::ListenerTls& tls, const std::string& state_dir, std::vector<config::Diagnostic>& errors) {
    try {
        const tls::IssuedFiles files = tls::ensure(state_dir + "/tls");
        const auto file = [&](const std::string& path) { return config::File{.path = path, .origin = tls.origin}; };
        tls.cert_file = file(files.ecdsa_cert);
        tls.key_file = file(files.ecdsa_key);
        tls.certificate.push_back({.cert_file = file(files.rsa_cert), .key_file = file(files.rsa_key), .server_names = {}});
    } catch (const std::exception& error) {
        errors.push_back({tls.origin, std::string("no cert_file is given and none could be generated: ") + error.what()});
    }
}

}  // namespace

bool ListenerRoute::allows(const std::array<std::uint8_t, 16>& address) const noexcept {
    return std::any_of(settings.allow.begin(), settings.allow.end(), [&](const config::Cidr& range) { return range.contains(address); });
}

LoadedSnapshot load_snapshot(config::Config config, const std::string& state_dir) {
    LoadedSnapshot loaded;
    auto snapshot = std::make_shared<Snapshot>();
    std::map<std::string, std::shared_ptr<const UpstreamRoute>> upstreams;
    for (const config::Upstream& settings : config.upstreams) {
        auto route = std::make_shared<UpstreamRoute>();
        route->settings = settings;
        if (settings.sslmode != protocol::SslMode::disable) {
            route->tls = std::make_unique<const tls::ClientContext>(settings, loaded.errors, loaded.warnings);
        }
        snapshot->upstreams.push_back(route);
        upstreams[settings.name] = std::move(route);
    }
    for (config::Listener settings : config.listeners) {
        config::ListenerTls& tls = settings.tls;
        const bool wants_tls = tls.mode != config::ClientTlsMode::disable;
        if (wants_tls && !tls.cert_file && tls.certificate.empty()) use_generated_certificate(tls, state_dir, loaded.errors);
        auto route = std::make_shared<ListenerRoute>();
        route->settings = settings;
        route->upstream = upstreams.at(settings.upstream);
        const bool has_certificate = tls.cert_file || !tls.certificate.empty();
        if (wants_tls && has_certificate) {
            route->tls = std::make_unique<const tls::ServerContext>(tls, loaded.errors, loaded.warnings);
        }
        snapshot->listeners.push_back(std::move(route));
    }
    snapshot->config = std::move(config);
    if (loaded.errors.empty()) loaded.snapshot = std::move(snapshot);
    return loaded;
}

std::vector<std::string> files_of(const Snapshot& snapshot) {
    std::vector<std::string> files;
    const auto add = [&](const config::File& file) {
        if (file && file.path != "system") files.push_back(file.path);
    };
    for (const auto& route : snapshot.listeners) {
        const config::Listener& listener = route->settings;
        add(listener.tls.cert_file);
        add(listener.tls.key_file);
        add(listener.tls.ca_file);
        for (const config::Certificate& certificate : listener.tls.certificate) {
            add(certificate.cert_file);
            add(certificate.key_file);
        }
    }
    for (const config::Upstream& upstream : snapshot.config.upstreams) {
        for (const config::File& file : upstream.sslrootcert) add(file);
        add(upstream.sslcert);
        add(upstream.sslkey);
    }
    std::sort(files.begin(), files.end());
    files.erase(std::unique(files.begin(), files.end()), files.end());
    return files;
}

std::string target_text(const ListenerRoute& route) {
    const config::Upstream& upstream = route.upstream->settings;
    return upstream.name + " (" + std::string(protocol::to_string(upstream.sslmode)) + ")";
}

}  // namespace proxy
