#include "proxy/server/port_holder.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "support/catch.hpp"
#include "tls/owned_descriptor.hpp"

namespace {

/// A socket that listens on a port of its own.
struct Listening {
    tls::OwnedDescriptor fd;
    std::uint16_t port = 0;
};

/// `only_ipv6`: of an address of IPv6: not for IPv4 as well.
Listening listen_on(const std::string& host, bool only_ipv6 = false) {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_in);
    auto* const ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* const ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
    storage.ss_family = AF_INET;
    if (::inet_pton(AF_INET, host.c_str(), &ipv4->sin_addr) != 1) {
        storage.ss_family = AF_INET6;
        size = sizeof(sockaddr_in6);
        REQUIRE(::inet_pton(AF_INET6, host.c_str(), &ipv6->sin6_addr) == 1);
    }
    Listening made{.fd = tls::OwnedDescriptor(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    const int only = only_ipv6 ? 1 : 0;
    if (storage.ss_family == AF_INET6) ::setsockopt(made.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    REQUIRE(::bind(made.fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0);
    REQUIRE(::listen(made.fd.get(), 1) == 0);
    REQUIRE(::getsockname(made.fd.get(), reinterpret_cast<sockaddr*>(&storage), &size) == 0);
    made.port = ntohs(storage.ss_family == AF_INET ? ipv4->sin_port : ipv6->sin6_port);
    return made;
}

/// Some containers have none.
bool has_ipv6() {
    const tls::OwnedDescriptor fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 loopback{};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr = in6addr_loopback;
    const bool has = fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&loopback), sizeof loopback) == 0;
    if (!has) WARN("no IPv6 here: not tried");
    return has;
}

/// Whether it is said of `wanted` that this process, which listens on `held`, has it.
bool is_ours(const std::string& held, const std::string& wanted, bool only_ipv6 = false) {
    const Listening listening = listen_on(held, only_ipv6);
    config::Address address{};
    address.host = wanted;
    address.port = listening.port;
    const auto holders = proxy::holders_of(address);
    if (holders.size() != 1) return false;
    const auto& holder = holders.front();
    return holder.pid == ::getpid() && !holder.name.empty() && !holder.is_service_manager();
}

}  // namespace

TEST_CASE("port holder: whoever listens on the same address has it, or on all of its family", "[check]") {
    CHECK(is_ours("127.0.0.1", "127.0.0.1"));
    CHECK(is_ours("0.0.0.0", "127.0.0.1"));
    CHECK_FALSE(is_ours("127.0.0.1", "127.0.0.2"));
    if (!has_ipv6()) return;
    CHECK(is_ours("::1", "::1"));
    CHECK(is_ours("::", "::1"));
}

TEST_CASE("port holder: a socket of IPv6 may have an address of IPv4", "[check]") {
    if (!has_ipv6()) return;
    CHECK(is_ours("::", "127.0.0.1"));
    CHECK(is_ours("::", "0.0.0.0"));
    CHECK(is_ours("::ffff:127.0.0.1", "127.0.0.1"));
    CHECK(is_ours("::ffff:0.0.0.0", "127.0.0.1"));
    CHECK(is_ours("::ffff:127.0.0.1", "0.0.0.0"));
    CHECK_FALSE(is_ours("::ffff:127.0.0.1", "127.0.0.2"));
}

TEST_CASE("port holder: all addresses are not to be had where anybody has one", "[check]") {
    CHECK(is_ours("127.0.0.1", "0.0.0.0"));
    if (has_ipv6()) CHECK(is_ours("::1", "::", true));
}

TEST_CASE("port holder: what does not exclude the other is not in its way", "[check]") {
    CHECK_FALSE(is_ours("127.0.0.1", "::"));  // ours at [::] is of IPv6 alone
    if (!has_ipv6()) return;
    CHECK_FALSE(is_ours("::ffff:127.0.0.1", "::"));
    CHECK_FALSE(is_ours("::1", "0.0.0.0", true));
    CHECK_FALSE(is_ours("::1", "127.0.0.1", true));
}

TEST_CASE("port holder: processes that have one socket together are all told", "[check]") {
    const Listening listening = listen_on("127.0.0.1", false);
    int down[2];
    REQUIRE(::pipe(down) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(down[1]);
        char end = 0;
        ::_exit(::read(down[0], &end, 1) == 0 ? 0 : 1);
    }
    config::Address address{};
    address.host = "127.0.0.1";
    address.port = listening.port;
    std::set<pid_t> found;
    for (const auto& holder : proxy::holders_of(address)) found.insert(holder.pid);
    ::close(down[1]);
    ::close(down[0]);
    ::waitpid(child, nullptr, 0);
    CHECK(found == std::set<pid_t>{::getpid(), child});
}
