#include "protocol/probe_kind.hpp"

#include <algorithm>

namespace protocol {

std::string_view to_string(ProbeKind kind) noexcept {
    switch (kind) {
        case ProbeKind::untrusted: return "untrusted";
        case ProbeKind::wrong_name: return "wrong-name";
        case ProbeKind::candidate: return "candidate";
    }
    return "";
}

std::optional<ProbeKind> parse_probe_kind(std::string_view text) noexcept {
    const auto found =
        std::find_if(probe_kinds.begin(), probe_kinds.end(), [&](ProbeKind kind) { return to_string(kind) == text; });
    return found == probe_kinds.end() ? std::nullopt : std::optional(*found);
}

}  // namespace protocol
