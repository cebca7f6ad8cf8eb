#include "proxy/route/listen_names.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "config/parse.hpp"

namespace proxy {
namespace {

using config::Address;

/// Whether it can be bound at all. /etc/hosts gives localhost an IPv6 address also where the kernel
/// has none.
bool is_here(const addrinfo& found) {
    const int fd = ::socket(found.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    sockaddr_storage any_port{};
    std::copy_n(reinterpret_cast<const char*>(found.ai_addr), found.ai_addrlen, reinterpret_cast<char*>(&any_port));
    // The port is at the same place for both families.
    reinterpret_cast<sockaddr_in&>(any_port).sin_port = 0;
    const int on = 1;
    if (found.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&any_port), found.ai_addrlen) == 0;
    ::close(fd);
    return bound;
}

/// Empty: it stands for nothing, and an error says so.
std::vector<Address> addresses_of(const Address& name, std::vector<config::Diagnostic>& errors) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* first = nullptr;
    const char* host = name.host == "*" ? nullptr : name.host.c_str();
    if (const int error = ::getaddrinfo(host, std::to_string(name.port).c_str(), &hints, &first)) {
        errors.push_back({.origin = name.origin,
                          .message = "cannot listen on " + to_string(name) + ": " + ::gai_strerror(error),
                          .may_pass = true});
        return {};
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard(first, ::freeaddrinfo);
    std::vector<Address> all, here;
    for (const addrinfo* found = first; found; found = found->ai_next) {
        char text[NI_MAXHOST] = "";
        if (::getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
            continue;
        Address address{.kind = Address::Kind::tcp, .host = text, .port = name.port, .origin = name.origin};
        const bool is_known =
            std::any_of(all.begin(), all.end(), [&](const Address& a) { return a.host == address.host; });
        if (is_known) continue;
        if (is_here(*found)) here.push_back(address);
        all.push_back(std::move(address));
    }
    return here.empty() ? all : here;  // binding them says what is wrong
}

}  // namespace

std::vector<Address> resolve_listen(const std::vector<Address>& listen, std::vector<config::Diagnostic>& errors) {
    std::vector<Address> resolved;
    for (const Address& address : listen) {
        const bool is_name = address.kind == Address::Kind::tcp && !config::is_ip_address(address.host);
        for (Address& one : is_name ? addresses_of(address, errors) : std::vector{address}) {
            const bool is_twice = is_name && std::any_of(resolved.begin(), resolved.end(), [&](const Address& other) {
                                      return to_string(other) == to_string(one) && one.port != 0;
                                  });
            if (!is_twice) resolved.push_back(std::move(one));
        }
    }
    return resolved;
}

}  // namespace proxy
