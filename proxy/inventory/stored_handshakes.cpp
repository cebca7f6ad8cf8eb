#include "proxy/inventory/stored_handshakes.hpp"

namespace proxy {
namespace {

/// Some 100 MiB.
constexpr std::int64_t max_handshakes = 200'000;

}  // namespace

StoredHandshakes::StoredHandshakes(Sqlite& db, ForgottenRows& forgotten) : db_(db), forgotten_(forgotten) {
    rows_ = committed_rows_ = count();
    find_ = db_.prepare(
        "SELECT 1 FROM handshakes WHERE upstream = ? AND client_addr = ? AND client_exe = ? AND client_uid = ? AND "
        "ja4 = ? AND sni = ? AND evidence = ? AND certificate = ?");
    put_ = db_.prepare(R"sql(
INSERT INTO handshakes (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate, listener, first_seen, last_seen,
                        count, session, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate) DO UPDATE SET listener = excluded.listener,
  first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count,
  session = excluded.session, error = excluded.error)sql");
}

std::int64_t StoredHandshakes::count() { return db_.integer("SELECT count(*) FROM handshakes"); }

void StoredHandshakes::write(const HandshakeKey& key, const HandshakeChange& change) {
    const ClientOrigin& from = key.from;
    const std::string_view evidence = label(key.evidence);
    find_.with(from.upstream, from.client_addr, from.client_exe, from.client_uid, key.ja4, key.sni, evidence,
               key.certificate);
    const bool known = find_.step();
    find_.reset();
    if (!known && rows_ >= max_handshakes) make_room();
    if (!known) ++rows_;
    put_.with(from.upstream, from.client_addr, from.client_exe, from.client_uid, key.ja4, key.sni, evidence,
              key.certificate, change.listener, change.seen.first, change.seen.last, change.seen.count,
              change.seen.session, change.error)
        .run();
}

void StoredHandshakes::make_room() {
    db_.prepare(
           "DELETE FROM handshakes WHERE (upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, "
           "certificate) IN (SELECT upstream, client_addr, client_exe, client_uid, ja4, sni, evidence, certificate "
           "FROM "
           "handshakes ORDER BY last_seen LIMIT ?)")
        .with(made_room_at_once)
        .run();
    forgotten_.add(db_.integer("SELECT changes()"));
    rows_ = count();
}

}  // namespace proxy
