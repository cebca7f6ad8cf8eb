#include "proxy/upstream/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace proxy {
namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;

/// A name server that does not answer holds a thread for seconds; others must get through
/// meanwhile.
constexpr std::size_t resolver_threads = 4;

Resolved look_up(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    Resolved resolved;
    if (error != 0) {
        resolved.error = "could not translate host name \"" + host +
                         "\" to address: " + (error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error));
        return resolved;
    }
    for (const addrinfo* info = found; info; info = info->ai_next) {
        resolved.endpoints.emplace_back(info->ai_addr, info->ai_addrlen, IPPROTO_TCP);
    }
    freeaddrinfo(found);
    return resolved;
}

}  // namespace

Resolver::Resolver() : lookups_(resolver_threads) {}

tls::Awaitable<Resolved> Resolver::resolve(const config::Address& address,
                                           std::chrono::steady_clock::time_point deadline,
                                           std::shared_ptr<tls::Timer> waiting) {
    if (address.kind == config::Address::Kind::unix_socket) {
        co_return Resolved{{Endpoint(asio::local::stream_protocol::endpoint(address.host))}, {}};
    }
    boost::system::error_code not_literal;
    const auto literal = asio::ip::make_address(address.host, not_literal);
    if (!not_literal) co_return Resolved{{Endpoint(asio::ip::tcp::endpoint(literal, address.port))}, {}};

    auto work = [host = address.host, port = address.port] { return look_up(host, port); };
    std::optional<Resolved> resolved = co_await lookups_.run(std::move(work), deadline, std::move(waiting));
    if (!resolved)
        co_return Resolved{{}, "could not translate host name \"" + address.host + "\" to address: timeout expired"};
    co_return std::move(*resolved);
}

std::string to_string(const Endpoint& endpoint) {
    char host[NI_MAXHOST] = "";
    char port[NI_MAXSERV] = "";
    if (endpoint.data()->sa_family == AF_UNIX) {
        return std::string("unix:") + reinterpret_cast<const sockaddr_un*>(endpoint.data())->sun_path;
    }
    getnameinfo(endpoint.data(), static_cast<socklen_t>(endpoint.size()), host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    return (endpoint.data()->sa_family == AF_INET6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

}  // namespace proxy
