// Names to addresses, anew for every connection: Aurora's endpoints move within seconds, so nothing
// is remembered beyond the call.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/upstream/offload.hpp"
#include "tls/asio.hpp"

namespace proxy {

struct Resolved {
    std::vector<asio::generic::stream_protocol::endpoint> endpoints;  ///< in the order of getaddrinfo
    std::string error;                                                ///< set when there are none
};

/// getaddrinfo blocks, so it runs on a few threads of its own; an IP literal or a UNIX-domain path
/// takes no thread.
class Resolver {
   public:
    Resolver();
    /// As Offload's.
    void close() { lookups_.close(); }

    /// Ends at the deadline, or when `waiting` is cancelled.
    tls::Awaitable<Resolved> resolve(const config::Address& address, std::chrono::steady_clock::time_point deadline,
                                     std::shared_ptr<tls::Timer> waiting);

   private:
    Offload lookups_;
};

/// "10.0.0.1:5432", "[::1]:5432", "unix:/path".
std::string to_string(const asio::generic::stream_protocol::endpoint& endpoint);

}  // namespace proxy
