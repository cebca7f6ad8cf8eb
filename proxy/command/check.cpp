// `pgairlock check`: for each address of each upstream and each CA file by itself, would a
// connection be verified?
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "protocol/utf8.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/command/written_files.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy::command {
namespace {

namespace json = boost::json;

/// What one address showed, judged against one CA file.
struct Verdict {
    std::string ca_file;
    bool chain_ok = false;
    bool name_ok = false;
    std::string chain;  ///< "ok", or why not
    std::string name;   ///< "ok", or why not
    std::string anchor;
    tls::Advice advice;  ///< when either is not ok
    bool holds = false;  ///< all that the configured sslmode demands
};

struct AddressResult {
    std::string upstream;
    std::string host;
    std::string address;
    protocol::SslMode sslmode{};
    std::string error;   ///< set: no TLS connection
    tls::Advice advice;  ///< about `error`; often nothing
    std::string version;
    std::string cipher;
    std::shared_ptr<const tls::CertificateFacts> leaf;
    std::vector<Verdict> verdicts;
    bool holds = false;  ///< with all CA files together, as a session would see it
};

/// The same upstream with one CA file, or with none so that anything is accepted and can be shown.
UpstreamRoute variant(const config::Upstream& settings, protocol::SslMode sslmode, std::vector<config::File> anchors) {
    UpstreamRoute route;
    route.settings = settings;
    route.settings.sslmode = sslmode;
    route.settings.sslrootcert = std::move(anchors);
    std::vector<config::Diagnostic> ignored;
    route.tls = std::make_unique<const tls::UpstreamContext>(route.settings, ignored, ignored);
    return route;
}

/// "ok", or why there is no such connection.
std::string outcome(const Connected& connected) {
    const auto* failure = std::get_if<UpstreamFailure>(&connected);
    if (!failure) return "ok";
    return failure->verify_error.empty() ? failure->error : failure->verify_error;
}

tls::Advice advice_of(const Connected& connected) {
    const auto* failure = std::get_if<UpstreamFailure>(&connected);
    return failure ? failure->advice : tls::Advice();
}

tls::Awaitable<Verdict> judge(Connector& connector, const config::Upstream& settings, const Reached& seen,
                              const config::File& anchor) {
    using protocol::SslMode;
    Verdict verdict{.ca_file = anchor.path, .chain = {}, .name = {}, .anchor = {}, .advice = {}};
    const auto attempt = [&](SslMode mode) { return variant(settings, mode, {anchor}); };
    const UpstreamRoute chain_route = attempt(SslMode::verify_ca);
    const Connected chain = co_await connector.connect_address(chain_route, seen.endpoint, seen.host, Encryption::tls);
    verdict.chain = outcome(chain);
    verdict.name = "not checked: the chain does not verify";
    verdict.advice = advice_of(chain);
    if (const auto* made = std::get_if<VerifiedConnection>(&chain)) {
        verdict.chain_ok = true;
        verdict.anchor = made->reached.tls.anchor;
        const UpstreamRoute full_route = attempt(SslMode::verify_full);
        const Connected full =
            co_await connector.connect_address(full_route, seen.endpoint, seen.host, Encryption::tls);
        verdict.name_ok = std::holds_alternative<VerifiedConnection>(full);
        verdict.name = outcome(full);
        verdict.advice = advice_of(full);
    }
    const SslMode mode = settings.sslmode;
    verdict.holds = mode < SslMode::verify_ca || (verdict.chain_ok && (mode == SslMode::verify_ca || verdict.name_ok));
    co_return verdict;
}

tls::Awaitable<AddressResult> check_address(Connector& connector, const UpstreamRoute& route,
                                            const config::Address& host,
                                            asio::generic::stream_protocol::endpoint endpoint) {
    const config::Upstream& settings = route.settings;
    AddressResult result{.upstream = settings.name,
                         .host = host.host,
                         .address = to_string(endpoint),
                         .sslmode = settings.sslmode,
                         .error = {},
                         .advice = {},
                         .version = {},
                         .cipher = {},
                         .leaf = nullptr,
                         .verdicts = {}};
    const bool encrypted = settings.sslmode != protocol::SslMode::disable;
    const UpstreamRoute looking =
        encrypted ? variant(settings, protocol::SslMode::require, {}) : UpstreamRoute{settings, nullptr};
    const Encryption encryption = encrypted ? Encryption::tls : Encryption::clear;
    const Connected looked = co_await connector.connect_address(looking, endpoint, host.host, encryption);
    if (const auto* failure = std::get_if<UpstreamFailure>(&looked)) {
        result.error = failure->error;
        result.advice = failure->advice;
        co_return result;
    }
    const Reached& seen = std::get<VerifiedConnection>(looked).reached;
    result.version = seen.tls.version;
    result.cipher = seen.tls.cipher;
    result.leaf = seen.tls.leaf;
    if (encrypted) {
        auto anchors = settings.sslrootcert;
        if (anchors.empty() && settings.sslmode == protocol::SslMode::verify_full)
            anchors.push_back({.path = "system", .origin = {}});
        for (const config::File& anchor : anchors) {
            Verdict verdict = co_await judge(connector, settings, seen, anchor);
            result.verdicts.push_back(std::move(verdict));
        }
    }
    const Connected real = co_await connector.connect_address(route, endpoint, host.host, encryption);
    const auto* failure = std::get_if<UpstreamFailure>(&real);
    result.holds = !failure;
    if (failure && result.verdicts.empty()) {
        result.error = failure->error;
        result.advice = failure->advice;
    }
    co_return result;
}

tls::Awaitable<> check_upstream(Resolver& resolver, const UpstreamRoute& route, std::vector<AddressResult>& results) {
    Outages outages;
    Connector connector(resolver, outages);
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto waiting = std::make_shared<tls::Timer>(executor);
    for (const config::Address& host : route.settings.hosts) {
        const auto deadline = std::chrono::steady_clock::now() + route.settings.connect_timeout;
        const Resolved resolved = co_await resolver.resolve(host, deadline, waiting);
        if (resolved.endpoints.empty()) {
            AddressResult result{};
            result.upstream = route.settings.name;
            result.host = host.host;
            result.sslmode = route.settings.sslmode;
            result.error = resolved.error;
            results.push_back(std::move(result));
        }
        for (const auto& endpoint : resolved.endpoints) {
            AddressResult result = co_await check_address(connector, route, host, endpoint);
            results.push_back(std::move(result));
        }
    }
}

std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
    return out;
}

/// In lines like those around: `width` is that of their labels.
void print_advice(const char* indent, int width, const tls::Advice& advice) {
    const auto line = [&](const char* label, const std::string& text) {
        if (!text.empty()) std::printf("%s%-*s%s\n", indent, width, label, protocol::printable(text).c_str());
    };
    line("cause:", advice.sentence);
    line("hint:", advice.hint);
}

void print_text(const AddressResult& result, bool ok) {
    std::printf("upstream %s: %s at %s, sslmode=%s: %s\n", result.upstream.c_str(), result.host.c_str(),
                result.address.empty() ? "no address" : result.address.c_str(),
                std::string(protocol::to_string(result.sslmode)).c_str(), ok ? "OK" : "FAILED");
    if (!result.error.empty()) std::printf("  error:    %s\n", protocol::printable(result.error).c_str());
    print_advice("  ", 10, result.advice);
    if (!result.version.empty()) std::printf("  TLS:      %s, %s\n", result.version.c_str(), result.cipher.c_str());
    if (result.leaf) {
        std::printf("  leaf:     %s\n", result.leaf->subject.c_str());
        std::printf("  names:    %s\n", joined(result.leaf->sans).c_str());
        std::printf("  expires:  %s\n", tls::to_rfc3339(result.leaf->not_after).c_str());
        std::printf("  issuer:   %s\n", result.leaf->issuer.c_str());
    }
    for (const Verdict& verdict : result.verdicts) {
        std::printf("  CA file:  %s\n", verdict.ca_file.c_str());
        std::printf("    chain:     %s\n", verdict.chain.c_str());
        std::printf("    hostname:  %s\n", verdict.name.c_str());
        print_advice("    ", 11, verdict.advice);
        if (!verdict.anchor.empty()) std::printf("    anchor:    %s\n", verdict.anchor.c_str());
        std::printf("    alone:     %s\n", verdict.holds ? "suffices" : "does not suffice");
    }
}

json::value or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::object to_json(const AddressResult& result) {
    json::object out{{"upstream", result.upstream},
                     {"host", result.host},
                     {"address", result.address},
                     {"sslmode", protocol::to_string(result.sslmode)},
                     {"ok", result.holds},
                     {"error", or_null(result.error)},
                     {"cause", or_null(result.advice.sentence)},
                     {"hint", or_null(result.advice.hint)},
                     {"version", result.version},
                     {"cipher", result.cipher}};
    if (result.leaf) {
        json::array sans;
        for (const std::string& san : result.leaf->sans) sans.emplace_back(san);
        out["leaf"] = {{"subject", result.leaf->subject},
                       {"issuer", result.leaf->issuer},
                       {"sans", sans},
                       {"serial", result.leaf->serial},
                       {"sha256", result.leaf->sha256},
                       {"not_before", tls::to_rfc3339(result.leaf->not_before)},
                       {"not_after", tls::to_rfc3339(result.leaf->not_after)}};
    }
    json::array verdicts;
    for (const Verdict& verdict : result.verdicts) {
        verdicts.push_back({{"ca_file", verdict.ca_file},
                            {"chain_ok", verdict.chain_ok},
                            {"chain", verdict.chain},
                            {"hostname_ok", verdict.name_ok},
                            {"hostname", verdict.name},
                            {"anchor", verdict.anchor},
                            {"cause", or_null(verdict.advice.sentence)},
                            {"hint", or_null(verdict.advice.hint)},
                            {"ok", verdict.holds}});
    }
    out["ca_files"] = std::move(verdicts);
    return out;
}

/// Every CA file of `check --upstream ... --sslrootcert A --sslrootcert B` is a question of its
/// own; in a configuration they are one store.
bool holds(const AddressResult& result, bool each_file) {
    if (!result.holds) return false;
    return !each_file ||
           std::all_of(result.verdicts.begin(), result.verdicts.end(), [](const Verdict& v) { return v.holds; });
}

}  // namespace

int check(const CheckOptions& options) {
    config::Loaded loaded = load_config(options.source);
    print(loaded.errors, loaded.warnings);
    if (!loaded.config) return exit_usage;
    const bool from_flags = options.source.config_file.empty();
    // A check leaves no traces: it generates no certificate where none is configured.
    for (config::Listener& listener : loaded.config->listeners) {
        if (!listener.tls.cert_file && listener.tls.certificate.empty())
            listener.tls.mode = config::ClientTlsMode::disable;
    }
    const std::string dir = state_dir(loaded.config->runtime.state_dir);
    LoadedSnapshot snapshot = load_snapshot(*loaded.config, {.path = dir, .writable = false});
    look_at_written_files(*loaded.config, dir, snapshot.errors, snapshot.warnings);
    print(snapshot.errors, snapshot.warnings);
    if (!snapshot.errors.empty()) return exit_usage;
    if (options.offline) {
        if (options.json) {
            std::printf("%s\n", json::serialize(json::object{{"ok", true}, {"upstreams", json::array{}}}).c_str());
        } else {
            std::printf("configuration is valid\n");
        }
        return exit_ok;
    }

    asio::io_context io(1);
    Resolver resolver;
    std::vector<AddressResult> results;
    for (const auto& route : snapshot.snapshot->upstreams) {
        asio::co_spawn(io.get_executor(), check_upstream(resolver, *route, results), asio::detached);
        io.run();
        io.restart();
    }
    const bool ok = !results.empty() &&
                    std::all_of(results.begin(), results.end(), [&](const auto& r) { return holds(r, from_flags); });
    if (options.json) {
        json::array upstreams;
        for (const AddressResult& result : results) upstreams.push_back(to_json(result));
        std::printf("%s\n", json::serialize(json::object{{"ok", ok}, {"upstreams", std::move(upstreams)}}).c_str());
    } else {
        for (const AddressResult& result : results) print_text(result, holds(result, from_flags));
    }
    return ok ? exit_ok : exit_failure;
}

}  // namespace proxy::command
