// Server connections that are ready before a client asks for one: TCP, the server's fork and the
// TLS handshake are over when the StartupMessage comes (`prewarm` of an upstream, for each thread).
// Each serves one client, and none is kept as long as PostgreSQL's authentication_timeout, nor to a
// server that has become another kind than target_session_attrs wants.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/metrics/meters.hpp"
#include "proxy/metrics/named_slots.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/resolver.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy {

/// Those of one thread; all calls on that thread.
class Prewarm {
   public:
    Prewarm(tls::Executor executor, Resolver& resolver, Outages& outages, HostRoles& roles);
    ~Prewarm();

    /// From now on for these upstreams only. Connections of a route that is not among them are
    /// closed, as their trust anchors may be others; those of one that stays, stay.
    void serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams);
    /// A connection as of Connector::connect that cost no time; nullopt: none is ready, or the next
    /// one is not to be taken. The server may close it at any moment all the same.
    std::optional<VerifiedConnection> take(const UpstreamRoute& upstream,
                                           const std::function<bool(const Reached&)>& may_take);
    /// One to this address did not answer: those that are left to it would not either.
    void distrust(const UpstreamRoute& upstream, const std::string& address);
    /// From any thread: how many there are, by upstream.
    const NamedSlots<PrewarmMeter>& meters() const noexcept { return meters_; }

   private:
    struct Pool;
    void role_changed(const HostRoles::Change& change);
    static tls::Awaitable<> keep_filled(std::shared_ptr<Pool> pool);

    tls::Executor executor_;
    Resolver& resolver_;
    Outages& outages_;
    HostRoles& roles_;
    NamedSlots<PrewarmMeter> meters_;  // outlives the pools that count, whose coroutines end with the executor
    std::map<const UpstreamRoute*, std::shared_ptr<Pool>> pools_;
    std::shared_ptr<Prewarm*> self_;  // of what other threads have posted
    HostRoles::Subscription role_changes_;
};

}  // namespace proxy
