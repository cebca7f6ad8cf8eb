#include "proxy/command/check_addresses.hpp"

namespace proxy::command {
namespace {

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

/// What nobody could look at is not ready; nullopt: nobody asked.
std::optional<CandidateVerdict> not_judged(const config::Upstream& settings, const std::string& why) {
    if (settings.sslrootcert_candidate.empty()) return std::nullopt;
    return CandidateVerdict{.ok = false, .judged = false, .reason = why};
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
    Verdict verdict{.ca_file = anchor.path, .chain = {}, .name = {}, .anchor = {}};
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

tls::Awaitable<CandidateVerdict> judge_candidate(Connector& connector, const config::Upstream& settings,
                                                 const Reached& seen) {
    const UpstreamRoute route = variant(settings, protocol::SslMode::verify_ca, settings.sslrootcert_candidate);
    const Connected made = co_await connector.connect_address(route, seen.endpoint, seen.host, Encryption::tls);
    if (std::holds_alternative<VerifiedConnection>(made)) co_return CandidateVerdict{.ok = true};
    co_return CandidateVerdict{.ok = false, .reason = outcome(made)};
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
                         .version = {},
                         .cipher = {},
                         .leaf = nullptr,
                         .verdicts = {}};
    const bool encrypted = settings.sslmode != protocol::SslMode::disable;
    result.candidate = not_judged(settings, encrypted ? "there was no TLS connection" : "sslmode=disable");
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
    if (encrypted && !settings.sslrootcert_candidate.empty())
        result.candidate = co_await judge_candidate(connector, settings, seen);
    const Connected real = co_await connector.connect_address(route, endpoint, host.host, encryption);
    const auto* failure = std::get_if<UpstreamFailure>(&real);
    result.holds = !failure;
    if (failure && result.verdicts.empty()) {
        result.error = failure->error;
        result.advice = failure->advice;
    }
    co_return result;
}

}  // namespace

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
            result.candidate = not_judged(route.settings, "there is no address");
            results.push_back(std::move(result));
        }
        for (const auto& endpoint : resolved.endpoints) {
            AddressResult result = co_await check_address(connector, route, host, endpoint);
            results.push_back(std::move(result));
        }
    }
}

}  // namespace proxy::command
