#include "proxy/upstream/host_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <list>
#include <set>
#include <utility>

#include "proxy/observation/often.hpp"
#include "proxy/upstream/jitter.hpp"
#include "proxy/upstream/leaving.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy {
namespace {

/// A server that is asked for TLS says whether it lives, and PostgreSQL logs nothing when its
/// client leaves after the handshake. So those that are logged in to in clear are asked as well,
/// and their certificate is not looked at. No file is read for this.
std::shared_ptr<const UpstreamRoute> to_be_asked(const std::shared_ptr<const UpstreamRoute>& route) {
    if (encryption_order(route->settings.sslmode).front() == Encryption::tls) return route;
    auto asked = std::make_shared<UpstreamRoute>();
    asked->settings = route->settings;
    asked->settings.sslmode = protocol::SslMode::prefer;
    asked->settings.sslrootcert.clear();
    asked->settings.sslrootcert_candidate.clear();
    asked->settings.sslcrl = {};
    asked->settings.sslcert = asked->settings.sslkey = {};
    std::vector<config::Diagnostic> ignored;
    asked->tls = std::make_unique<const tls::UpstreamContext>(asked->settings, ignored, ignored);
    return asked;
}

}  // namespace

/// At one host.
struct HostWatch::Look {
    std::shared_ptr<const UpstreamRoute> route;
    config::Address host;
    std::vector<std::string> failed;  // keys: of its addresses, and perhaps its own
    std::shared_ptr<tls::Timer> waiting;
    std::list<Connector> connectors{};
    bool stopped = false;

    bool has_failed(const std::string& key) const {
        return std::find(failed.begin(), failed.end(), key) != failed.end();
    }
    void stop() {
        stopped = true;
        waiting->cancel();
        for (Connector& connector : connectors) connector.abort("not wanted any more");
    }
};

/// One of max_connections.
class HostWatch::Place {
   public:
    explicit Place(std::shared_ptr<std::size_t> taken) : taken_(std::move(taken)) { ++*taken_; }
    Place(Place&& other) noexcept = default;
    ~Place() {
        if (taken_) --*taken_;
    }

   private:
    std::shared_ptr<std::size_t> taken_;
};

HostWatch::HostWatch(tls::Executor executor, Resolver& resolver, Outages& outages)
    : executor_(std::move(executor)), resolver_(resolver), outages_(outages), pause_(executor_) {}

HostWatch::~HostWatch() { serve({}); }

void HostWatch::serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams) {
    const auto before = std::exchange(upstreams_, {});
    const auto stays = [&](const std::string& name, const std::shared_ptr<const UpstreamRoute>& route) {
        const auto known = before.find(name);
        return known != before.end() && known->second.route == route;
    };
    for (const auto& route : upstreams) {
        const std::string& name = route->settings.name;
        upstreams_[name] = stays(name, route) ? before.at(name) : Upstream{.route = route, .asked = nullptr};
    }
    std::erase_if(looked_, [&](const auto& one) {
        const std::string& name = one.first.first;
        if (upstreams_.contains(name) && stays(name, upstreams_.at(name).route)) return false;
        if (const auto look = one.second.look.lock()) look->stop();
        return true;
    });
}

tls::Awaitable<> HostWatch::run() {
    for (;;) {
        pause_.expires_after(jittered(interval));
        co_await pause_.async_wait(tls::returning());
        begin_looks();
    }
}

/// At every host that is not being looked at, those first that have waited for longest.
void HostWatch::begin_looks() {
    if (upstreams_.empty()) return;
    std::map<Key, std::vector<std::string>> hosts;
    for (Outages::Outage& outage : outages_.to_look_at()) {
        const Key key{outage.upstream, outage.host};
        if (host_of(key)) {
            hosts[key].push_back(std::move(outage.key));
        } else {
            outages_.forget(outage.key);
        }
    }
    std::erase_if(looked_, [&](const auto& one) { return one.second.look.expired() && !hosts.contains(one.first); });
    std::vector<Key> due;
    for (const auto& [key, failed] : hosts) {
        if (looked_[key].look.expired()) due.push_back(key);
    }
    std::stable_sort(due.begin(), due.end(),
                     [&](const Key& a, const Key& b) { return looked_[a].began < looked_[b].began; });
    std::size_t begun = 0;
    for (const Key& key : due) {
        if (*taken_ + begun >= max_connections) break;
        ++begun;
        begin_look(key, std::move(hosts[key]));
    }
}

void HostWatch::begin_look(const Key& key, std::vector<std::string> failed) {
    const auto begun = std::make_shared<Look>(Look{.route = route_of(key.first),
                                                   .host = *host_of(key),
                                                   .failed = std::move(failed),
                                                   .waiting = std::make_shared<tls::Timer>(executor_)});
    looked_[key] = {.look = begun, .began = Clock::now()};
    spawn(look(begun));
}

/// nullopt: it is neither configured nor found any more.
std::optional<config::Address> HostWatch::host_of(const Key& key) const {
    const auto upstream = upstreams_.find(key.first);
    if (upstream == upstreams_.end()) return std::nullopt;
    const auto hosts = upstream->second.route->hosts();
    const auto host = std::find_if(hosts.begin(), hosts.end(),
                                   [&](const config::Address& one) { return config::to_string(one) == key.second; });
    return host == hosts.end() ? std::nullopt : std::optional(*host);
}

std::shared_ptr<const UpstreamRoute> HostWatch::route_of(const std::string& upstream) {
    Upstream& known = upstreams_.at(upstream);
    if (!known.asked) known.asked = to_be_asked(known.route);
    return known.asked;
}

void HostWatch::spawn(tls::Awaitable<> coroutine) {
    asio::co_spawn(executor_, std::move(coroutine), [](const std::exception_ptr& failure) {
        if (!failure) return;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            spdlog::log(often("host watch", {}), spdlog::level::err, "a host could not be looked at: {}", error.what());
        }
    });
}

/// Finds out what its addresses are now, and visits those that failed; all of them, when the host
/// did.
tls::Awaitable<> HostWatch::look(std::shared_ptr<Look> look) {
    const auto deadline = Clock::now() + look->route->settings.connect_timeout;
    const Resolved found = co_await resolver_.resolve(look->host, deadline, look->waiting);
    if (look->stopped || found.endpoints.empty()) co_return;
    const bool all = look->has_failed(config::to_string(look->host));
    std::set<std::string> addresses{config::to_string(look->host)};
    for (const auto& endpoint : found.endpoints) {
        const std::string address = to_string(endpoint);
        const bool wanted = addresses.insert(address).second || address == config::to_string(look->host);
        if (!wanted || !(all || look->has_failed(address)) || *taken_ >= max_connections) continue;
        spawn(visit(look, endpoint, Place(taken_)));
    }
    if (found.stale) co_return;
    for (const std::string& key : look->failed) {
        if (!addresses.contains(key)) outages_.forget(key);  // the name has moved on
    }
}

tls::Awaitable<> HostWatch::visit(std::shared_ptr<Look> look, Endpoint endpoint, Place) {
    Connector& connector = look->connectors.emplace_back(resolver_, outages_);
    const auto began = Clock::now();
    Connected connected = co_await connector.connect_address(*look->route, endpoint, look->host.host, Encryption::tls);
    auto* const made = std::get_if<VerifiedConnection>(&connected);
    const auto* const failure = std::get_if<UpstreamFailure>(&connected);
    // One that answers and is not accepted is no outage: a login hears why.
    const bool answers = made || failure->reason != Reason::server_not_reached;
    if (look->stopped || !answers) co_return;
    const auto took = made ? made->reached.connect : std::chrono::ceil<std::chrono::microseconds>(Clock::now() - began);
    outages_.answered(to_string(endpoint), took);
    outages_.answered(config::to_string(look->host), took);
    if (made) co_await leave(*made->stream);
}

}  // namespace proxy
