// Who a client is. What is known depends on when it is asked, so there are several answers:
//
//   ClientOrigin    before a StartupMessage: who loses a connection by a probe, whose handshake
//                   failed
//   ClientIdentity  origin and names: a client of the inventory and of the report
//   Caller          the client that comes again to the same listener: whose fallback it is. Without
//                   the executable, which is found some milliseconds later, or not at all: two
//                   connections of one client must not look like two clients
//
// Names are cut and made UTF-8 when they enter a SessionRecord (event.hpp), and only there. Two
// that differ only beyond their 63rd byte are one name to PostgreSQL as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace proxy {

/// PostgreSQL's limit of names (NAMEDATALEN - 1), and what it cuts application_name to.
inline constexpr std::size_t max_name = 63;

struct ClientOrigin {
    std::string upstream;
    std::string client_addr;       ///< empty: a UNIX-domain socket
    std::string client_exe;        ///< empty: not of this host, or not found
    std::int64_t client_uid = -1;  ///< -1: not of this host, or not known
    /// In reports, which know many hosts: the proxy, where an address is of its host alone. Else
    /// empty.
    std::string seen_by{};
    auto operator<=>(const ClientOrigin&) const = default;
};

/// What a StartupMessage says.
struct ClientNames {
    std::string usename;
    std::string datname;
    std::string application_name;
    auto operator<=>(const ClientNames&) const = default;
};

struct ClientIdentity : ClientOrigin, ClientNames {
    auto operator<=>(const ClientIdentity&) const = default;
};

struct Caller : ClientNames {
    std::string listener;
    std::string client_addr;
    auto operator<=>(const Caller&) const = default;
};

}  // namespace proxy
