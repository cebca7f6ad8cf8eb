#include "proxy/observation/reason.hpp"

namespace proxy {
namespace {

using protocol::Fault;

struct Row {
    std::string_view label;
    std::string_view sqlstate;
    std::string_view sentence;
};

/// cannot_connect_now: the only one after which libpq goes to the next host of its list and
/// pg_isready says "rejecting"; after any other, sslmode=prefer comes back in clear. So for all
/// that another host, or a later moment, may cure (docs/connection.md).
constexpr std::string_view cannot_connect_now = "57P03";

Row of(Fault fault) noexcept { return {protocol::label(fault), protocol::sqlstate(fault), protocol::message(fault)}; }

// A switch and not a table: the compiler then names an enumerator that was forgotten. As long as
// the list, and no longer.
Row row(Reason reason) noexcept {
    switch (reason) {
        case Reason::none: break;
        case Reason::address_not_allowed: return {"address_not_allowed", "28000", "no entry in \"allow\""};
        case Reason::proxy_not_trusted: return {"proxy_not_trusted", "28000", "no entry in \"trusted_proxies\""};
        case Reason::too_many_connections: return {"too_many_connections", "53300", "sorry, too many clients already"};
        // These three as PostgreSQL's, of which the second and third are followed by a name.
        case Reason::reserved_connections:
            return {"reserved_connections", "53300", "remaining connection slots are reserved"};
        case Reason::too_many_user_connections:
            return {"too_many_user_connections", "53300", "too many connections for role"};
        case Reason::too_many_db_connections:
            return {"too_many_db_connections", "53300", "too many connections for database"};
        case Reason::login_rate: return {"login_rate", "53300", "too many logins of one address"};
        case Reason::too_many_refusals:
            return {"too_many_refusals", "", "too many clients are being turned away already"};
        // As PostgreSQL's authentication_timeout.
        case Reason::login_timeout: return {"login_timeout", "57014", "canceling authentication due to timeout"};
        case Reason::opening_timeout: return {"opening_timeout", "57014", "canceling authentication due to timeout"};
        case Reason::shutting_down: return {"shutting_down", cannot_connect_now, "pgairlock is shutting down"};
        case Reason::startup_length: return of(Fault::startup_length);
        case Reason::startup_layout: return of(Fault::startup_layout);
        case Reason::cancel_length: return of(Fault::cancel_length);
        case Reason::unsupported_protocol: return of(Fault::unsupported_protocol);
        case Reason::repeated_request: return of(Fault::repeated_request);
        case Reason::unencrypted_after_request: return of(Fault::unencrypted_after_request);
        case Reason::tls_not_offered: return of(Fault::tls_not_offered);
        case Reason::tls_required: return of(Fault::tls_required);
        case Reason::proxy_header_missing: return of(Fault::proxy_header_missing);
        case Reason::proxy_header: return of(Fault::proxy_header);
        case Reason::tls_failed: return {"tls_failed", "", "TLS handshake with the client failed"};
        case Reason::tls_abandoned: return {"tls_abandoned", "", "the client did not go on with TLS"};
        case Reason::server_not_reached:
            return {"server_not_reached", cannot_connect_now, "could not connect to upstream"};
        case Reason::server_not_accepted:
            return {"server_not_accepted", cannot_connect_now, "could not connect to upstream"};
        case Reason::server_certificate_rejected:
            return {"server_certificate_rejected", cannot_connect_now, "certificate of upstream"};
        case Reason::server_left:
            return {"server_left", cannot_connect_now, "server closed the connection unexpectedly"};
        case Reason::no_wanted_host: return {"no_wanted_host", cannot_connect_now, "could not connect to upstream"};
        case Reason::server_denied: return {"server_denied", "", "the server denied the login"};
        case Reason::client_left: return {"client_left", "", "client closed the connection during login"};
        case Reason::client_message: return of(Fault::client_message);
        case Reason::client_message_length: return of(Fault::client_message_length);
        case Reason::sasl_mechanism: return of(Fault::sasl_mechanism);
        case Reason::sasl_message: return of(Fault::sasl_message);
        case Reason::channel_binding_hidden: return of(Fault::channel_binding_hidden);
        case Reason::channel_binding_downgrade: return of(Fault::channel_binding_downgrade);
        case Reason::channel_binding_failed: return of(Fault::channel_binding_failed);
        case Reason::password_message: return of(Fault::password_message);
        case Reason::password_empty: return of(Fault::password_empty);
        case Reason::password_failed: return of(Fault::password_failed);
        case Reason::password_in_clear: return of(Fault::password_in_clear);
        case Reason::server_message: return of(Fault::server_message);
        case Reason::server_message_length: return of(Fault::server_message_length);
        case Reason::sasl_nothing_left: return of(Fault::sasl_nothing_left);
        case Reason::scram_message: return of(Fault::scram_message);
        case Reason::scram_iterations: return of(Fault::scram_iterations);
        case Reason::scram_signature: return of(Fault::scram_signature);
        case Reason::scram_secret: return of(Fault::scram_secret);
        case Reason::client_closed: return {"client_closed", "", "the client closed the session"};
        case Reason::server_closed: return {"server_closed", "", "the server closed the session"};
        case Reason::client_reset: return {"client_reset", "", "the connection to the client broke"};
        case Reason::server_reset: return {"server_reset", "", "the connection to the server broke"};
        case Reason::client_tls_error: return {"client_tls_error", "", "the TLS connection to the client broke"};
        case Reason::server_tls_error: return {"server_tls_error", "", "the TLS connection to the server broke"};
        // As PostgreSQL's idle_session_timeout.
        case Reason::idle_timeout: return {"idle_timeout", "57P05", "no byte in either direction for idle_timeout"};
        // As pg_terminate_backend().
        case Reason::killed: return {"killed", "57P01", "ended on the console"};
        // As PostgreSQL's when it shuts down, after which drivers and pools connect anew.
        case Reason::host_demoted: return {"host_demoted", "57P01", "the server takes no writes any more"};
        case Reason::failed: return {"failed", "XX000", "pgairlock could not go on"};
    }
    return {"none", "", ""};
}

}  // namespace

Reason reason(Fault fault) noexcept {
    switch (fault) {
        case Fault::none: break;
        case Fault::startup_length: return Reason::startup_length;
        case Fault::startup_layout: return Reason::startup_layout;
        case Fault::cancel_length: return Reason::cancel_length;
        case Fault::unsupported_protocol: return Reason::unsupported_protocol;
        case Fault::repeated_request: return Reason::repeated_request;
        case Fault::unencrypted_after_request: return Reason::unencrypted_after_request;
        case Fault::tls_not_offered: return Reason::tls_not_offered;
        case Fault::tls_required: return Reason::tls_required;
        case Fault::proxy_header_missing: return Reason::proxy_header_missing;
        case Fault::proxy_header: return Reason::proxy_header;
        case Fault::client_message: return Reason::client_message;
        case Fault::client_message_length: return Reason::client_message_length;
        case Fault::sasl_mechanism: return Reason::sasl_mechanism;
        case Fault::sasl_message: return Reason::sasl_message;
        case Fault::channel_binding_hidden: return Reason::channel_binding_hidden;
        case Fault::channel_binding_downgrade: return Reason::channel_binding_downgrade;
        case Fault::channel_binding_failed: return Reason::channel_binding_failed;
        case Fault::password_message: return Reason::password_message;
        case Fault::password_empty: return Reason::password_empty;
        case Fault::password_failed: return Reason::password_failed;
        case Fault::password_in_clear: return Reason::password_in_clear;
        case Fault::server_message: return Reason::server_message;
        case Fault::server_message_length: return Reason::server_message_length;
        case Fault::sasl_nothing_left: return Reason::sasl_nothing_left;
        case Fault::scram_message: return Reason::scram_message;
        case Fault::scram_iterations: return Reason::scram_iterations;
        case Fault::scram_signature: return Reason::scram_signature;
        case Fault::scram_secret: return Reason::scram_secret;
    }
    return Reason::none;
}

std::string_view label(Reason reason) noexcept { return row(reason).label; }
std::optional<Reason> parse_reason(std::string_view text) noexcept {
    for (std::size_t i = 0; i < reasons; ++i) {
        if (label(static_cast<Reason>(i)) == text) return static_cast<Reason>(i);
    }
    return std::nullopt;
}
std::string_view sqlstate(Reason reason) noexcept { return row(reason).sqlstate; }
std::string_view sentence(Reason reason) noexcept { return row(reason).sentence; }

}  // namespace proxy
