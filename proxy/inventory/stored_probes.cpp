#include "proxy/inventory/stored_probes.hpp"

#include <algorithm>

namespace proxy {

StoredProbes::StoredProbes(Sqlite& db) : db_(db) {
    put_ = db_.prepare(R"sql(
INSERT INTO probes (upstream, client_addr, client_exe, client_uid, kind, shown, accepted, refused, last_shown, last_refused)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, client_addr, client_exe, client_uid, kind) DO UPDATE SET shown = shown + excluded.shown, accepted = accepted + excluded.accepted,
  refused = refused + excluded.refused, last_shown = max(last_shown, excluded.last_shown),
  last_refused = max(last_refused, excluded.last_refused))sql");
}

void StoredProbes::write(const ProbeKey& key, const ProbeChange& change) {
    put_.with(key.from.upstream, key.from.client_addr, key.from.client_exe, key.from.client_uid,
              config::to_string(key.kind), change.shown, change.accepted, change.refused, change.last_shown,
              change.last_refused)
        .run();
}

void StoredProbes::restore(Probes& probes) {
    // What is still to come was written by a clock that was wrong: it counts from now.
    const auto wall = std::chrono::system_clock::now();
    probes.clocks_are(wall, std::chrono::steady_clock::now());  // times below are by this clock
    const Timestamp now = to_timestamp(wall);
    const auto time = [&](Timestamp t) { return Probes::Time(std::chrono::microseconds(std::min(t, now))); };
    Statement answers = db_.prepare(
        "SELECT coalesce(sum(count), 0) FROM handshakes WHERE upstream = ?1 AND client_addr = ?2 AND client_exe = ?3 "
        "AND "
        "client_uid = ?4 AND evidence = ?5 AND last_seen > (SELECT coalesce(max(repaired_at), 0) FROM marks WHERE "
        "upstream = ?1 AND client_addr = ?2 AND client_exe = ?3 AND client_uid = ?4)");
    Statement rows = db_.prepare(
        "SELECT upstream, client_addr, client_exe, client_uid, kind, shown, accepted, refused, last_shown, "
        "last_refused "
        "FROM probes ORDER BY last_shown DESC");
    while (rows.step()) {
        const ClientOrigin source{.upstream = rows.text(0),
                                  .client_addr = rows.text(1),
                                  .client_exe = rows.text(2),
                                  .client_uid = rows.integer(3)};
        const auto kind = protocol::parse_probe_kind(rows.text(4));
        if (!kind) continue;  // of a newer version that was here meanwhile
        const auto count = [&](protocol::Reaction reaction) {
            const auto evidence = protocol::evidence_of(reaction, *kind);
            answers.with(source.upstream, source.client_addr, source.client_exe, source.client_uid, label(evidence))
                .step();
            const Timestamp sum = answers.integer(0);
            answers.reset();
            return static_cast<unsigned>(sum);
        };
        probes.restore(source, *kind,
                       {.shown = static_cast<unsigned>(rows.integer(5)),
                        .accepted = static_cast<unsigned>(rows.integer(6)),
                        .refused = static_cast<unsigned>(rows.integer(7)),
                        .left = count(protocol::Reaction::leaves_silently),
                        .by_alert = count(protocol::Reaction::refuses) > 0,
                        .last_shown = time(rows.integer(8)),
                        .last_refused = time(rows.integer(9))});
    }
    tell_repairs(probes);
}

void StoredProbes::tell_repairs(Probes& probes) {
    Statement rows = db_.prepare(
        "SELECT upstream, client_addr, client_exe, client_uid, max(repaired_at) FROM marks WHERE repaired_at > 0 "
        "GROUP BY upstream, client_addr, client_exe, client_uid");
    while (rows.step()) {
        probes.repaired({.upstream = rows.text(0),
                         .client_addr = rows.text(1),
                         .client_exe = rows.text(2),
                         .client_uid = rows.integer(3)},
                        Probes::Time(std::chrono::microseconds(rows.integer(4))));
    }
}

}  // namespace proxy
