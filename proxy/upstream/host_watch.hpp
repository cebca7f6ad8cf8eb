// Looks in the background whether hosts and addresses that could not be connected to answer again
// (Outages), so that no login has to wait to find out. It connects as a client would, up to the end
// of the TLS handshake, and leaves as one that has changed its mind: nobody logs in, and PostgreSQL
// logs no error.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/outages.hpp"
#include "proxy/upstream/resolver.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// All on one thread, which waits for nothing here.
class HostWatch {
   public:
    using Clock = std::chrono::steady_clock;

    /// Between two looks at one host, on average. The actual time is up to a quarter more or less,
    /// so that many proxies do not come at once.
    static constexpr std::chrono::milliseconds interval{2'000};
    /// Connections under way, to all hosts together.
    static constexpr std::size_t max_connections = 64;

    HostWatch(tls::Executor executor, Resolver& resolver, Outages& outages);
    ~HostWatch();

    /// From now on hosts of these upstreams only, and of none when there are none. What is under
    /// way for a route that is not among them is given up.
    void serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams);
    /// As long as the io_context runs.
    tls::Awaitable<> run();

   private:
    using Key = std::pair<std::string, std::string>;  // upstream, host
    using Endpoint = asio::generic::stream_protocol::endpoint;
    struct Look;
    class Place;
    struct Looked {
        std::weak_ptr<Look> look;  // expired: it is over
        Clock::time_point began{};
    };
    struct Upstream {
        std::shared_ptr<const UpstreamRoute> route;
        std::shared_ptr<const UpstreamRoute> asked;  // the same, or what stands for it; nullptr: not made yet
    };

    void begin_looks();
    void begin_look(const Key& key, std::vector<std::string> failed);
    std::optional<config::Address> host_of(const Key& key) const;
    std::shared_ptr<const UpstreamRoute> route_of(const std::string& upstream);
    void spawn(tls::Awaitable<> coroutine);
    tls::Awaitable<> look(std::shared_ptr<Look> look);
    tls::Awaitable<> visit(std::shared_ptr<Look> look, Endpoint endpoint, Place place);

    tls::Executor executor_;
    Resolver& resolver_;
    Outages& outages_;
    std::map<std::string, Upstream> upstreams_;
    std::map<Key, Looked> looked_;
    std::shared_ptr<std::size_t> taken_ = std::make_shared<std::size_t>(0);  // of max_connections
    tls::Timer pause_;
};

}  // namespace proxy
