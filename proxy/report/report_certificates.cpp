// What several proxies know of one certificate of a server, as one row.
#include <algorithm>

#include "proxy/inventory/key_exchange_groups.hpp"
#include "proxy/report/report_rows.hpp"

namespace proxy::report {
namespace {

/// The newest first, of one moment the one that knows more.
bool is_newer_sighting(const Sighting& a, const Sighting& b) {
    if (a.row->last_seen != b.row->last_seen) return a.row->last_seen > b.row->last_seen;
    return a.row->anchor_key_sha256.size() > b.row->anchor_key_sha256.size();
}

/// A proxy that does not verify the chain, or is of a version before keys, knows less of it. A key
/// is taken for that of the same name alone: two proxies may know different anchors.
void add_anchor(UpstreamCertificateRow& into, const UpstreamCertificateRow& older) {
    if (into.anchor.empty() && into.anchor_key_sha256.empty()) {
        into.anchor = older.anchor;
        into.anchor_key_sha256 = older.anchor_key_sha256;
    } else if (into.anchor_key_sha256.empty() && into.anchor == older.anchor) {
        into.anchor_key_sha256 = older.anchor_key_sha256;
    }
}

/// Proxies have candidates of their own, and each will judge by its own once the rotation is over:
/// one that refuses is enough for sessions that fail, however much traffic the others have. One
/// that has none has not said that it suffices. A proxy that has not met the certificate for as
/// long as after which a server is gone is not asked: it may be there no more.
void judge(const std::vector<Sighting>& seen, UpstreamCertificateRow& row, Rehearsal& rehearsal) {
    std::vector<Sighting> asked = seen;
    std::erase_if(asked, [&](const Sighting& one) { return row.last_seen - one.row->last_seen > server_gone_after; });
    const auto say = [&](std::optional<bool> answer) {
        return std::any_of(asked.begin(), asked.end(),
                           [&](const Sighting& one) { return one.row->candidate_ok == answer; });
    };
    const bool is_refused = say(false), is_enough = say(true), is_open = say(std::nullopt);
    row.candidate_ok = std::nullopt;
    row.candidate_since = std::nullopt;
    if (is_refused) row.candidate_ok = false;
    if (is_enough && !is_refused && !is_open) row.candidate_ok = true;
    for (const Sighting& one : asked) {
        if (one.row->candidate_ok == false) rehearsal.refused_by.insert(one.instance);
        if (!one.row->candidate_ok && (is_enough || is_refused)) rehearsal.not_judged_by.insert(one.instance);
        if (!row.candidate_ok || one.row->candidate_ok != row.candidate_ok || !one.row->candidate_since) continue;
        // Refused since the first one did, enough since the last one said so.
        const Timestamp since = *one.row->candidate_since, so_far = row.candidate_since.value_or(since);
        row.candidate_since = *row.candidate_ok ? std::max(since, so_far) : std::min(since, so_far);
    }
    rehearsal.refused_by.erase("");  // written before proxies had ids
    rehearsal.not_judged_by.erase("");
}

}  // namespace

UpstreamCertificateRow merged_certificate(std::vector<Sighting> seen, Rehearsal& rehearsal) {
    std::stable_sort(seen.begin(), seen.end(), is_newer_sighting);
    UpstreamCertificateRow merged = *seen.front().row;
    for (auto older = std::next(seen.begin()); older != seen.end(); ++older) {
        const UpstreamCertificateRow& row = *older->row;
        add_anchor(merged, row);
        if (merged.issuer_key_id.empty()) merged.issuer_key_id = row.issuer_key_id;
        merged.groups = merged_groups(merged.groups, row.groups);
        merge_times(merged, row);
        merged.count += row.count;
    }
    judge(seen, merged, rehearsal);
    return merged;
}

}  // namespace proxy::report
