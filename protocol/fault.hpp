// Everything that can be wrong with what a peer sends before the relay begins: one enumerator, one
// label, one SQLSTATE, one sentence.
#pragma once

#include <string_view>

namespace protocol {

enum class Fault {
    none,
    // What a client sends.
    startup_length,             // shorter than 8 bytes, or longer than PostgreSQL accepts
    startup_layout,             // parameters that do not end where the packet ends
    cancel_length,              // a CancelRequest with no key, or one over 256 bytes
    unsupported_protocol,       // neither 3.x nor a known request code
    repeated_request,           // a second SSLRequest or GSSENCRequest
    unencrypted_after_request,  // bytes in clear behind SSLRequest or GSSENCRequest (CVE-2021-23214)
    tls_not_offered,            // a ClientHello where this listener offers no TLS, or after our 'N'
    tls_required,               // a StartupMessage in clear where TLS is required
    proxy_header_missing,       // no PROXY protocol header where one must be
    proxy_header,               // a PROXY protocol header that is not as specified, or ends too early
    client_message,             // not the message that the login waits for
    client_message_length,      // a login message over the limit
    sasl_mechanism,             // chose a SASL mechanism that was not offered
    sasl_message,               // a SASL message that cannot be read, or breaks SCRAM's rules
    channel_binding_hidden,     // gs2 flag 'y': would be refused by the server as downgraded
    channel_binding_downgrade,  // gs2 flag 'y' although we offered channel binding: somebody took it away
    channel_binding_failed,     // bound to another certificate than ours
    password_message,           // a PasswordMessage that cannot be read
    password_empty,             // no password
    password_failed,            // not the user's password, or not a user
    password_in_clear,          // the password is needed, but this leg would carry it in clear through a network
    // What a server sends.
    server_message,         // not a message of the login
    server_message_length,  // a login message over the limit
    sasl_nothing_left,      // offers nothing but channel binding
    scram_message,          // a SCRAM message that cannot be read, or does not answer ours
    scram_iterations,       // wants more PBKDF2 than max_scram_iterations
    scram_signature,        // does not prove that it knows the password
    scram_secret,           // has another SCRAM secret than our users_file
};

/// Short and stable: the audit's `reason`.
std::string_view label(Fault fault) noexcept;
/// Five characters (PostgreSQL docs, appendix A). Empty: the peer is told nothing.
std::string_view sqlstate(Fault fault) noexcept;
/// For a log line or an ErrorResponse; never holds bytes from the wire.
std::string_view message(Fault fault) noexcept;

}  // namespace protocol
