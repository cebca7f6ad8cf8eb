// /api/hosts.json: every host of every upstream, and the addresses that were found behind it.
#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "config/parse.hpp"
#include "proxy/dashboard/live_source.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;

/// Upstream and address.
using Server = std::pair<std::string, std::string>;
using Unreached =
    std::function<std::optional<Outages::Outage>(const std::string& address, const std::string& upstream)>;

/// Of all upstreams.
struct Known {
    explicit Known(const LiveSource& source)
        : numbers(source.recorder.metrics().numbers()),
          outages(source.outages.all()),
          prewarmed(source.prewarmed()),
          monitored(source.monitor.hosts()),
          roles(source.roles),
          unreached([&all = source.outages](const auto& address, const auto& upstream) {
              return all.unreached(address, upstream);
          }) {
        for (const auto& session : source.sessions.open()) {
            ++sessions[{std::string(session->facts.text(SessionText::upstream)),
                        std::string(session->facts.text(SessionText::upstream_addr))}];
        }
    }

    const EventMetrics::Numbers numbers;
    const std::vector<Outages::Outage> outages;
    const std::map<std::string, PrewarmedConnections> prewarmed;
    const std::vector<MonitoredHost> monitored;
    const HostRoles& roles;
    const Unreached unreached;
    std::map<Server, std::uint64_t> sessions;
};

/// Of one upstream.
class HostRows {
   public:
    HostRows(const Known& known, const UpstreamRoute& route, SystemTime now)
        : now_(now),
          route_(route),
          hosts_(route.hosts()),
          sessions_(known.sessions),
          roles_(known.roles),
          unreached_(known.unreached) {
        for (const MonitoredHost& host : known.monitored) {
            if (host.upstream == route.settings.name) monitored_.emplace(host.address, host);
        }
        const auto found = known.numbers.upstreams.find(route.settings.name);
        if (found != known.numbers.upstreams.end()) addresses_ = found->second.addresses;
        for (const Outages::Outage& outage : known.outages) {
            if (outage.upstream == route.settings.name) outages_.push_back(outage);
        }
        const auto connections = known.prewarmed.find(route.settings.name);
        if (connections != known.prewarmed.end()) prewarmed_ = connections->second;
    }

    void add_to(json::array& all) {
        for (const config::Address& host : hosts_) add_host(all, host);
        // Which of several names leads to an address is not known: the connection has forgotten it.
        for (const auto& [address, one] : addresses_) {
            if (!told_.contains(address)) all.push_back(row(std::nullopt, address));
        }
    }

   private:
    bool is_configured(const std::string& host) const {
        const auto& hosts = route_.settings.hosts;
        return std::any_of(hosts.begin(), hosts.end(), [&](const auto& one) { return to_string(one) == host; });
    }

    void add_host(json::array& all, const config::Address& host) {
        const std::string key = to_string(host);
        const bool is_address = host.kind == config::Address::Kind::unix_socket || config::is_ip_address(host.host);
        if (is_address) {
            all.push_back(row(key, key));
            return;
        }
        std::set<std::string> behind;
        for (const auto& outage : outages_) {
            if (outage.host == key && outage.key != key) behind.insert(outage.key);
        }
        for (const auto& [address, one] : monitored_) {
            if (one.host == key) behind.insert(address);
        }
        if (hosts_.size() == 1) {
            for (const auto& [address, one] : addresses_) behind.insert(address);
        }
        for (const std::string& address : behind) all.push_back(row(key, address));
        if (behind.empty()) all.push_back(row(key, std::nullopt));
    }

    json::object row(const std::optional<std::string>& host, const std::optional<std::string>& address) {
        if (address) told_.insert(*address);
        const auto found = address ? addresses_.find(*address) : addresses_.end();
        const AddressNumbers* const known = found == addresses_.end() ? nullptr : &found->second;
        const auto asked = address ? monitored_.find(*address) : monitored_.end();
        const MonitoredHost* const monitored = asked == monitored_.end() ? nullptr : &asked->second;
        const bool answers = monitored && monitored->state && monitored->error.empty();
        const Outages::Outage* outage = nullptr;
        for (const Outages::Outage& one : outages_) {
            if ((address && one.key == *address) || (host && one.key == *host)) outage = &one;
        }
        // Another upstream may have found out.
        std::optional<Outages::Outage> elsewhere;
        if (!outage && address) elsewhere = unreached_(*address, route_.settings.name);
        if (elsewhere) outage = &*elsewhere;
        json::object told{{"upstream", name(route_.settings.name)},
                          {"host", host ? name(*host) : json::value(nullptr)},
                          {"discovered", host && !is_configured(*host)},
                          {"address", address ? name(*address) : json::value(nullptr)},
                          {"up", outage             ? json::value(false)
                                 : known || answers ? json::value(true)
                                                    : json::value(nullptr)},
                          {"since", outage ? time(outage->since) : json::value(nullptr)},
                          {"error", outage ? text(outage->error) : json::value(nullptr)},
                          {"sslmode", protocol::to_string(route_.settings.sslmode)}};
        add_role(told, known, address);
        told["monitor"] = monitored ? json::value(answer_of(*monitored)) : json::value(nullptr);
        told["last_served"] = known ? time(known->served) : json::value(nullptr);
        if (outage && outage->leaf) {
            add_refused(told, *outage->leaf);
        } else {
            add_tls(told, known);
            if (outage && !outage->verify_error.empty()) told["verified"] = false;
        }
        told["prewarm_ready"] = prewarmed_.ready;
        told["prewarm_wanted"] = prewarmed_.wanted;
        const auto open = address ? sessions_.find({route_.settings.name, *address}) : sessions_.end();
        told["sessions"] = open == sessions_.end() ? 0 : open->second;
        return told;
    }

    /// As it was told last, by logins or the monitor; null: it was not within the last hour.
    void add_role(json::object& told, const AddressNumbers* known, const std::optional<std::string>& address) const {
        AddressNumbers now = known ? *known : AddressNumbers{};
        now.forget_old_role(now_);
        HostRoles::Known found;
        if (address) found = roles_.of(route_.settings.name, *address);
        const bool is_newer = found.role != protocol::HostRole::unknown && found.seen > now.role_seen;
        const auto role = is_newer ? found.role : now.role;
        const auto seen = is_newer ? found.seen : now.role_seen;
        const bool tells = role != protocol::HostRole::unknown;
        told["role"] = tells ? json::value(protocol::to_string(role)) : json::value(nullptr);
        told["role_seen"] = tells ? time(seen) : json::value(nullptr);
        told["role_doubtful"] = tells ? json::value(found.doubtful) : json::value(nullptr);
        told["role_source"] = !tells     ? json::value(nullptr)
                              : is_newer ? json::value(to_string(found.source))
                                         : json::value(to_string(RoleSource::login));
    }

    json::object answer_of(const MonitoredHost& host) const {
        const bool has_answered = host.answered != MonitoredHost::Time{};
        json::array cluster;
        for (const protocol::AuroraInstance& one : host.cluster)
            cluster.push_back(json::object{{"id", text(one.id)}, {"writer", one.writer}, {"lag_ms", one.lag_ms}});
        return {{"answered", has_answered ? time(host.answered) : json::value(nullptr)},
                {"error", host.error.empty() ? json::value(nullptr) : text(host.error)},
                {"in_recovery", host.state ? json::value(host.state->in_recovery) : json::value(nullptr)},
                {"read_only", host.state ? json::value(host.state->read_only) : json::value(nullptr)},
                {"instance", host.instance.empty() ? json::value(nullptr) : text(host.instance)},
                {"replica_lag_ms", host.replica_lag_ms ? json::value(*host.replica_lag_ms) : json::value(nullptr)},
                {"cluster", std::move(cluster)}};
    }

    /// What it shows now, and not what it showed when it was accepted.
    void add_refused(json::object& told, const tls::CertificateFacts& leaf) const {
        told["verified"] = false;
        for (const char* unknown : {"version", "cipher", "anchor", "candidate_ok"}) told[unknown] = nullptr;
        told["subject"] = text(leaf.subject);
        told["not_after"] = time(leaf.not_after);
        told["days_left"] = days_left(leaf.not_after, now_);
    }

    void add_tls(json::object& told, const AddressNumbers* known) const {
        const bool has_tls = known && !known->version.empty();
        told["verified"] = known ? json::value(known->verified) : json::value(nullptr);
        told["version"] = has_tls ? text(known->version) : json::value(nullptr);
        told["cipher"] = has_tls ? text(known->cipher) : json::value(nullptr);
        told["subject"] = known && known->leaf ? text(known->leaf->subject) : json::value(nullptr);
        told["not_after"] = has_tls ? time(known->not_after) : json::value(nullptr);
        told["days_left"] = has_tls ? days_left(known->not_after, now_) : json::value(nullptr);
        told["anchor"] = has_tls ? text(known->anchor) : json::value(nullptr);
        told["candidate_ok"] = known && known->candidate_ok ? json::value(*known->candidate_ok) : json::value(nullptr);
    }

    const SystemTime now_;
    const UpstreamRoute& route_;
    const std::vector<config::Address> hosts_;
    std::map<std::string, AddressNumbers> addresses_;
    std::vector<Outages::Outage> outages_;
    PrewarmedConnections prewarmed_;
    const std::map<Server, std::uint64_t>& sessions_;
    const HostRoles& roles_;
    const Unreached& unreached_;
    std::map<std::string, MonitoredHost> monitored_;  // by address
    std::set<std::string> told_;
};

}  // namespace

json::object hosts_object(const LiveSource& source, SystemTime now) {
    json::array all;
    if (const auto running = source.running()) {
        const Known known(source);
        for (const auto& route : running->upstreams) HostRows(known, *route, now).add_to(all);
    }
    return {{"hosts", std::move(all)}};
}

}  // namespace proxy::dashboard
