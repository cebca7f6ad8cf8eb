#include "proxy/report/report_fallbacks.hpp"

#include <algorithm>

namespace proxy::report {
namespace {

using protocol::Evidence;

/// A client that falls back to clear text comes within seconds. The rest of the minute is for the
/// clocks of two proxies that differ, and for connections that are recorded when they end.
constexpr Timestamp fallback_time = 60'000'000;

bool has_seen(const ClientRow& client, Evidence evidence) {
    return std::any_of(client.evidence.begin(), client.evidence.end(),
                       [&](const EvidenceRow& row) { return row.evidence == evidence; });
}

bool is_another_program(const ClientOrigin& failed, const ClientOrigin& went_on) {
    const bool exes_differ = !failed.client_exe.empty() && !went_on.client_exe.empty();
    return !may_be_one_user(failed, went_on) || (exes_differ && failed.client_exe != went_on.client_exe);
}

}  // namespace

bool may_be_one_user(const ClientOrigin& a, const ClientOrigin& b) {
    return a.client_uid < 0 || b.client_uid < 0 || a.client_uid == b.client_uid;
}

Fallbacks::Place Fallbacks::place(const ClientOrigin& origin, bool after_no) {
    return {origin.upstream, origin.seen_by, origin.client_addr, after_no};
}

Fallbacks::Fallbacks(const std::vector<ClientRow>& clients) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const ClientIdentity& who = clients[i].who;
        // Whoever came in clear also when nobody had failed before does not fall back: that is how
        // it connects. But on this host it may have been another program with the same names.
        const bool from_this_host = who.client_uid >= 0;
        if (!from_this_host && has_seen(clients[i], Evidence::clear_startup)) continue;
        for (const EvidenceRow& row : clients[i].evidence) {
            const bool after_no = row.evidence == Evidence::clear_startup_after_declined;
            if (!after_no && row.evidence != Evidence::clear_startup_after_tls &&
                row.evidence != Evidence::clear_startup_after_refusal &&
                row.evidence != Evidence::clear_startup_after_tls_login)
                continue;
            by_place_[place(who, after_no)][who].push_back(
                {.first_seen = row.first_seen, .client = i, .last_seen = row.last_seen});
        }
    }
    for (auto& [place, programs] : by_place_) {
        for (auto& [program, seen] : programs) {
            std::stable_sort(seen.begin(), seen.end(),
                             [](const Until& a, const Until& b) { return a.first_seen < b.first_seen; });
            for (std::size_t i = 1; i < seen.size(); ++i) {
                Until& one = seen[i];
                const Until& before = seen[i - 1];
                const bool is_same = one.client == before.client;
                if (before.last_seen > one.last_seen) {
                    const Timestamp other = one.last_seen;
                    const std::optional<Timestamp> others = before.last_seen_of_others;
                    one = {one.first_seen, before.client, before.last_seen,
                           is_same ? others : std::max(others.value_or(other), other)};
                } else {
                    one.last_seen_of_others = is_same ? before.last_seen_of_others : before.last_seen;
                }
            }
        }
    }
}

bool Fallbacks::another_may_have_gone_on(const HandshakeRow& handshake, std::optional<std::size_t> owner) const {
    const EvidenceRow& failed = handshake.evidence;
    const auto there = by_place_.find(place(handshake.from, failed.evidence == Evidence::closed_after_no));
    if (there == by_place_.end()) return false;
    return std::any_of(there->second.begin(), there->second.end(), [&](const auto& one) {
        const auto& [program, seen] = one;
        if (is_another_program(handshake.from, program)) return false;
        const auto next = std::upper_bound(seen.begin(), seen.end(), failed.last_seen + fallback_time,
                                           [](Timestamp time, const Until& until) { return time < until.first_seen; });
        if (next == seen.begin()) return false;
        const Until& until = *std::prev(next);
        const auto last = until.client == owner ? until.last_seen_of_others : std::optional(until.last_seen);
        return last && failed.first_seen <= *last + fallback_time;
    });
}

}  // namespace proxy::report
