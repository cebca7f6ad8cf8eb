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
/// Without a default: the compiler names a reason that has no place here.
std::optional<Action> action_about_login(const ClientRow& row) {
    switch (row.failure_reason.value_or(Reason::none)) {
        case Reason::none: return std::nullopt;
        case Reason::server_denied:
            return is_no_fault_of_the_login(row.failure_error) ? Action::reach_the_server : Action::fix_login;
        case Reason::server_not_reached:
        case Reason::server_not_accepted:
        case Reason::server_certificate_rejected:
        case Reason::server_left:
        case Reason::no_wanted_host:
        // What the server said, or could not do.
        case Reason::server_message:
        case Reason::server_message_length:
        case Reason::sasl_nothing_left:
        case Reason::scram_message:
        case Reason::scram_iterations:
        case Reason::scram_signature: return Action::reach_the_server;
        case Reason::too_many_refusals:
        case Reason::shutting_down:
        case Reason::killed:
        case Reason::failed: return Action::relieve_the_proxy;
        case Reason::address_not_allowed:
        case Reason::proxy_not_trusted:
        case Reason::too_many_connections:
        case Reason::reserved_connections:
        case Reason::too_many_user_connections:
        case Reason::too_many_db_connections:
        case Reason::login_rate:
        case Reason::login_timeout:
        case Reason::opening_timeout:
        case Reason::tls_not_offered:
        case Reason::tls_required:
        case Reason::proxy_header_missing:
        case Reason::proxy_header:
        case Reason::password_in_clear:
        case Reason::scram_secret:
            return Action::let_in;  // users_file is ours
        // What was sent in it.
        case Reason::client_left:
        case Reason::startup_length:
        case Reason::startup_layout:
        case Reason::cancel_length:
        case Reason::unsupported_protocol:
        case Reason::repeated_request:
        case Reason::unencrypted_after_request:
        case Reason::client_message:
        case Reason::client_message_length:
        case Reason::sasl_mechanism:
        case Reason::sasl_message:
        case Reason::channel_binding_hidden:
        case Reason::channel_binding_downgrade:
        case Reason::channel_binding_failed:
        case Reason::password_message:
        case Reason::password_empty:
        case Reason::password_failed: return Action::fix_login;
        // Of a handshake, whose evidence says more.
        case Reason::tls_failed:
        case Reason::tls_abandoned: return Action::fix_tls;
        // How a session ended that had been let in: no login failed by it.
        case Reason::client_closed:
        case Reason::server_closed:
        case Reason::client_reset:
        case Reason::server_reset:
        case Reason::client_tls_error:
        case Reason::server_tls_error:
        case Reason::idle_timeout:
        case Reason::host_demoted: return std::nullopt;
    }
    return std::nullopt;
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
    const bool denied = action == Action::fix_login || row.failure_reason == Reason::server_denied;
    const bool rejected = known == Action::let_in;
    const char* const unless_denied = rejected ? "refused by the proxy" : "login not answered";
    return {.told = {.what = denied ? "login refused" : unless_denied,
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
