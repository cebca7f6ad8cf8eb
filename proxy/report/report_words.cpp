// What the report's formats have in common: words, times, harmless text.
#include <chrono>

#include "protocol/utf8.hpp"
#include "proxy/report/report.hpp"
#include "tls/certificates.hpp"

namespace proxy::report {
namespace {

/// Code points that move the cursor, change colours or reorder what is read: C0, DEL, C1, and
/// Unicode's direction marks.
bool is_harmful(std::string_view sequence) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
    if (sequence.size() == 1) return at(0) < 0x20 || at(0) == 0x7f;
    if (sequence.size() == 2) return (at(0) == 0xc2 && at(1) < 0xa0) || (at(0) == 0xd8 && at(1) == 0x9c);
    if (sequence.size() != 3 || at(0) != 0xe2) return false;
    const bool marks = at(1) == 0x80 && (at(2) == 0x8e || at(2) == 0x8f || (at(2) >= 0xa8 && at(2) <= 0xae));
    const bool isolates = at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9;
    return marks || isolates;
}

std::size_t length_of(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
}

}  // namespace

std::string_view to_string(Action action) noexcept {
    switch (action) {
        case Action::enable_tls: return "enable TLS";
        case Action::repair_fallback: return "repair fallback";
        case Action::fix_root_certificate: return "fix root certificate";
        case Action::update_trust_store: return "update trust store";
        case Action::verify_the_server: return "verify the server";
        case Action::upgrade_tls: return "upgrade TLS";
        case Action::probe: return "probe";
        case Action::none: return "none";
    }
    return "";
}

Mode mode_of(std::string_view text) noexcept {
    if (text == "plain") return Mode::clear;
    if (text == "SSLv3" || text == "TLSv1" || text == "TLSv1.1") return Mode::old_tls;
    if (text == "TLSv1.2") return Mode::tls12;
    return text == "TLSv1.3" ? Mode::tls13 : Mode::other;
}

std::string_view explain(Action action) noexcept {
    switch (action) {
        case Action::enable_tls:
            return "connects in clear text: set sslmode=verify-full with a root certificate, or at least require";
        case Action::repair_fallback:
            return "sslmode=prefer: goes on in clear text when TLS or the login over it fails; set verify-full";
        case Action::fix_root_certificate:
            return "fails today: has no root certificate, or one that does not know the certificate it is shown";
        case Action::update_trust_store:
            return "verifies, and refused the candidate: give it the new CA before the rotation";
        case Action::verify_the_server:
            return "uses TLS but would accept an impostor: set sslmode=verify-full with a root certificate";
        case Action::upgrade_tls: return "TLS below 1.2 or a weak cipher: update its TLS library";
        case Action::probe:
            return "what it verifies, or whether it accepts the candidate, was never seen: probe it ([audit.probe])";
        case Action::none: return "nothing to do";
    }
    return "";
}

std::string time_text(Timestamp time) {
    return tls::to_rfc3339(std::chrono::system_clock::time_point(std::chrono::microseconds(time)));
}

std::string day_text(std::int64_t day) { return time_text(day * day_length).substr(0, 10); }

std::string printable(std::string_view text) {
    const std::string valid = protocol::as_utf8(text);
    std::string out;
    for (std::size_t i = 0; i < valid.size();) {
        const std::string_view sequence = std::string_view(valid).substr(i, length_of(valid[i]));
        out += is_harmful(sequence) ? "\xef\xbf\xbd" : sequence;
        i += sequence.size();
    }
    return out;
}

std::string interval_text(protocol::SslModeInterval interval) {
    using protocol::SslMode;
    const std::string min(protocol::to_string(interval.min));
    const std::string max(protocol::to_string(interval.max));
    if (interval.min == interval.max) return min;
    if (interval.min == SslMode::disable && interval.max == SslMode::verify_full) return "unknown";
    if (interval.min == SslMode::disable) return "<= " + max;
    if (interval.max == SslMode::verify_full) return ">= " + min;
    return min + ".." + max;
}

}  // namespace proxy::report
