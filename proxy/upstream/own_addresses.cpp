#include "proxy/upstream/own_addresses.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "proxy/upstream/resolver.hpp"
#include "tls/owned_descriptor.hpp"

namespace proxy {
namespace {

/// A socket can be bound to it. Where that cannot be tried it is taken for one.
bool is_of_this_machine(const asio::generic::stream_protocol::endpoint& endpoint) {
    sockaddr_storage address{};
    std::memcpy(&address, endpoint.data(), endpoint.size());
    const bool is_v6 = address.ss_family == AF_INET6;
    (is_v6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port : reinterpret_cast<sockaddr_in&>(address).sin_port) = 0;
    const tls::OwnedDescriptor socket(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return true;
    return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(endpoint.size())) ==
           0;
}

}  // namespace

bool OwnAddresses::contains(const asio::generic::stream_protocol::endpoint& endpoint) const {
    const std::string text = to_string(endpoint);
    if (listening_.contains(text)) return true;
    const int family = endpoint.protocol().family();
    if (family != AF_INET && family != AF_INET6) return false;
    const std::string port = text.substr(text.rfind(':'));
    // [::] may take IPv4 as well.
    const bool everywhere =
        listening_.contains("[::]" + port) || (family == AF_INET && listening_.contains("0.0.0.0" + port));
    return everywhere && is_of_this_machine(endpoint);
}

}  // namespace proxy
