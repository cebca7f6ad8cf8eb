#include "protocol/fault.hpp"

namespace protocol {
namespace {

struct Row {
    std::string_view label;
    std::string_view sqlstate;
    std::string_view message;
};

/// PostgreSQL closes without a word where it cannot know that its protocol is spoken, and on a
/// CancelRequest, which is never answered.
constexpr std::string_view nobody_is_told;
constexpr std::string_view protocol_violation = "08P01";
constexpr std::string_view feature_not_supported = "0A000";
constexpr std::string_view invalid_authorization = "28000";
constexpr std::string_view invalid_password = "28P01";
constexpr std::string_view connection_failure = "08006";

// A switch and not a table: the compiler then names an enumerator that was forgotten.
constexpr Row row(Fault fault) noexcept {
    switch (fault) {
        case Fault::none: break;
        case Fault::startup_length: return {"startup_length", nobody_is_told, "invalid length of startup packet"};
        case Fault::startup_layout:
            return {"startup_layout", protocol_violation,
                    "invalid startup packet layout: expected terminator as last byte"};
        case Fault::cancel_length: return {"cancel_length", nobody_is_told, "invalid length of cancel request packet"};
        case Fault::unsupported_protocol:
            return {"unsupported_protocol", feature_not_supported,
                    "unsupported frontend protocol: only 3.x is supported"};
        case Fault::repeated_request:
            return {"repeated_request", feature_not_supported,
                    "an encryption request may be sent only once per connection"};
        case Fault::unencrypted_after_request:
            return {"unencrypted_after_request", protocol_violation, "received unencrypted data after SSL request"};
        case Fault::tls_not_offered:
            return {"tls_not_offered", invalid_authorization,
                    "client began a TLS handshake that this listener does not offer"};
        case Fault::tls_required: return {"tls_required", invalid_authorization, "this listener requires TLS"};
        case Fault::proxy_header_missing:
            return {"proxy_header_missing", nobody_is_told, "no PROXY protocol header in front of the connection"};
        case Fault::proxy_header: return {"proxy_header", nobody_is_told, "invalid PROXY protocol header"};
        case Fault::client_message:
            return {"client_message", protocol_violation, "unexpected message from the client during login"};
        case Fault::client_message_length:
            return {"client_message_length", protocol_violation,
                    "invalid length of a message from the client during login"};
        case Fault::sasl_mechanism:
            return {"sasl_mechanism", protocol_violation, "client selected an invalid SASL authentication mechanism"};
        case Fault::sasl_message:
            return {"sasl_message", protocol_violation, "malformed SCRAM message from the client"};
        case Fault::channel_binding_hidden:
            return {"channel_binding_hidden", invalid_authorization, "SCRAM channel binding negotiation error"};
        case Fault::channel_binding_downgrade:
            return {"channel_binding_downgrade", invalid_authorization, "SCRAM channel binding negotiation error"};
        case Fault::channel_binding_failed:
            return {"channel_binding_failed", invalid_authorization, "SCRAM channel binding check failed"};
        case Fault::password_message: return {"password_message", protocol_violation, "invalid password packet"};
        case Fault::password_empty: return {"password_empty", invalid_password, "empty password returned by client"};
        case Fault::password_failed: return {"password_failed", invalid_password, "password authentication failed"};
        case Fault::password_in_clear:
            return {"password_in_clear", invalid_authorization,
                    "this login needs the password, which may not cross a network in clear"};
        case Fault::server_message:
            return {"server_message", protocol_violation, "unexpected message from the server during login"};
        case Fault::server_message_length:
            return {"server_message_length", protocol_violation,
                    "invalid length of a message from the server during login"};
        case Fault::sasl_nothing_left:
            return {"sasl_nothing_left", feature_not_supported,
                    "the server offers only SCRAM-SHA-256-PLUS, which cannot cross a proxy that ends TLS"};
        case Fault::scram_message:
            return {"scram_message", protocol_violation, "malformed SCRAM message from the server"};
        case Fault::scram_iterations:
            return {"scram_iterations", protocol_violation,
                    "the server asks for more SCRAM iterations than pgairlock computes"};
        case Fault::scram_signature:
            return {"scram_signature", connection_failure,
                    "the server did not prove that it knows the user's password"};
        case Fault::scram_secret:
            return {"scram_secret", invalid_authorization,
                    "the server has another SCRAM secret for this user than users_file"};
    }
    return {"none", "00000", ""};
}

}  // namespace

std::string_view label(Fault fault) noexcept { return row(fault).label; }
std::string_view sqlstate(Fault fault) noexcept { return row(fault).sqlstate; }
std::string_view message(Fault fault) noexcept { return row(fault).message; }

}  // namespace protocol
