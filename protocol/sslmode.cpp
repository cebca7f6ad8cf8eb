#include "protocol/sslmode.hpp"

#include <algorithm>
#include <array>

namespace protocol {
namespace {

constexpr std::array<std::string_view, 6> names{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};

}  // namespace

std::string_view to_string(SslMode mode) noexcept { return names[static_cast<std::size_t>(mode)]; }

std::optional<SslMode> parse_sslmode(std::string_view text) noexcept {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) return std::nullopt;
    return static_cast<SslMode>(found - names.begin());
}

std::string_view to_string(Verifies verifies) noexcept {
    switch (verifies) {
        case Verifies::no: return "no";
        case Verifies::yes: return "yes";
        case Verifies::unknown: break;
    }
    return "unknown";
}

Verifies SslModeInterval::verifies() const noexcept {
    if (max <= SslMode::require) return Verifies::no;
    if (min >= SslMode::verify_ca) return Verifies::yes;
    return Verifies::unknown;
}

std::optional<SslModeInterval> intersect(SslModeInterval a, SslModeInterval b) noexcept {
    const SslModeInterval both{.min = std::max(a.min, b.min), .max = std::min(a.max, b.max)};
    if (both.min > both.max) return std::nullopt;
    return both;
}

}  // namespace protocol
