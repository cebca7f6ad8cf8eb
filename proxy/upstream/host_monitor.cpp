#include "proxy/upstream/host_monitor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <set>

#include "config/discovery.hpp"
#include "protocol/utf8.hpp"
#include "proxy/observation/often.hpp"
#include "proxy/upstream/discovery.hpp"
#include "proxy/upstream/jitter.hpp"
#include "proxy/upstream/lasting.hpp"
#include "proxy/upstream/monitored_node.hpp"
#include "proxy/upstream/own_addresses.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::HostRole;
using Endpoint = asio::generic::stream_protocol::endpoint;

/// What sessions of ours have to say goodbye, when the process ends.
constexpr std::chrono::milliseconds closing_time{500};

/// Until then a name that leads to one server at a time has led to each.
constexpr Clock::duration time_to_turn_up = std::chrono::seconds(60);
/// Until then what a cluster tells of was found.
constexpr Clock::duration time_to_be_found = std::chrono::seconds(5);

std::string printable_failure(const protocol::OwnFailure& failure) {
    const std::string& state = failure.sqlstate;
    return protocol::printable(protocol::as_utf8(failure.text, protocol::max_peer_text)) +
           (state.empty() ? "" : " (" + protocol::printable(protocol::as_utf8(state, 5)) + ")");
}

}  // namespace

/// One upstream's, on the monitor's thread.
struct HostMonitor::Upstream {
    Upstream(std::shared_ptr<const UpstreamRoute> r, const tls::Executor& executor, Offload& derivations,
             protocol::Buffer p)
        : route(std::move(r)),
          tick(executor),
          password(std::move(p)),
          keys(std::make_shared<DerivedKeys>(derivations, password)) {
        if (!route->found) return;
        const auto names = config::discovery_domain(settings().hosts, settings().discover_pattern);
        if (names.error.empty()) discovery.emplace(names.domain, settings().hosts);
    }

    const config::Upstream& settings() const { return route->settings; }
    bool lists_sessions() const { return is_sampled && settings().sample_interval.count() > 0; }
    /// Between two questions about the role of one server.
    std::chrono::milliseconds question_interval() const {
        const auto slow = settings().monitor_interval;
        return Clock::now() < fast_until ? std::min(fast_interval, slow) : slow;
    }
    /// Between two rounds, each for what is due by then.
    std::chrono::milliseconds interval() const {
        return lists_sessions() ? std::min(settings().sample_interval, question_interval()) : question_interval();
    }

    const std::shared_ptr<const UpstreamRoute> route;
    tls::Timer tick;
    const protocol::Buffer password;
    const std::shared_ptr<DerivedKeys> keys;
    std::optional<Discovery> discovery;
    std::vector<std::string> found;  // hosts that clients get besides those that are configured
    Clock::time_point fast_until{};
    std::map<std::string, std::shared_ptr<MonitoredNode>> nodes;  // by address
    std::map<std::string, std::shared_ptr<tls::Timer>> looking;   // by host, while its name is looked up
    std::map<std::string, std::set<std::string>> told;            // addresses that refused us, by SQLSTATE
    std::set<std::string> hiding;                                 // those that do not show us others' sessions
    std::map<std::string, Clock::time_point> not_looked_at;       // instances of its clusters, and since when
    Clock::time_point next_telling{};                             // of those
    std::set<std::string> leading_to_us;                          // hosts that were found
    const Clock::time_point began = Clock::now();
    bool is_sampled = false;
    bool stopped = false;
};

/// All of it on one thread of its own, but for the two orders it is given.
class HostMonitor::Thread {
   public:
    explicit Thread(HostMonitor& monitor)
        : monitor_(monitor), keep_running_(asio::make_work_guard(io_)), ended_(over_.get_future()) {
        changes_ = monitor_.roles_.subscribe([this](const HostRoles::Change& change) { told(change); });
        thread_ = std::thread([this] { run(); });
    }

    ~Thread() {
        changes_.reset();
        asio::post(io_, [this] { serve({}); });
        keep_running_.reset();
        if (ended_.wait_for(closing_time) != std::future_status::ready) io_.stop();
        thread_.join();
    }

    void order(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams) {
        asio::post(io_, [this, upstreams = std::move(upstreams)]() mutable {
            wanted_ = std::move(upstreams);
            spawn_lasting(io_.get_executor(), [this] { return obey(); });
        });
    }

    void listening(std::set<std::string> addresses) {
        asio::post(io_, [this, own = OwnAddresses(std::move(addresses))]() mutable { own_ = std::move(own); });
    }

   private:
    void told(const HostRoles::Change& change) noexcept;
    void run();
    tls::Awaitable<> obey();
    void serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams);
    void stop(Upstream& upstream);
    void hurry(const std::string& name);
    void hurry(Upstream& upstream);
    void spawn(tls::Awaitable<> coroutine);
    tls::Awaitable<> go_round(std::shared_ptr<Upstream> upstream);
    tls::Awaitable<> look(std::shared_ptr<Upstream> upstream, config::Address host);
    std::shared_ptr<MonitoredNode> node_at(Upstream& upstream, const config::Address& host, const Endpoint& endpoint);
    tls::Awaitable<> ask(std::shared_ptr<Upstream> upstream, std::shared_ptr<MonitoredNode> node);
    tls::Awaitable<> sample(std::shared_ptr<Upstream> upstream, std::shared_ptr<MonitoredNode> node);
    void tell_not_looked_at(Upstream& upstream);
    void tell_hidden(Upstream& upstream, const MonitoredNode& node, bool hidden);
    tls::Awaitable<> leave(std::shared_ptr<MonitoredNode> node);
    void drop(Upstream& upstream, const std::string& address);
    bool drop_longest_kept();
    bool leads_to_us(Upstream& upstream, const std::string& host, const Resolved& found);
    void take(Upstream& upstream, MonitoredNode& node, const MonitoredNode::Answer& answer);
    void discover(Upstream& upstream);
    void tell_refusal(Upstream& upstream, const MonitoredNode& node, const protocol::OwnFailure& failure);

    HostMonitor& monitor_;
    asio::io_context io_{1};
    asio::executor_work_guard<tls::Executor> keep_running_;
    Offload derivations_{1};  // before whoever has keys of it
    std::vector<std::shared_ptr<const UpstreamRoute>> wanted_;
    std::map<std::string, std::shared_ptr<Upstream>> upstreams_;
    std::size_t addresses_ = 0;
    OwnAddresses own_;
    SessionSampler sampler_;
    std::promise<void> over_;
    std::future<void> ended_;
    HostRoles::Subscription changes_;
    std::thread thread_;
};

HostMonitor::HostMonitor(Resolver& resolver, Outages& outages, HostRoles& roles)
    : resolver_(resolver), outages_(outages), roles_(roles) {}

HostMonitor::~HostMonitor() = default;

void HostMonitor::serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams) {
    std::vector<std::shared_ptr<const UpstreamRoute>> wanted;
    std::copy_if(upstreams.begin(), upstreams.end(), std::back_inserter(wanted),
                 [](const auto& route) { return !route->settings.monitor_user.empty(); });
    if (!thread_ && wanted.empty()) return;
    if (!thread_) {
        thread_ = std::make_unique<Thread>(*this);
        thread_->listening(listening_);
    }
    thread_->order(std::move(wanted));
}

void HostMonitor::listening(std::set<std::string> addresses) {
    listening_ = std::move(addresses);
    if (thread_) thread_->listening(listening_);
}

void HostMonitor::close() { thread_.reset(); }

std::vector<MonitoredHost> HostMonitor::hosts() const {
    std::vector<MonitoredHost> all;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, host] : hosts_) all.push_back(host);
    return all;
}

std::optional<MonitoredHost> HostMonitor::of(const std::string& upstream, const std::string& address) const {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find({upstream, address});
    return found == hosts_.end() ? std::nullopt : std::optional(found->second);
}

void HostMonitor::note(MonitoredHost host) {
    const std::lock_guard lock(mutex_);
    hosts_.insert_or_assign({host.upstream, host.address}, std::move(host));
}

void HostMonitor::forget(const Key& key) {
    const std::lock_guard lock(mutex_);
    hosts_.erase(key);
}

// --- The thread

/// On whatever thread has learnt it, whose work is not to suffer.
void HostMonitor::Thread::told(const HostRoles::Change& change) noexcept {
    try {
        asio::post(io_, [this, name = change.server.upstream] { hurry(name); });
    } catch (const std::bad_alloc&) {
        return;  // it asks as often as it would have anyhow
    }
}

void HostMonitor::Thread::run() {
    for (;;) {
        try {
            io_.run();
            break;
        } catch (const std::exception& error) {
            spdlog::log(often("monitor", {}), spdlog::level::err, "monitor: {}", error.what());
        }
    }
    over_.set_value();
}

void HostMonitor::Thread::spawn(tls::Awaitable<> coroutine) {
    asio::co_spawn(io_, std::move(coroutine), [](const std::exception_ptr& failure) {
        if (failure) std::rethrow_exception(failure);  // to run()
    });
}

/// Again and again until it is done: nobody else would do what was ordered.
tls::Awaitable<> HostMonitor::Thread::obey() {
    serve(wanted_);
    co_return;
}

/// Where it throws, for lack of memory, it may be called again.
void HostMonitor::Thread::serve(const std::vector<std::shared_ptr<const UpstreamRoute>>& upstreams) {
    std::erase_if(upstreams_, [&](const auto& one) {
        const bool stays = std::find(upstreams.begin(), upstreams.end(), one.second->route) != upstreams.end();
        if (!stays) stop(*one.second);
        return !stays;
    });
    for (const auto& route : upstreams) {
        if (upstreams_.contains(route->settings.name)) continue;
        const protocol::Buffer& password =
            monitor_.sampling_.password.empty() ? route->monitor_password : monitor_.sampling_.password;
        const auto made = std::make_shared<Upstream>(route, io_.get_executor(), derivations_, password);
        made->is_sampled = bool(monitor_.sampling_.tell);
        upstreams_.emplace(route->settings.name, made);
        spawn_lasting(io_.get_executor(), [this, made] { return go_round(made); });
    }
}

void HostMonitor::Thread::stop(Upstream& upstream) {
    upstream.stopped = true;
    upstream.tick.cancel();
    for (const auto& [host, timer] : upstream.looking) timer->cancel();
    while (!upstream.nodes.empty()) drop(upstream, upstream.nodes.begin()->first);
}

void HostMonitor::Thread::drop(Upstream& upstream, const std::string& address) {
    const auto found = upstream.nodes.find(address);
    const std::shared_ptr<MonitoredNode> node = found->second;
    monitor_.forget({node->server.upstream, node->server.address});
    upstream.nodes.erase(found);
    --addresses_;
    sampler_.forget(node->server.upstream, node->server.address);
    spawn(leave(node));
}

tls::Awaitable<> HostMonitor::Thread::leave(std::shared_ptr<MonitoredNode> node) { co_await node->leave(); }

void HostMonitor::Thread::hurry(const std::string& name) {
    const auto found = upstreams_.find(name);
    if (found != upstreams_.end()) hurry(*found->second);
}

void HostMonitor::Thread::hurry(Upstream& upstream) {
    const bool was_slow = Clock::now() >= upstream.fast_until;
    upstream.fast_until = Clock::now() + fast_time;
    if (was_slow) upstream.tick.cancel();
}

/// Begins a look at each of its hosts, again and again, and waits for none of them.
tls::Awaitable<> HostMonitor::Thread::go_round(std::shared_ptr<Upstream> upstream) {
    while (!upstream->stopped) {
        std::vector<config::Address> hosts = upstream->settings().hosts;
        if (upstream->discovery) {
            const auto found = upstream->discovery->known();
            hosts.insert(hosts.end(), found.begin(), found.end());
        }
        for (const config::Address& host : hosts) {
            if (!upstream->looking.contains(config::to_string(host))) spawn(look(upstream, host));
        }
        upstream->tick.expires_after(jittered(upstream->interval()));
        co_await upstream->tick.async_wait(tls::returning());
    }
}

/// The one that is known or, while there is room, a new one; else nullptr.
std::shared_ptr<MonitoredNode> HostMonitor::Thread::node_at(Upstream& upstream, const config::Address& host,
                                                            const Endpoint& endpoint) {
    const std::string address = to_string(endpoint);
    const std::string name = config::to_string(host);
    const auto known = upstream.nodes.find(address);
    if (known != upstream.nodes.end()) {
        // A name that somebody has told of may be none that the server has: then it does not stand
        // in the way of another that leads there.
        const MonitoredNode& there = *known->second;
        const bool is_in_the_way = there.target.discovered && there.server.host != name && !there.last.error.empty() &&
                                   there.is_due(Clock::now());
        if (!is_in_the_way) return known->second;
        drop(upstream, address);
    }
    const bool discovered = upstream.discovery && upstream.discovery->knows(name);
    while (addresses_ >= (discovered ? max_addresses_with_found : max_addresses)) {
        if (!drop_longest_kept()) return nullptr;
    }
    const auto node = std::make_shared<MonitoredNode>(
        upstream.route, upstream.keys,
        HostRoles::Server{.upstream = upstream.settings().name, .host = name, .address = address},
        MonitoredNode::Target{.endpoint = endpoint,
                              .host = host.host,
                              .port = host.port,
                              .discovered = discovered,
                              .database = monitor_.sampling_.database,
                              .application_name = monitor_.sampling_.application_name,
                              .password = upstream.password});
    upstream.nodes.emplace(address, node);
    ++addresses_;
    return node;
}

/// Of all upstreams, the address that no name has led to for the longest. False: names lead to all.
bool HostMonitor::Thread::drop_longest_kept() {
    Upstream* upstream = nullptr;
    const MonitoredNode* longest = nullptr;
    for (const auto& [name, one] : upstreams_) {
        for (const auto& [address, node] : one->nodes) {
            if (!node->kept || (longest && longest->seen <= node->seen)) continue;
            upstream = one.get();
            longest = node.get();
        }
    }
    if (!longest) return false;
    drop(*upstream, longest->server.address);
    return true;
}

/// One that was found. Its clients would come back to us, and again.
bool HostMonitor::Thread::leads_to_us(Upstream& upstream, const std::string& host, const Resolved& found) {
    if (!upstream.discovery || !upstream.discovery->knows(host)) return false;
    const auto ours = std::find_if(found.endpoints.begin(), found.endpoints.end(),
                                   [this](const Endpoint& endpoint) { return own_.contains(endpoint); });
    if (ours == found.endpoints.end()) {
        if (!found.endpoints.empty()) upstream.leading_to_us.erase(host);
        return false;
    }
    std::vector<std::string> before;  // where it led, and nobody asks any more
    for (const auto& [address, node] : upstream.nodes) {
        if (node->server.host == host) before.push_back(address);
    }
    for (const std::string& address : before) drop(upstream, address);
    upstream.discovery->refuse(host);
    discover(upstream);
    if (upstream.leading_to_us.insert(host).second)
        spdlog::warn(
            "upstream \"{}\": the host {} is told of and leads to {}, where this process listens: it is not used",
            upstream.settings().name, host, to_string(*ours));
    return true;
}

/// Finds out what a host's addresses are now, and asks those that are not being asked.
tls::Awaitable<> HostMonitor::Thread::look(std::shared_ptr<Upstream> upstream, config::Address host) {
    const std::string name = config::to_string(host);
    const auto timer = std::make_shared<tls::Timer>(io_.get_executor());
    // However this ends, the next look may begin.
    const std::shared_ptr<void> end(nullptr, [&](void*) { upstream->looking.erase(name); });
    upstream->looking[name] = timer;
    const Resolved found =
        co_await monitor_.resolver_.resolve(host, Clock::now() + upstream->settings().connect_timeout, timer);
    if (upstream->stopped) co_return;
    if (leads_to_us(*upstream, name, found)) co_return;
    const auto now = Clock::now();
    std::set<std::string> addresses;
    // Whom to ask, before anybody is: what is spawned runs at once as far as it can, and what comes
    // of it may end nodes.
    std::vector<std::shared_ptr<MonitoredNode>> nodes;
    for (const auto& endpoint : found.endpoints) {
        addresses.insert(to_string(endpoint));
        auto node = node_at(*upstream, host, endpoint);
        if (!node) continue;
        node->seen = now;
        node->kept = false;
        nodes.push_back(std::move(node));
    }
    // Without an answer of a name server those that are known go on being asked.
    const bool may_go = !found.stale && !addresses.empty();
    if (upstream->discovery && may_go) upstream->discovery->resolved(name, addresses);
    std::vector<std::string> gone;
    for (const auto& [address, node] : upstream->nodes) {
        if (node->server.host != name || addresses.contains(address)) continue;
        if (may_go && now - node->seen >= keep_time) {
            gone.push_back(address);
            continue;
        }
        node->kept = node->kept || may_go;
        nodes.push_back(node);
    }
    for (const std::string& address : gone) drop(*upstream, address);
    for (const auto& node : nodes) {
        if (!node->has_left() && node->is_due(Clock::now())) spawn(ask(upstream, node));
    }
}

tls::Awaitable<> HostMonitor::Thread::ask(std::shared_ptr<Upstream> upstream, std::shared_ptr<MonitoredNode> node) {
    const auto now = Clock::now();
    // At the round that is next to when it should be. To list sessions takes one of ours.
    const bool is_due = now + upstream->interval() / 2 >= node->asked + upstream->question_interval();
    if (is_due || (upstream->lists_sessions() && !node->has_session())) {
        node->asked = now;
        MonitoredNode::Answer answer = co_await node->ask(monitor_.resolver_, monitor_.outages_);
        if (upstream->stopped || node->has_left()) co_return;
        take(*upstream, *node, answer);
    }
    if (!node->has_left()) co_await sample(upstream, node);
}

/// Where it is due: the server's own list of its sessions. What comes of it says nothing of the
/// server's role, unless the session ends by it.
tls::Awaitable<> HostMonitor::Thread::sample(std::shared_ptr<Upstream> upstream, std::shared_ptr<MonitoredNode> node) {
    sampler_.monitor(upstream->settings().monitor_user);  // also where nobody looks
    const SamplingUses& uses = monitor_.sampling_;
    const auto interval = upstream->settings().sample_interval;
    const auto began = Clock::now();
    // Not much later than it should be, rather than by a whole round.
    const bool is_due = began + upstream->interval() / 2 >= node->next_listing;
    if (!uses.tell || interval.count() == 0 || !is_due || !uses.looks()) co_return;
    tell_not_looked_at(*upstream);
    node->next_listing = began + interval;
    ServerLook look{.upstream = node->server.upstream,
                    .upstream_addr = node->server.address,
                    .time = std::chrono::system_clock::now(),
                    .failure = node->last.error,
                    .interval = interval,
                    .proxying = uses.ours != nullptr};
    if (!look.failure.empty()) co_return uses.tell(std::move(look));
    const MonitoredNode::Listing listing = co_await node->list_sessions();
    if (upstream->stopped || node->has_left() || !uses.looks()) co_return;
    if (listing.ended) {
        monitor_.roles_.doubt(node->server, RoleSource::ending);
        hurry(*upstream);
    }
    if (listing.failure) {
        look.failure = printable_failure(*listing.failure);
        co_return uses.tell(std::move(look));
    }
    tell_hidden(*upstream, *node, listing.list.hidden);
    const SessionSampler::Server server{.upstream = node->server.upstream,
                                        .address = node->server.address,
                                        .monitor_user = upstream->settings().monitor_user,
                                        .interval = interval};
    if (sampler_.take(server, listing.list, uses, Clock::now(), look)) uses.tell(std::move(look));
}

/// The instances that Aurora tells of and that are none of those we ask, in each sample_interval.
/// Where they may still turn up, by a name that leads to one of them at a time or by being found,
/// not at once.
void HostMonitor::Thread::tell_not_looked_at(Upstream& upstream) {
    const SamplingUses& uses = monitor_.sampling_;
    const auto now = Clock::now();
    if (now + upstream.interval() / 2 < upstream.next_telling) return;
    const bool all_known = std::all_of(upstream.nodes.begin(), upstream.nodes.end(), [](const auto& one) {
        return one.second->last.state || !one.second->last.error.empty();
    });
    if (!all_known || (!upstream.looking.empty() && now - upstream.began < upstream.settings().connect_timeout)) return;
    upstream.next_telling = now + upstream.settings().sample_interval;
    std::set<std::string> asked, others;
    for (const auto& [address, node] : upstream.nodes) asked.insert(node->last.instance);
    for (const auto& [address, node] : upstream.nodes) {
        if (!node->last.error.empty()) continue;
        for (const protocol::AuroraInstance& one : node->last.cluster) {
            if (!asked.contains(one.id)) others.insert(one.id);
        }
    }
    std::erase_if(upstream.not_looked_at, [&](const auto& one) { return !others.contains(one.first); });
    const auto patience = uses.ours ? time_to_turn_up : upstream.discovery ? time_to_be_found : Clock::duration{};
    for (const std::string& instance : others) {
        const auto since = upstream.not_looked_at.emplace(instance, now).first->second;
        if (now - since < patience) continue;
        uses.tell({.upstream = upstream.settings().name,
                   .upstream_addr = instance,
                   .time = std::chrono::system_clock::now(),
                   .failure = upstream.discovery ? "belongs to this cluster and is not looked at: its endpoint was not "
                                                   "found, or does not answer as this instance"
                                                 : "belongs to this cluster and is not looked at: set discover = true, "
                                                   "or list its endpoint in hosts",
                   .interval = upstream.settings().sample_interval,
                   .proxying = uses.ours != nullptr});
    }
}

/// Once for an upstream, and anew after it was mended.
void HostMonitor::Thread::tell_hidden(Upstream& upstream, const MonitoredNode& node, bool hidden) {
    if (!hidden) {
        upstream.hiding.erase(node.server.address);
        return;
    }
    const bool is_told = !upstream.hiding.empty();
    upstream.hiding.insert(node.server.address);
    if (is_told) return;
    spdlog::warn(
        "upstream \"{}\": {} does not show \"{}\" whence and how others are connected, so who goes around this proxy "
        "is "
        "not known. GRANT pg_read_all_stats TO {}; or set sample_interval = \"0s\"",
        upstream.settings().name, node.server.address, upstream.settings().monitor_user,
        upstream.settings().monitor_user);
}

void HostMonitor::Thread::take(Upstream& upstream, MonitoredNode& node, const MonitoredNode::Answer& answer) {
    // What a new session has said since counts more.
    if (answer.ended) monitor_.roles_.doubt(node.server, RoleSource::ending);
    const bool answered_before = node.last.error.empty() && node.last.state;
    node.last.upstream = node.server.upstream;
    node.last.host = node.server.host;
    node.last.address = node.server.address;
    node.last.discovered = node.target.discovered;
    if (!answer.failure) {
        const bool change = !answered_before || node.last.state->read_only != answer.state.read_only;
        for (auto& [sqlstate, addresses] : upstream.told) addresses.erase(node.server.address);
        node.last.answered = std::chrono::system_clock::now();
        node.last.error.clear();
        node.last.state = answer.state;
        node.last.cluster = answer.cluster;
        node.last.instance.clear();
        node.last.replica_lag_ms.reset();
        for (const protocol::AuroraInstance& one : answer.cluster) {
            if (!one.is_self) continue;
            node.last.instance = one.id;
            node.last.replica_lag_ms = one.lag_ms;
        }
        monitor_.note(node.last);
        if (!answer.subject.empty()) monitor_.roles_.shown(node.server, answer.subject);
        monitor_.roles_.learn(node.server, answer.state.in_recovery ? HostRole::standby : HostRole::primary,
                              RoleSource::monitor, Clock::now());
        if (change) hurry(upstream);
    } else if (node.kept && !answer.refused) {
        // Its name may not lead there any more because it is gone.
        drop(upstream, node.server.address);
        if (answered_before) hurry(upstream);
    } else {
        node.last.error = printable_failure(*answer.failure);
        monitor_.note(node.last);
        if (answer.refused) tell_refusal(upstream, node, *answer.failure);
        if (answered_before) hurry(upstream);
    }
    if (upstream.discovery) discover(upstream);
}

/// By what all of its servers have answered last, as far as they answer now.
void HostMonitor::Thread::discover(Upstream& upstream) {
    std::vector<Discovery::Answer> answers;
    for (const auto& [address, node] : upstream.nodes) {
        const MonitoredHost& last = node->last;
        if (node->kept || !last.error.empty() || !last.state || (last.state->is_aurora && last.instance.empty()))
            continue;
        answers.push_back({.host = node->server.host,
                           .port = node->target.port,
                           .address = address,
                           .writer = !last.state->in_recovery,
                           .instance = last.instance,
                           .cluster = last.cluster});
    }
    upstream.discovery->take(answers, Clock::now());
    const std::vector<config::Address> confirmed = upstream.discovery->confirmed();
    std::vector<std::string> names;
    for (const config::Address& host : confirmed) names.push_back(config::to_string(host));
    if (names != upstream.found) {
        upstream.route->found->set(confirmed);
        const std::vector<std::string> before = std::exchange(upstream.found, names);
        const auto tell_others = [&](const std::vector<std::string>& all, const std::vector<std::string>& but,
                                     const char* what) {
            for (const std::string& host : all) {
                if (std::find(but.begin(), but.end(), host) == but.end())
                    spdlog::info("upstream \"{}\": the host {} {}", upstream.settings().name, host, what);
            }
        };
        tell_others(names, before, "was found, and is used");
        tell_others(before, names, "is not used any more: nobody tells of it, or it is another now");
    }
    // Nobody looks at those again that nobody tells of.
    std::vector<std::string> gone;
    for (const auto& [address, node] : upstream.nodes) {
        if (node->target.discovered && !upstream.discovery->knows(node->server.host)) gone.push_back(address);
    }
    for (const std::string& address : gone) drop(upstream, address);
}

/// Once for each cause, and not for every address and every question.
void HostMonitor::Thread::tell_refusal(Upstream& upstream, const MonitoredNode& node,
                                       const protocol::OwnFailure& failure) {
    std::set<std::string>& addresses = upstream.told[failure.sqlstate.substr(0, 5)];
    const bool is_known = !addresses.empty();
    addresses.insert(node.server.address);
    if (is_known) return;
    const std::string& user = upstream.settings().monitor_user;
    spdlog::warn(
        "upstream \"{}\": the monitor cannot log in to {} as \"{}\": {}. Until it can, roles of hosts are known from "
        "logins of clients alone. The role needs no more than CREATE ROLE {} LOGIN PASSWORD '...', and pg_hba.conf to "
        "let it into database postgres",
        upstream.settings().name, node.server.address, user, node.last.error, user);
}

}  // namespace proxy
