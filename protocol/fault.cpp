#include "protocol/fault.hpp"

namespace protocol {
namespace {

struct Row {
    std::string_view label;
    std::string_view sqlstate;
    std::string_view message;
};

constexpr std::string_view protocol_violation = "08P01";
constexpr std::string_view feature_not_supported = "0A000";
constexpr std::string_view invalid_authorization = "28000";

// A switch and not a table: the compiler then names an enumerator that was forgotten.
constexpr Row row(Fault fault) noexcept {
    switch (fault) {
        case Fault::none: break;
        case Fault::startup_length: return {"startup_length", protocol_violation, "invalid length of startup packet"};
        case Fault::startup_layout:
            return {"startup_layout", protocol_violation, "invalid startup packet layout: expected terminator as last byte"};
        case Fault::cancel_length: return {"cancel_length", protocol_violation, "invalid length of cancel request packet"};
        case Fault::unsupported_protocol:
            return {"unsupported_protocol", feature_not_supported, "unsupported frontend protocol: only 3.x is supported"};
        case Fault::repeated_request:
            return {"repeated_request", protocol_violation, "an encryption request may be sent only once per connection"};
        case Fault::unencrypted_after_request:
            return {"unencrypted_after_request", protocol_violation, "received unencrypted data after SSL request"};
        case Fault::tls_not_offered:
            return {"tls_not_offered", invalid_authorization, "client began a TLS handshake that this listener does not offer"};
        case Fault::tls_required: return {"tls_required", invalid_authorization, "this listener requires TLS"};
        case Fault::client_message: return {"client_message", protocol_violation, "unexpected message from the client during login"};
        case Fault::client_message_length:
            return {"client_message_length", protocol_violation, "invalid length of a message from the client during login"};
        case Fault::sasl_mechanism:
            return {"sasl_mechanism", protocol_violation, "client selected an invalid SASL authentication mechanism"};
        case Fault::sasl_message: return {"sasl_message", protocol_violation, "malformed SASLInitialResponse from the client"};
        case Fault::channel_binding_hidden:
            return {"channel_binding_hidden", invalid_authorization, "SCRAM channel binding negotiation error"};
        case Fault::server_message:
            return {"server_message", protocol_violation, "unexpected message from the server during login"};
        case Fault::server_message_length:
            return {"server_message_length", protocol_violation, "invalid length of a message from the server during login"};
        case Fault::sasl_nothing_left:
            return {"sasl_nothing_left", feature_not_supported,
                    "the server offers only SCRAM-SHA-256-PLUS, which cannot cross a proxy that ends TLS"};
    }
    return {"none", "00000", ""};
}

}  // namespace

std::string_view label(Fault fault) noexcept { return row(fault).label; }
std::string_view sqlstate(Fault fault) noexcept { return row(fault).sqlstate; }
std::string_view message(Fault fault) noexcept { return row(fault).message; }

}  // namespace protocol
