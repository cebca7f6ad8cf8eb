#include "proxy/inventory/stored_certificates.hpp"

#include <algorithm>

namespace proxy {
namespace {

/// Some 15 MiB: more than certificates of servers ever were, unless one has another each time.
constexpr std::int64_t max_certificates = 20'000;

std::string comma_separated(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
    return out;
}

}  // namespace

StoredCertificates::StoredCertificates(Sqlite& db, ForgottenRows& forgotten) : db_(db), forgotten_(forgotten) {
    rows_ = committed_rows_ = count();
    find_groups_ =
        db_.prepare("SELECT groups FROM upstream_certificates WHERE upstream = ? AND upstream_addr = ? AND sha256 = ?");
    // What verified it last is kept where nobody does for a while, as in ServerCertificates.
    put_ = db_.prepare(R"sql(
INSERT INTO upstream_certificates (upstream, upstream_addr, sha256, subject, sans, issuer, anchor, serial, not_before, not_after, first_seen,
                                   last_seen, count, candidate_ok, candidate_since, issuer_key_id, anchor_key_sha256, groups)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, upstream_addr, sha256) DO UPDATE SET anchor = iif(excluded.anchor = '', anchor, excluded.anchor),
  anchor_key_sha256 = iif(excluded.anchor = '', anchor_key_sha256, excluded.anchor_key_sha256),
  issuer_key_id = excluded.issuer_key_id, groups = excluded.groups,
  first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count,
  candidate_since = iif(candidate_ok IS excluded.candidate_ok, candidate_since, excluded.candidate_since),
  candidate_ok = excluded.candidate_ok)sql");
}

std::int64_t StoredCertificates::count() { return db_.integer("SELECT count(*) FROM upstream_certificates"); }

void StoredCertificates::write(const CertificateKey& key, const CertificateChange& change) {
    KeyExchangeGroups before;
    const bool is_known = find_groups_.with(key.upstream, key.upstream_addr, key.sha256).step();
    if (is_known) before = groups_of_text(find_groups_.text(0));
    find_groups_.reset();
    if (!is_known && rows_ >= max_certificates) make_room();
    if (!is_known) ++rows_;
    const tls::CertificateFacts& leaf = *change.leaf;
    const std::string sans = comma_separated(tls::first_names(leaf.sans));
    const std::string groups = groups_text(merged_groups(change.groups, before));
    std::optional<Timestamp> since;
    if (change.candidate_ok) since = change.candidate_since;
    put_.with(key.upstream, key.upstream_addr, key.sha256, leaf.subject, sans, leaf.issuer, change.anchor, leaf.serial,
              to_timestamp(leaf.not_before), to_timestamp(leaf.not_after), change.seen.first, change.seen.last,
              change.seen.count, change.candidate_ok, since, leaf.issuer_key_id, change.anchor_key_sha256, groups)
        .run();
}

/// Those behind which the same address has shown the most others since, and of these the least
/// recently seen: a server with another one each time takes nobody else's room.
void StoredCertificates::make_room() {
    db_.prepare(R"sql(
DELETE FROM upstream_certificates WHERE (upstream, upstream_addr, sha256) IN (
  SELECT upstream, upstream_addr, sha256 FROM (
    SELECT upstream, upstream_addr, sha256, last_seen,
           row_number() OVER (PARTITION BY upstream, upstream_addr ORDER BY last_seen DESC) AS newer
    FROM upstream_certificates)
  ORDER BY newer DESC, last_seen LIMIT ?))sql")
        .with(made_room_at_once)
        .run();
    forgotten_.add(db_.integer("SELECT changes()"));
    rows_ = count();
}

std::vector<ShownCertificate> StoredCertificates::last_shown(std::size_t most) {
    std::vector<ShownCertificate> shown;
    Statement rows = db_.prepare(
        "SELECT upstream, upstream_addr, sha256, issuer, issuer_key_id, anchor, anchor_key_sha256 "
        "FROM upstream_certificates ORDER BY last_seen DESC LIMIT ?");
    for (rows.with(static_cast<std::int64_t>(most)); rows.step();) {
        shown.push_back({.upstream = rows.text(0),
                         .upstream_addr = rows.text(1),
                         .sha256 = rows.text(2),
                         .issuer = rows.text(3),
                         .issuer_key_id = rows.text(4),
                         .anchor = rows.text(5),
                         .anchor_key_sha256 = rows.text(6)});
    }
    std::reverse(shown.begin(), shown.end());
    return shown;
}

}  // namespace proxy
