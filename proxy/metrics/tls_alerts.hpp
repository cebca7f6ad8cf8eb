// The alerts of TLS by name, a closed list: a metric's label.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace proxy {

struct TlsAlert {
    int number;
    std::string_view name;
};

/// RFC 8446, 6, RFC 5246, 7.2, and RFC 7301 (no_application_protocol). The first stands for none,
/// the last for all that are not in the list.
inline constexpr std::array tls_alerts{TlsAlert{-1, "none"},
                                       TlsAlert{0, "close_notify"},
                                       TlsAlert{10, "unexpected_message"},
                                       TlsAlert{20, "bad_record_mac"},
                                       TlsAlert{21, "decryption_failed"},
                                       TlsAlert{22, "record_overflow"},
                                       TlsAlert{30, "decompression_failure"},
                                       TlsAlert{40, "handshake_failure"},
                                       TlsAlert{41, "no_certificate"},
                                       TlsAlert{42, "bad_certificate"},
                                       TlsAlert{43, "unsupported_certificate"},
                                       TlsAlert{44, "certificate_revoked"},
                                       TlsAlert{45, "certificate_expired"},
                                       TlsAlert{46, "certificate_unknown"},
                                       TlsAlert{47, "illegal_parameter"},
                                       TlsAlert{48, "unknown_ca"},
                                       TlsAlert{49, "access_denied"},
                                       TlsAlert{50, "decode_error"},
                                       TlsAlert{51, "decrypt_error"},
                                       TlsAlert{60, "export_restriction"},
                                       TlsAlert{70, "protocol_version"},
                                       TlsAlert{71, "insufficient_security"},
                                       TlsAlert{80, "internal_error"},
                                       TlsAlert{86, "inappropriate_fallback"},
                                       TlsAlert{90, "user_canceled"},
                                       TlsAlert{100, "no_renegotiation"},
                                       TlsAlert{109, "missing_extension"},
                                       TlsAlert{110, "unsupported_extension"},
                                       TlsAlert{111, "certificate_unobtainable"},
                                       TlsAlert{112, "unrecognized_name"},
                                       TlsAlert{113, "bad_certificate_status_response"},
                                       TlsAlert{114, "bad_certificate_hash_value"},
                                       TlsAlert{115, "unknown_psk_identity"},
                                       TlsAlert{116, "certificate_required"},
                                       TlsAlert{120, "no_application_protocol"},
                                       TlsAlert{-2, "other"}};

/// Where in the list.
constexpr std::size_t index_of_alert(int number) noexcept {
    for (std::size_t i = 0; i + 1 < tls_alerts.size(); ++i) {
        if (tls_alerts[i].number == number || (number < 0 && i == 0)) return i;
    }
    return tls_alerts.size() - 1;
}

}  // namespace proxy
