#include "proxy/report/report_failures.hpp"

#include <algorithm>

namespace proxy::report {
namespace {

using protocol::Evidence;
using protocol::Side;

/// The server's own words for: not now. Classes 53 and 57 of its SQLSTATEs (PostgreSQL docs,
/// appendix A).
bool is_no_fault_of_the_login(std::string_view error) { return error.starts_with("53") || error.starts_with("57P0"); }

/// Whose matter it is that a login failed: the client's, this proxy's rules or its shortage, or the
/// server's. nullopt: inventories before version 5 do not know, nor those of a newer pgairlock.
std::optional<Action> action_about_login(const ClientRow& row) {
    switch (row.failure_reason.value_or(Reason::none)) {
        case Reason::none: return std::nullopt;
        case Reason::server_denied:
            return is_no_fault_of_the_login(row.failure_error) ? Action::reach_the_server : Action::fix_login;
        case Reason::server_not_reached:
        case Reason::server_not_accepted:
        case Reason::server_certificate_rejected:
        case Reason::server_left: return Action::reach_the_server;
        case Reason::too_many_refusals:
        case Reason::shutting_down:
        case Reason::killed:
        case Reason::failed: return Action::relieve_the_proxy;
        case Reason::address_not_allowed:
        case Reason::too_many_connections:
        case Reason::login_timeout:
        case Reason::opening_timeout:
        case Reason::tls_not_offered:
        case Reason::tls_required: return Action::let_in;
        default: return Action::fix_login;  // what was sent in it
    }
}

/// Of days alone: whether any login of the last one with failures was refused.
bool was_refused(const ClientRow& row) {
    for (auto day = row.days.rbegin(); day != row.days.rend(); ++day) {
        std::uint64_t failures = 0, refused = 0;
        for (const auto& [mode, counted] : day->second) {
            failures += counted.failures;
            refused += counted.auth_failed;
        }
        if (failures > 0) return refused > 0;
    }
    return false;
}

/// What a login that failed was last seen with is of that login, unless an older kind was seen
/// since.
std::string session_of_login(const ClientRow& row) {
    Timestamp last = 0;
    std::string session;
    for (const EvidenceRow& evidence : row.evidence) {
        if (evidence.possible || is_failed_handshake(evidence) || evidence.last_seen < last) continue;
        last = evidence.last_seen;
        session = evidence.session;
    }
    return session;
}

/// What was refused, or answered by nobody, once the names were known.
Failed failed_login(const ClientRow& row) {
    const auto known = action_about_login(row);
    const Action action = known.value_or(was_refused(row) ? Action::fix_login : Action::let_in);
    const bool refused = action == Action::fix_login || row.failure_reason == Reason::server_denied;
    return {.told = {.what = refused ? "login refused" : "login not answered",
                     .time = row.last_failure,
                     .error = row.failure_error,
                     .session = session_of_login(row)},
            .action = action};
}

Action action_about(const EvidenceRow& handshake) {
    const protocol::Facts& facts = protocol::facts(protocol::amounts_to(*handshake.evidence, handshake.count));
    if (facts.side == Side::refused || handshake.evidence == Evidence::no_client_hello)
        return Action::fix_root_certificate;
    if (facts.side == Side::left_silently) return Action::ask_its_owner;
    return handshake.evidence == Evidence::closed_after_no ? Action::offer_tls : Action::fix_tls;
}

}  // namespace

bool is_failed_handshake(const EvidenceRow& row) {
    if (!row.evidence) return false;
    const protocol::Facts& facts = protocol::facts(*row.evidence);
    return !facts.probe && (facts.is_refusal() || facts.side == Side::closed_earlier);
}

bool is_its_own(const ReportClient& client, const EvidenceRow& row) { return !row.possible || !client.known; }

std::optional<Failed> what_failed(const ReportClient& client, bool connects, Timestamp after) {
    const EvidenceRow* handshake = nullptr;
    for (const EvidenceRow& row : client.row.evidence) {
        if (!is_failed_handshake(row) || row.last_seen <= after || !is_its_own(client, row)) continue;
        if (!handshake || row.last_seen >= handshake->last_seen) handshake = &row;
    }
    if (client.row.last_failure > (handshake ? handshake->last_seen : after) && (connects || !handshake))
        return failed_login(client.row);
    if (!handshake) return std::nullopt;
    return Failed{.told = {.what = handshake->label,
                           .time = handshake->last_seen,
                           .error = client.error,
                           .session = handshake->session},
                  .action = action_about(*handshake)};
}

}  // namespace proxy::report
