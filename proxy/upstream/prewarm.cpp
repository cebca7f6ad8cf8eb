#include "proxy/upstream/prewarm.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>

#include "proxy/upstream/jitter.hpp"
#include "proxy/upstream/lasting.hpp"
#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Pause after a failed attempt, on average. It grows: the connections that a struggling server
/// still takes are for clients.
constexpr auto first_pause = 1s;
constexpr auto longest_pause = 30s;
/// For all addresses of an upstream; each has its connect_timeout.
constexpr auto attempt_time = 60s;
/// What a server has to answer a StartupMessage: what is lost by giving up too early is a
/// connection that is ready, since nothing has been answered.
constexpr auto answer_time = 1s;
/// A host that has died is noticed within seconds, before its connections are given to clients.
constexpr SocketOptions while_idle{.keepalive = 3s, .user_timeout = 6s};

}  // namespace

/// One upstream's.
struct Prewarm::Pool {
    struct Ready {
        VerifiedConnection connection;
        Clock::time_point made;
    };

    Pool(tls::Executor executor, const Prewarm& of, std::shared_ptr<const UpstreamRoute> u, PrewarmMeter& m)
        : resolver(of.resolver_),
          outages(of.outages_),
          roles(of.roles_),
          upstream(std::move(u)),
          meter(m),
          changed(executor) {
        meter.wanted = upstream->settings.prewarm;
    }

    /// Once stopped, the meter may be another pool's, or gone.
    void tell() const {
        if (!stopped) meter.ready = static_cast<unsigned>(ready.size());
    }

    const config::Upstream& settings() const { return upstream->settings; }

    /// The server may have gone, or have said something: then it is of no use. True: to one that
    /// had just been made.
    bool drop_unusable() {
        const auto now = Clock::now();
        bool at_once = false;
        std::erase_if(ready, [&](const Ready& one) {
            const bool old = now - one.made >= settings().prewarm_max_age;
            const bool left = !old && !one.connection.stream->is_quiet();
            at_once = at_once || (left && now - one.made < first_pause);
            return old || left || is_unwanted(one);
        });
        tell();
        return at_once;
    }

    /// It leads to another kind of server than clients want.
    bool is_unwanted(const Ready& one) const {
        const TargetSessionAttrs wanted = settings().target_session_attrs;
        if (wanted == TargetSessionAttrs::any) return false;
        const HostRoles::Known known = roles.of(settings().name, one.connection.reached.address);
        return likely_fit(wanted, known.role, std::nullopt) == Fit::no;
    }

    /// nullopt: done; otherwise the error. Even without memory the pool goes on trying.
    tls::Awaitable<std::optional<std::string>> add_one() {
        try {
            const auto deadline = Clock::now() + attempt_time;
            Connector connector(resolver, outages);
            connector.set_roles(roles, std::nullopt);
            connecting = &connector;
            Attempts attempts({.sslmode = settings().sslmode,
                               .hosts = connector.take_hosts(*upstream),
                               .wanted = settings().target_session_attrs,
                               .deadline = deadline});
            Connected connected = co_await connector.connect(attempts, *upstream, deadline);
            connecting = nullptr;
            if (const auto* failure = std::get_if<UpstreamFailure>(&connected)) co_return failure->error;
            auto& made = std::get<VerifiedConnection>(connected);
            set_options(made.stream->socket().native_handle(), while_idle);
            if (!stopped) ready.push_back({.connection = std::move(made), .made = Clock::now()});
            tell();
            co_return std::nullopt;
        } catch (const std::exception& error) {
            connecting = nullptr;
            co_return error.what();
        }
    }

    /// `changed` is also cancelled by take(); that must not cut the pause short.
    tls::Awaitable<> rest(std::chrono::seconds pause) {
        const auto end = Clock::now() + jittered(pause);
        while (!stopped && !roles_changed && Clock::now() < end) {
            changed.expires_at(end);
            co_await changed.async_wait(tls::returning());
        }
    }

    void stop() {
        ready.clear();
        tell();
        meter.wanted = 0;
        stopped = true;
        changed.cancel();
        if (connecting) connecting->abort("not wanted any more");
    }

    void failed(const std::string& why) {
        if (!std::exchange(failing, true))
            spdlog::warn("upstream \"{}\": no connection can be kept ready: {}", settings().name, why);
    }

    void succeeded() {
        if (std::exchange(failing, false))
            spdlog::info("upstream \"{}\": connections are kept ready again", settings().name);
    }

    Resolver& resolver;
    Outages& outages;
    HostRoles& roles;
    const std::shared_ptr<const UpstreamRoute> upstream;
    PrewarmMeter& meter;
    tls::Timer changed;               // cancelled when there is something to do
    std::deque<Ready> ready;          // the oldest first
    Connector* connecting = nullptr;  // while one is made
    bool stopped = false;
    bool roles_changed = false;  // since the last attempt began
    bool failing = false;
};

Prewarm::Prewarm(tls::Executor executor, Resolver& resolver, Outages& outages, HostRoles& roles)
    : executor_(std::move(executor)),
      resolver_(resolver),
      outages_(outages),
      roles_(roles),
      self_(std::make_shared<Prewarm*>(this)),
      role_changes_(roles.subscribe([executor = executor_, self = std::weak_ptr(self_)](const auto& change) {
          asio::post(executor, [self, change] {
              if (const auto here = self.lock()) (*here)->role_changed(change);
          });
      })) {}

Prewarm::~Prewarm() { serve({}); }

/// Those to a server that is another kind now are closed at once, and others are made.
void Prewarm::role_changed(const HostRoles::Change& change) {
    for (const auto& [route, pool] : pools_) {
        if (pool->settings().name != change.server.upstream) continue;
        pool->drop_unusable();
        pool->roles_changed = true;
        pool->changed.cancel();
    }
}

void Prewarm::serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams) {
    std::erase_if(pools_, [&](const auto& one) {
        const bool stays = std::find(upstreams.begin(), upstreams.end(), one.second->upstream) != upstreams.end();
        if (!stays) one.second->stop();
        return !stays;
    });
    for (const auto& upstream : upstreams) {
        if (upstream->settings.prewarm == 0 || pools_.contains(upstream.get())) continue;
        auto pool = std::make_shared<Pool>(executor_, *this, upstream, meters_.of(upstream->settings.name));
        spawn_lasting(executor_, [pool] { return keep_filled(pool); });
        pools_.emplace(upstream.get(), std::move(pool));
    }
}

std::optional<VerifiedConnection> Prewarm::take(const UpstreamRoute& upstream,
                                                const std::function<bool(const Reached&)>& may_take) {
    const auto found = pools_.find(&upstream);
    if (found == pools_.end()) return std::nullopt;
    Pool& pool = *found->second;
    pool.drop_unusable();
    pool.changed.cancel();
    if (pool.ready.empty() || !may_take(pool.ready.front().connection.reached)) return std::nullopt;
    VerifiedConnection connection = std::move(pool.ready.front().connection);
    pool.ready.pop_front();
    pool.tell();
    Reached& reached = connection.reached;
    reached.prewarmed = true;
    reached.resolve = reached.connect = reached.tls_time = 0us;
    // A server that wants no password answers when the session is made, not before.
    const bool by_certificate{upstream.settings.sslcert};
    reached.answer_by = Clock::now() + (by_certificate ? upstream.settings.connect_timeout : answer_time);
    set_options(connection.stream->socket().native_handle(), socket_options(upstream.settings));
    return connection;
}

void Prewarm::distrust(const UpstreamRoute& upstream, const std::string& address) {
    const auto found = pools_.find(&upstream);
    if (found == pools_.end()) return;
    std::erase_if(found->second->ready,
                  [&](const Pool::Ready& one) { return one.connection.reached.address == address; });
    found->second->tell();
    found->second->changed.cancel();
}

tls::Awaitable<> Prewarm::keep_filled(std::shared_ptr<Pool> pool) {
    std::chrono::seconds pause = first_pause;
    while (!pool->stopped) {
        // Without a rest, a server that closes what it has just accepted would be connected to
        // without end.
        if (pool->drop_unusable()) {
            pool->failed("the server closes connections before anything is asked of it");
            co_await pool->rest(first_pause);
            continue;
        }
        const bool full = pool->ready.size() >= pool->settings().prewarm;
        if (full) {
            pool->succeeded();
            pause = first_pause;
            pool->changed.expires_at(pool->ready.front().made + pool->settings().prewarm_max_age);
            co_await pool->changed.async_wait(tls::returning());
            continue;
        }
        pool->roles_changed = false;
        const std::optional<std::string> error = co_await pool->add_one();
        if (!error || pool->stopped) continue;
        pool->failed(*error);
        co_await pool->rest(pause);
        pause = std::min<std::chrono::seconds>(pause * 2, longest_pause);
    }
}

}  // namespace proxy
