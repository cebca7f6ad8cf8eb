// What is wrong with the certificate that a certificate probe shows ([audit.probe]).
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace protocol {

enum class ProbeKind {
    untrusted,   // its issuer is known to nobody
    wrong_name,  // the real issuer, a name that nobody asks for
    candidate,   // nothing: it is what clients will meet after the rotation
};

inline constexpr std::array probe_kinds{ProbeKind::untrusted, ProbeKind::wrong_name, ProbeKind::candidate};

/// "untrusted", "wrong-name", "candidate".
std::string_view to_string(ProbeKind kind) noexcept;
std::optional<ProbeKind> parse_probe_kind(std::string_view text) noexcept;

}  // namespace protocol
