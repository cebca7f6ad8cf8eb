// Every way in which a client or a connection is turned away or ended: one enumerator, one label,
// one SQLSTATE, one sentence. Audit fields, metric labels, error responses and the table in
// docs/audit.md come from here.
//
// protocol::Fault stays in protocol/, for it is about bytes alone; each fault is a reason by the
// same name, and its row is the fault's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/fault.hpp"

namespace proxy {

enum class Reason : std::uint8_t {
    none,
    // At accept.
    address_not_allowed,   // the client's address is not in the listener's allow
    proxy_not_trusted,     // the listener takes connections of trusted_proxies alone
    too_many_connections,  // max_connections, or one of its kin
    reserved_connections,  // what is left of max_connections is for reserved_users
    too_many_user_connections,
    too_many_db_connections,
    login_rate,         // login_rate_per_address
    too_many_refusals,  // too many clients are being told already that they are turned away
    // At any time.
    login_timeout,    // client_login_timeout
    opening_timeout,  // client_opening_timeout
    shutting_down,    // the drain, its end, or a second signal
    // The client's opening (protocol::Fault).
    startup_length,
    startup_layout,
    cancel_length,
    unsupported_protocol,
    repeated_request,
    unencrypted_after_request,
    tls_not_offered,
    tls_required,
    proxy_header_missing,
    proxy_header,
    // The client's TLS.
    tls_failed,     // it failed on our side: no version or cipher in common, a client certificate
    tls_abandoned,  // the client did not go on: what its evidence is about
    // The server connection.
    server_not_reached,           // no TCP connection, or not in time
    server_not_accepted,          // reached, and not what sslmode demands
    server_certificate_rejected,  // reached, and its certificate does not verify
    server_left,                  // closed its connection during the login
    no_wanted_host,               // reached, and not what target_session_attrs wants
    // The login.
    server_denied,  // the server's own ErrorResponse, passed on
    client_left,    // before it had answered everything
    // The login, by what was sent in it (protocol::Fault).
    client_message,
    client_message_length,
    sasl_mechanism,
    sasl_message,
    channel_binding_hidden,
    channel_binding_downgrade,
    channel_binding_failed,
    password_message,
    password_empty,
    password_failed,
    password_in_clear,
    server_message,
    server_message_length,
    sasl_nothing_left,
    scram_message,
    scram_iterations,
    scram_signature,
    scram_secret,
    // A session that was relayed: whose end came first.
    client_closed,
    server_closed,
    client_reset,
    server_reset,
    client_tls_error,
    server_tls_error,
    idle_timeout,
    killed,        // by KILL on the console
    host_demoted,  // on_demotion: its server takes no writes any more
    failed,        // our own: out of memory
};

/// How many there are, `none` among them.
constexpr std::size_t reasons = static_cast<std::size_t>(Reason::failed) + 1;

Reason reason(protocol::Fault fault) noexcept;

/// Short and stable: the audit's `reason`.
std::string_view label(Reason reason) noexcept;
/// nullopt: none of these, such as one of a newer version.
std::optional<Reason> parse_reason(std::string_view label) noexcept;
/// Five characters (PostgreSQL docs, appendix A). Empty: nobody is told, or the server told it.
std::string_view sqlstate(Reason reason) noexcept;
/// For people: what the client is told begins with it.
std::string_view sentence(Reason reason) noexcept;

}  // namespace proxy
