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

std::chrono::microseconds age_of(const protocol::ListedSession& session, const protocol::SessionList& list) {
    return std::chrono::microseconds(std::max<std::int64_t>(list.now - session.started, 0));
}

/// A session of another proxy's monitor, or of `pgairlock sample`: no client of anybody.
bool is_of_monitor(const protocol::ListedSession& session, const std::string& user) {
    return session.usename == user &&
           (session.application_name == "pgairlock monitor" || session.application_name == "pgairlock sample");
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
std::set<std::string> SessionSampler::addresses_of(std::int64_t server_started) const {
    std::set<std::string> addresses;
    for (const auto& [key, known] : servers_) {
        if (known.server_started == server_started) addresses.insert(key.second);
    }
    return addresses;
}

SessionSampler::Whose SessionSampler::whose(const protocol::ListedSession& session, const protocol::SessionList& list,
                                            const Session* before, const std::set<std::string>& addresses,
                                            const SamplingUses& uses, bool is_alone, Time now) {
    if (!uses.ours) return Whose::others;
    if (before && before->whose == Whose::ours) return Whose::ours;
    const auto age = age_of(session, list);
    if (const auto known = uses.ours->find(addresses, static_cast<std::uint32_t>(session.pid))) {
        // A backend that began after ours had ended has only its process id.
        if (known->open || now - age <= known->ended + std::chrono::seconds(1)) return Whose::ours;
    }
    if (before && before->whose == Whose::others) return Whose::others;
    if (!is_alone) return Whose::undecided;
    return age >= settling || before ? Whose::others : Whose::undecided;
}

bool SessionSampler::take(const Server& server, const protocol::SessionList& list, const SamplingUses& uses, Time now,
                          ServerLook& look) {
    const Key key{server.upstream, server.address};
    const bool is_known = servers_.contains(key) && servers_[key].server_started == list.server_started;
    Known& known = servers_[key];
    if (!is_known) known = {};
    known.server_started = list.server_started;
    known.looked = now;
    known.is_counted = !is_another_address(key, list.server_started, now - missed_looks * server.interval);
    if (!known.is_counted) known.sessions.clear();
    if (!known.is_counted || (uses.ours && !is_known)) return false;
    const std::set<std::string> addresses = addresses_of(list.server_started);
    const bool is_alone = uses.is_alone();
    look.hidden = list.hidden;
    look.server_started = list.server_started;
    look.left_out = list.left_out;
    std::map<SessionId, Session> sessions;
    for (const protocol::ListedSession& listed : list.sessions) {
        if (is_of_monitor(listed, server.monitor_user)) continue;
        const SessionId id{listed.pid, listed.started};
        const auto found = known.sessions.find(id);
        const Session* const before = found == known.sessions.end() ? nullptr : &found->second;
        Session session;
        session.whose = whose(listed, list, before, addresses, uses, is_alone, now);
        // Ours wait as well, so that what is seen of them is no more than what is seen of others.
        session.is_young = uses.ours && is_alone && !before && age_of(listed, list) < settling;
        if (session.whose == Whose::undecided || session.is_young) {
            if (!is_alone) ++look.left_out;
            sessions.emplace(id, std::move(session));
            continue;
        }
        session.kind = kind_of(listed, session.whose == Whose::ours);
        session.counted = look.sessions.contains(session.kind) || look.sessions.size() < max_kinds;
        if (session.counted) {
            SampledCount& count = look.sessions[session.kind];
            const bool is_new = !before || !before->counted || before->kind != session.kind;
            count.sessions += is_new ? 1 : 0;
            ++count.seen;
            count.cipher = stored(listed.cipher);
            count.client_dn = stored(listed.client_dn);
        } else {
            ++look.left_out;
        }
        sessions.emplace(id, std::move(session));
    }
    for (const auto& [id, before] : known.sessions) {
        if (before.is_young && before.whose == Whose::undecided && !sessions.contains(id))
            ++look.left_out;  // whose it was is not known any more
    }
    known.sessions = std::move(sessions);
    return true;
}

}  // namespace proxy
