// What follows from what was seen of one client: the facts of its connections decide, and evidence
// about its settings only adds.
#include <algorithm>
#include <optional>

#include "proxy/report/report.hpp"
#include "proxy/report/report_failures.hpp"

namespace proxy::report {
namespace {

using protocol::Evidence;
using protocol::Readiness;
using protocol::Side;
using protocol::SslMode;
using protocol::Verifies;

/// What was counted of a client after some moment.
struct Facts {
    std::uint64_t clear = 0;  ///< connections
    std::uint64_t tls = 0;
    std::uint64_t weak_tls = 0;
    Timestamp last_clear = 0;
    Timestamp last_weak = 0;
    Timestamp last_tls = 0;
    Timestamp last_login = 0;  ///< that succeeded; a session that stays open is none
};

Facts facts_after(const ClientRow& row, Timestamp after) {
    Facts facts;
    for (const auto& [day, modes] : row.days) {
        for (const auto& [mode, counted] : modes) {
            if (counted.connections == 0) continue;
            if (counted.last_seen > after) facts.last_login = std::max(facts.last_login, counted.last_seen);
            const Timestamp last = std::max(counted.last_seen, counted.open_until);
            if (mode_of(mode) == Mode::clear) {
                if (last <= after) continue;
                facts.clear += counted.connections;
                facts.last_clear = std::max(facts.last_clear, last);
                continue;
            }
            if (counted.last_seen > after) {
                facts.tls += counted.connections;
                facts.last_tls = std::max(facts.last_tls, counted.last_seen);
            }
            if (counted.weak_tls == 0 || last <= after) continue;
            facts.weak_tls += counted.weak_tls;
            facts.last_weak = std::max(facts.last_weak, last);
        }
    }
    return facts;
}

/// When what was last seen; 0: never.
struct LastSeen {
    Timestamp tls = 0;
    Timestamp clear = 0;         ///< of any kind
    Timestamp allow = 0;         ///< tls_after_clear_refused
    Timestamp unreadable = 0;    ///< of a kind that only a newer version knows
    Timestamp broken_trust = 0;  ///< the real certificate was refused, or none was even looked at
    Timestamp refused = 0;       ///< the real certificate was refused
    Timestamp fell_back = 0;     ///< it went on in clear after a certificate
    Timestamp refused_probe = 0;
};

LastSeen last_seen(const std::vector<EvidenceRow>& rows, Timestamp after) {
    LastSeen last;
    for (const EvidenceRow& row : rows) {
        if (row.possible || row.last_seen <= after) continue;
        const auto note = [&](Timestamp& when, bool applies) {
            if (applies) when = std::max(when, row.last_seen);
        };
        note(last.unreadable, !row.evidence);
        if (!row.evidence) continue;
        const protocol::Facts& facts = protocol::facts(*row.evidence);
        const protocol::Facts& amounts = protocol::facts(protocol::amounts_to(*row.evidence, row.count));
        note(last.tls, facts.side == Side::tls);
        note(last.clear, facts.side == Side::clear);
        note(last.allow, row.evidence == Evidence::tls_after_clear_refused);
        note(last.broken_trust, amounts.broken_trust);
        note(last.refused, amounts.side == Side::refused && !amounts.probe);
        note(last.fell_back, row.evidence == Evidence::clear_startup_after_refusal);
        note(last.refused_probe, facts.probe && facts.is_refusal());
    }
    // It went on after it had refused something, and of ours that can only have been the real one.
    if (last.refused_probe == 0) last.refused = std::max(last.refused, last.fell_back);
    return last;
}

protocol::Verdict verdict_of(const std::vector<EvidenceRow>& rows, Timestamp after, Timestamp unreadable,
                             Timestamp consistent_after) {
    std::vector<protocol::Observation> observations;
    for (const EvidenceRow& row : rows) {
        if (!row.evidence || row.last_seen <= after) continue;
        observations.push_back({.evidence = *row.evidence,
                                .first_seen = row.first_seen,
                                .last_seen = row.last_seen,
                                .count = row.count,
                                .possible = row.possible});
    }
    return protocol::judge(std::move(observations), {.unreadable = unreadable, .consistent_after = consistent_after});
}

/// Until when clear text, or weak TLS, is a thing of the past: for a long time there was none of
/// it, and at least as many connections as before were otherwise. 0: it is not.
Timestamp outlived(Timestamp last, std::uint64_t count, const ClientRow& row, Timestamp consistent_after) {
    if (last == 0 || consistent_after == 0) return 0;
    const Facts since = facts_after(row, last);
    return since.last_tls - last >= consistent_after && since.tls >= count ? last : 0;
}

/// Never "no" where anything came in clear: who knows what else shares the name.
Readiness breaks_on_force_ssl(const ReportClient& client, const LastSeen& last) {
    if (!client.mixed && client.sslmode.max <= SslMode::disable) return Readiness::yes;
    if (client.plain || client.mixed) return Readiness::unknown;
    if (client.sslmode.min >= SslMode::require) return Readiness::no;  // never connects in clear
    return last.tls == 0 || last.unreadable > last.tls ? Readiness::unknown : Readiness::no;
}

Readiness breaks_on_ca_rotation(const protocol::Verdict& verdict) {
    switch (verdict.ready_for_rotation) {
        case Readiness::yes: return Readiness::no;
        case Readiness::no: return verdict.interval.max > SslMode::require ? Readiness::yes : Readiness::unknown;
        case Readiness::unknown: break;
    }
    return Readiness::unknown;
}

/// `allow` sends a StartupMessage in clear too, but is not let in with it where that is refused.
bool is_plain(const Facts& facts, const LastSeen& last) {
    if (facts.clear > 0) return true;
    const bool only_tried = last.allow > 0 && last.tls > 0;
    return last.clear > 0 && !only_tried;
}

void count_failures(ReportClient& client) {
    client.failed_handshakes = client.perhaps_failed = 0;
    for (const EvidenceRow& row : client.row.evidence) {
        if (!is_failed_handshake(row)) continue;
        (is_its_own(client, row) ? client.failed_handshakes : client.perhaps_failed) += row.count;
    }
}

/// What may have been another's is no failure of its own.
Timestamp last_failure(const ReportClient& client) {
    Timestamp last = client.row.last_failure;
    for (const EvidenceRow& row : client.row.evidence) {
        if (is_its_own(client, row) && is_failed_handshake(row)) last = std::max(last, row.last_seen);
    }
    return last;
}

/// So many failures since the last success are no slip.
constexpr std::uint64_t failures_that_count = 3;

/// It never succeeded, or does not any more.
bool is_failing(const ReportClient& client, const Facts& facts, const LastSeen& last) {
    const Timestamp failed = last_failure(client);
    const Timestamp succeeded = facts.last_login;
    if (failed <= client.repaired_at || failed <= succeeded) return false;
    if (facts.clear + facts.tls == 0 || last.broken_trust > last.tls) return true;
    std::uint64_t since = 0;
    for (const auto& [day, modes] : client.row.days) {
        if (day < succeeded / day_length) continue;
        for (const auto& [mode, counted] : modes) since += counted.failures;
    }
    return since >= failures_that_count;
}

Action choose(const ReportClient& client, const Facts& facts, const LastSeen& last,
              const std::optional<Failed>& failed) {
    if (client.falls_back) return last.refused > 0 ? Action::trust_our_ca : Action::repair_fallback;
    if (client.plain && client.mixed) return Action::split;
    if (client.plain) return Action::enable_tls;
    if (failed) return failed->action;
    if (client.breaks_on_ca_rotation == Readiness::yes) return Action::update_trust_store;
    if (client.verifies == Verifies::no) return Action::verify_the_server;
    if (facts.weak_tls > 0) return Action::upgrade_tls;
    if (client.verifies == Verifies::unknown || client.breaks_on_ca_rotation == Readiness::unknown)
        return Action::probe;
    return Action::none;
}

/// What a client that fails today needs as well; nullopt: its action says it.
std::optional<Action> hidden_by(const ReportClient& client, Action of_failure) {
    if (!client.failing || client.action == of_failure) return std::nullopt;
    const bool is_the_same = client.action == Action::trust_our_ca && of_failure == Action::fix_root_certificate;
    return is_the_same ? std::nullopt : std::optional(of_failure);
}

/// What cannot be probed where it goes, and what is to be done in any case.
void send_through_us(ReportClient& client) {
    if (client.action >= Action::probe) {
        client.action = Action::go_through_us;
    } else {
        client.also = Action::go_through_us;
    }
}

/// That it falls back rests on failures at its address alone.
bool is_inferred_fallback(const ReportClient& client, Timestamp after) {
    if (!client.falls_back) return false;
    return std::none_of(client.row.evidence.begin(), client.row.evidence.end(), [&](const EvidenceRow& row) {
        return !row.possible && row.last_seen > after &&
               (row.evidence == Evidence::clear_startup_after_tls_login ||
                row.evidence == Evidence::clear_startup_after_refusal);
    });
}

}  // namespace

void evaluate(ReportClient& client, Timestamp consistent_after) {
    // Between two looks it may have been anything, so none of them proves that it was changed.
    const bool direct = client.source == Source::direct;
    if (direct) consistent_after = 0;
    count_failures(client);
    const ClientRow& row = client.row;
    Timestamp after = client.repaired_at;
    Facts facts = facts_after(row, after);
    const Timestamp past = outlived(facts.last_clear, facts.clear, row, consistent_after);
    if (past > 0) {
        after = past;
        facts = facts_after(row, after);
    }
    const Timestamp weak_past = outlived(facts.last_weak, facts.weak_tls, row, consistent_after);
    if (weak_past > 0) facts.weak_tls = 0;

    const Timestamp unreadable = last_seen(row.evidence, after).unreadable;
    const protocol::Verdict verdict = verdict_of(row.evidence, after, unreadable, consistent_after);
    const LastSeen last = last_seen(row.evidence, std::max(after, verdict.changed_at));
    client.sslmode = verdict.interval;
    client.verifies = verdict.verifies;
    client.changed_at = std::max({past, weak_past, verdict.changed_at});
    client.plain = is_plain(facts, last);
    client.mixed = verdict.mixed || (client.plain && (facts.tls > 0 || last.tls > 0));
    // A clear connection while another program's TLS failed is no fallback when it is known never
    // to ask for TLS.
    client.falls_back = verdict.falls_back && verdict.interval.max >= SslMode::prefer;
    client.perhaps_anothers_fallback = is_inferred_fallback(client, std::max(after, verdict.changed_at));
    if (client.plain && client.verifies == Verifies::yes) client.verifies = Verifies::unknown;
    client.old_tls = facts.weak_tls > 0;
    client.weak = client.plain || client.verifies == Verifies::no || client.old_tls;
    client.failing = is_failing(client, facts, last);
    client.breaks_on_force_ssl = breaks_on_force_ssl(client, last);
    client.breaks_on_ca_rotation = breaks_on_ca_rotation(verdict);
    const bool fails = client.failing || !client.known || last.broken_trust > last.tls;
    const auto failed = fails ? what_failed(client, last.broken_trust <= last.tls, after) : std::nullopt;
    client.last_failed = failed ? std::optional(failed->told) : std::nullopt;
    client.action = choose(client, facts, last, failed);
    client.also = failed ? hidden_by(client, failed->action) : std::nullopt;
    if (direct) send_through_us(client);
}

}  // namespace proxy::report
