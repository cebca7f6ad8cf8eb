#include "proxy/upstream/session_sampler.hpp"

#include <algorithm>

#include "protocol/utf8.hpp"
#include "proxy/observation/client_identity.hpp"

namespace proxy {
namespace {

/// Of a server that has several addresses, another one takes over when so many looks were missed.
constexpr int missed_looks = 3;

/// As the names of clients are (SessionRecord::names).
std::string stored(const std::string& name) { return protocol::as_distinct_utf8(name.substr(0, max_name)); }

SampledKind kind_of(const protocol::ListedSession& session, bool through) {
    return {.client_addr = session.client_addr.empty() ? "local" : stored(session.client_addr),
            .usename = stored(session.usename),
            .datname = stored(session.datname),
            .application_name = stored(session.application_name),
            .version = stored(session.version),
            .through = through};
}

/// By the server's clock.
std::chrono::microseconds age_of(std::int64_t started, const protocol::SessionList& list) {
    return std::chrono::microseconds(std::max<std::int64_t>(list.now - started, 0));
}

}  // namespace

void SessionSampler::forget(const std::string& upstream, const std::string& address) {
    servers_.erase({upstream, address});
}

bool SessionSampler::is_another_address(const Key& key, std::int64_t server_started, Time too_old) const {
    return std::any_of(servers_.begin(), servers_.end(), [&](const auto& one) {
        return one.first != key && one.first.first == key.first && one.second.is_counted &&
               one.second.server_started == server_started && one.second.looked > too_old;
    });
}

/// Whatever upstream they are of.
SessionSampler::Addresses SessionSampler::addresses_of(std::int64_t server_started) const {
    std::set<std::string> addresses;
    for (const auto& [key, known] : servers_) {
        if (known.server_started == server_started) addresses.insert(key.second);
    }
    return addresses;
}

/// Of any monitor of this proxy, or of `pgairlock sample` with its role: no client of anybody.
bool SessionSampler::is_of_monitor(const protocol::ListedSession& session) const {
    return monitor_users_.contains(session.usename) &&
           (session.application_name == "pgairlock monitor" || session.application_name == "pgairlock sample");
}

/// A backend that began after we were last told of its process id has only that.
bool SessionSampler::is_ours(const SessionId& id, const protocol::SessionList& list, const Addresses& addresses,
                             const SamplingUses& uses, Time now) {
    const auto known = uses.ours->find(addresses, static_cast<std::uint32_t>(id.first));
    return known && now - age_of(id.second, list) <= known->registered + late_answer;
}

SessionSampler::Whose SessionSampler::whose(const SessionId& id, const protocol::SessionList& list,
                                            const Session* before, const Known& known, const Addresses& addresses,
                                            const SamplingUses& uses, Time now) {
    if (!uses.ours) return Whose::others;
    if (before && before->whose == Whose::ours) return Whose::ours;
    if (is_ours(id, list, addresses, uses, now)) return Whose::ours;
    if (before && before->whose == Whose::others) return Whose::others;
    // A backend may be much older than its session: of a connection that was made in advance, or
    // whose client took its time to log in.
    return before && id.second > known.beside_until ? Whose::others : Whose::undecided;
}

bool SessionSampler::count(ServerLook& look, const Session& session, bool is_new, std::uint64_t seen) {
    if (!look.sessions.contains(session.kind) && look.sessions.size() >= max_kinds) {
        ++look.left_out;
        return false;
    }
    SampledCount& sum = look.sessions[session.kind];
    sum.sessions += is_new ? 1 : 0;
    sum.seen += seen;
    sum.cipher = session.cipher;
    sum.client_dn = session.client_dn;
    return true;
}

bool SessionSampler::take(const Server& server, const protocol::SessionList& list, const SamplingUses& uses, Time now,
                          ServerLook& look) {
    monitor(server.monitor_user);
    const Key key{server.upstream, server.address};
    const bool is_known = servers_.contains(key) && servers_[key].server_started == list.server_started;
    Known& known = servers_[key];
    if (!is_known) known = {};
    known.server_started = list.server_started;
    known.looked = now;
    const bool is_beside = !uses.is_alone();
    // The other process may have ended since the last look, and what it has left at the server not.
    if (is_beside || known.was_beside) known.beside_until = list.now;
    known.was_beside = is_beside;
    known.is_counted = !is_another_address(key, list.server_started, now - missed_looks * server.interval);
    if (!known.is_counted) known.sessions.clear();
    if (!known.is_counted) return false;
    const bool counts = !uses.ours || is_known;
    const Addresses addresses = addresses_of(list.server_started);
    look.hidden = list.hidden;
    look.server_started = list.server_started;
    look.left_out = list.left_out;
    std::map<SessionId, Session> sessions;
    for (const protocol::ListedSession& listed : list.sessions) {
        if (is_of_monitor(listed)) continue;
        const SessionId id{listed.pid, listed.started};
        const auto found = known.sessions.find(id);
        const Session* const before = found == known.sessions.end() ? nullptr : &found->second;
        Session session{.whose = whose(id, list, before, known, addresses, uses, now)};
        session.kind = kind_of(listed, session.whose == Whose::ours);
        session.cipher = stored(listed.cipher);
        session.client_dn = stored(listed.client_dn);
        const bool is_young = uses.ours && age_of(listed.started, list) < settling;
        if (!counts) {
            // Whoever is there at the next look as well is no stranger then.
        } else if (session.whose == Whose::undecided) {
            if (listed.started <= known.beside_until) {
                ++look.left_out;
            } else {
                session.waits = is_young ? Waits::young : Waits::grown;
            }
        } else if (!before && is_young) {
            // Ours wait as well, so that no more is seen of them than of others.
        } else {
            const bool is_new = !before || !before->counted || before->kind != session.kind;
            session.counted = count(look, session, is_new, before && before->waits == Waits::grown ? 2 : 1);
        }
        sessions.emplace(id, std::move(session));
    }
    for (const auto& [id, gone] : known.sessions) {
        if (gone.waits == Waits::no || sessions.contains(id) || is_ours(id, list, addresses, uses, now)) continue;
        if (gone.waits == Waits::grown) {
            count(look, gone, true, 1);
        } else {
            ++look.left_out;  // whose it was is not known any more
        }
    }
    known.sessions = std::move(sessions);
    return counts;
}

}  // namespace proxy
