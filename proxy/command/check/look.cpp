#include "proxy/command/check/look.hpp"

#include <exception>

#include "proxy/upstream/leaving.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy::command {
namespace {

using Clock = std::chrono::steady_clock;
using Endpoint = asio::generic::stream_protocol::endpoint;

/// A host and what it stands for.
struct Host {
    const Judges* upstream;
    const config::Address* address;
    Resolved resolved{};
};

struct OneAddress {
    const Judges* upstream;
    std::string host;
    Endpoint endpoint;
};

AddressResult result_for(const config::Upstream& settings, const std::string& host, const std::string& address) {
    return {.upstream = settings.name, .host = host, .address = address, .sslmode = settings.sslmode};
}

/// Does `work(i)` for every i below `count`, up to max_looks of them at a time. What one throws is
/// thrown once all others have ended.
template <class Work>
tls::Awaitable<> for_each_at_once(std::size_t count, Work work) {
    struct Shared {
        std::size_t next = 0;
        std::size_t running = 0;
        std::exception_ptr failure{};
    } shared;
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer over(executor, Clock::time_point::max());
    const auto take_turns = [&]() -> tls::Awaitable<> {
        while (shared.next < count && !shared.failure) {
            const std::size_t mine = shared.next++;
            co_await work(mine);
        }
    };
    while (shared.running < std::min(count, max_looks)) {
        ++shared.running;
        asio::co_spawn(executor, take_turns, [&](const std::exception_ptr& failure) {
            if (failure) shared.failure = failure;
            if (--shared.running == 0) over.cancel();
        });
    }
    while (shared.running > 0) co_await over.async_wait(tls::returning());
    if (shared.failure) std::rethrow_exception(shared.failure);
}

std::string alpn_of(const SSL* ssl) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

tls::Awaitable<WithoutSni> look_without_sni(Connector& connector, const OneAddress& place,
                                            const tls::CertificateFacts& leaf) {
    const Connected connected = co_await connector.connect_address(place.upstream->looking_without_sni(),
                                                                   place.endpoint, place.host, Encryption::tls);
    if (const auto* failure = std::get_if<UpstreamFailure>(&connected)) co_return WithoutSni{.error = failure->error};
    const auto& made = std::get<VerifiedConnection>(connected);
    WithoutSni seen{.leaf = made.reached.tls.leaf};
    if (seen.leaf) {
        seen.same = seen.leaf->sha256 == leaf.sha256;
    } else {
        seen.error = "the server does not speak TLS any more";
    }
    co_await leave(*made.stream);
    co_return seen;
}

tls::Awaitable<AddressResult> look_at(Resolver& resolver, const OneAddress& place) {
    const Judges& upstream = *place.upstream;
    const config::Upstream& settings = upstream.settings();
    AddressResult result = result_for(settings, place.host, to_string(place.endpoint));
    const bool tls = upstream.encrypts();
    result.candidate = candidate_not_judged(settings, tls ? "there was no TLS connection" : "sslmode=disable");
    Outages outages;
    Connector connector(resolver, outages);
    const Encryption encryption = tls ? Encryption::tls : Encryption::clear;
    const Connected connected =
        co_await connector.connect_address(upstream.looking(), place.endpoint, place.host, encryption);
    if (const auto* failure = std::get_if<UpstreamFailure>(&connected)) {
        result.error = failure->error;
        result.advice = failure->advice;
        co_return result;
    }
    const auto& made = std::get<VerifiedConnection>(connected);
    SSL* const ssl = made.stream->ssl();
    if (ssl == nullptr) {
        result.holds = true;  // or Connector had not taken it
        co_await leave(*made.stream);
        co_return result;
    }
    result.encrypted = true;
    result.version = made.reached.tls.version;
    result.cipher = made.reached.tls.cipher;
    result.group = made.reached.tls.group;
    result.alpn = alpn_of(ssl);
    const char* const sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    result.sni = sni ? sni : "";
    result.leaf = made.reached.tls.leaf;
    upstream.judge(ssl, result);
    LastWord word = co_await leave_listening(*made.stream);
    if (!word.refusal.empty()) {
        result.holds = false;
        result.error = std::move(word.refusal);
        result.advice = std::move(word.advice);
    }
    result.doubt = std::move(word.doubt);
    made.stream->close();
    if (!result.sni.empty() && result.leaf) {
        WithoutSni seen = co_await look_without_sni(connector, place, *result.leaf);
        result.without_sni = std::move(seen);
    }
    co_return result;
}

tls::Awaitable<> resolve(Resolver& resolver, Host& host) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto waiting = std::make_shared<tls::Timer>(executor);
    const auto deadline = Clock::now() + host.upstream->settings().connect_timeout;
    host.resolved = co_await resolver.resolve(*host.address, deadline, waiting);
}

}  // namespace

tls::Awaitable<std::vector<AddressResult>> look_at_all(Resolver& resolver, const std::vector<Judges>& upstreams,
                                                       const Progress& progress) {
    std::vector<Host> hosts;
    for (const Judges& upstream : upstreams) {
        for (const config::Address& address : upstream.settings().hosts) hosts.push_back({&upstream, &address});
    }
    const auto resolve_one = [&](std::size_t i) { return resolve(resolver, hosts[i]); };
    co_await for_each_at_once(hosts.size(), resolve_one);

    std::vector<AddressResult> results;
    std::vector<OneAddress> places;
    std::vector<std::size_t> result_of;  // by place
    for (const Host& host : hosts) {
        const config::Upstream& settings = host.upstream->settings();
        for (const Endpoint& endpoint : host.resolved.endpoints) {
            result_of.push_back(results.size());
            places.push_back({host.upstream, host.address->host, endpoint});
            results.push_back(result_for(settings, host.address->host, to_string(endpoint)));
        }
        if (!host.resolved.endpoints.empty()) continue;
        results.push_back(result_for(settings, host.address->host, {}));
        results.back().error = host.resolved.error;
        results.back().candidate = candidate_not_judged(settings, "there is no address");
    }
    std::size_t done = results.size() - places.size();
    const auto look_at_one = [&](std::size_t i) -> tls::Awaitable<> {
        AddressResult seen = co_await look_at(resolver, places[i]);
        results[result_of[i]] = std::move(seen);
        progress(++done, results.size());
    };
    co_await for_each_at_once(places.size(), look_at_one);
    co_return results;
}

}  // namespace proxy::command
