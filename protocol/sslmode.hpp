// The sslmode scale of libpq and the closed interval of it that is known about a client.
//
// A client's sslmode never crosses the wire; each observation narrows an interval
// (docs/verification.md).
#pragma once

#include <optional>
#include <string_view>

namespace protocol {

/// libpq's sslmode values, weakest first, so that they compare (PostgreSQL docs, "SSL Mode
/// Descriptions").
enum class SslMode { disable, allow, prefer, require, verify_ca, verify_full };

std::string_view to_string(SslMode mode) noexcept;
std::optional<SslMode> parse_sslmode(std::string_view text) noexcept;

/// What `verifies` says in audit lines and reports.
enum class Verifies { no, yes, unknown };

std::string_view to_string(Verifies verifies) noexcept;

/// min <= max always holds.
struct SslModeInterval {
    SslMode min = SslMode::disable;
    SslMode max = SslMode::verify_full;

    bool operator==(const SslModeInterval&) const = default;

    /// no: would accept an impostor; yes: checks at least the chain.
    Verifies verifies() const noexcept;
};

/// nullopt when nothing satisfies both: the client changed, or two programs share one key.
std::optional<SslModeInterval> intersect(SslModeInterval a, SslModeInterval b) noexcept;

}  // namespace protocol
