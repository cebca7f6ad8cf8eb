// Names to addresses, anew for every connection: Aurora's endpoints move within seconds, so nothing is remembered beyond the call.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/asio.hpp"

namespace proxy {

struct Resolved {
    std::vector<asio::generic::stream_protocol::endpoint> endpoints;  ///< in the order of getaddrinfo
    std::string error;                                                 ///< set when there are none
};

/// getaddrinfo blocks, so it runs on a few threads of its own; an IP literal or a UNIX-domain path takes no thread.
class Resolver {
   public:
    Resolver();
    ~Resolver();
    /// No answer is delivered any more. To be called before the threads that wait for answers end.
    void close();

    tls::Awaitable<Resolved> resolve(const config::Address& address, std::chrono::steady_clock::time_point deadline);

   private:
    /// Shared with the look-ups: one that hangs outlives the resolver.
    struct State {
        std::mutex mutex;
        int running = 0;
        bool closed = false;
    };

    std::shared_ptr<State> state_ = std::make_shared<State>();
    std::unique_ptr<asio::thread_pool> pool_;
};

/// "10.0.0.1:5432", "[::1]:5432", "unix:/path".
std::string to_string(const asio::generic::stream_protocol::endpoint& endpoint);

}  // namespace proxy
