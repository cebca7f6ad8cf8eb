// When an operator is told that a certificate ends, or does not begin yet, and what was told
// already. Pure: the clock is an argument, and whoever has a file gives and takes its text. One
// thread's.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tls/certificates.hpp"

namespace proxy {

/// What is told of a certificate, each once. In the order of urgency.
enum class ExpiryMoment {
    none,
    begins,  // of audit.expiry_warning
    week,    // seven days are left
    day,     // one day is left
    ended,
    not_yet_valid,  // it begins in the future: this clock is wrong, or its issuer's was
};

/// A word each, which is never changed: "none", "begins", "week", "day", "ended", "not_yet_valid".
std::string_view label(ExpiryMoment moment) noexcept;

using WallTime = std::chrono::system_clock::time_point;

/// Which of them it is. `warning`: how long before the end it begins; those of a week and of a day
/// are none before that. Zero: none ever is.
ExpiryMoment moment_of(const tls::Validity& validity, WallTime now, std::chrono::milliseconds warning) noexcept;

/// "ends in 12 days, on 2026-12-12T00:00:00Z", "has ended on ...", "is not valid before ..., and
/// this host's clock says ...".
std::string expiry_text(const tls::Validity& validity, WallTime now);

/// Of what was told. A clock that is set forward makes what it makes due, as a machine that slept
/// does; one that is set back makes it be told again when its time comes, so that a clock that was
/// once wrong leaves nothing untold.
class ExpiryWarnings {
   public:
    /// Far more than are used at a time. Beyond that new ones are not remembered: those alone are
    /// told again at each look.
    static constexpr std::size_t max_told = 10'000;
    /// What was not in use for so long is forgotten.
    static constexpr std::chrono::hours memory{24 * 400};

    /// Which moment of the certificate `which` is to be told now; none: nothing, or it was told. It
    /// is due until note_told().
    ExpiryMoment due(const std::string& which, const tls::Validity& validity, WallTime now,
                     std::chrono::milliseconds warning);
    /// What due() has said was told.
    void note_told(const std::string& which, ExpiryMoment moment, WallTime now);

    /// What was told, as text(). False: it was not all readable, and the rest will be told again.
    bool restore(std::string_view text, WallTime now);
    /// One line for each certificate, without what is forgotten at `now`.
    std::string text(WallTime now);
    /// Whether text() has changed since note_kept().
    bool has_changed() const noexcept { return changed_; }
    /// The last text() is where a restart finds it.
    void note_kept() noexcept { changed_ = false; }

   private:
    struct Told {
        ExpiryMoment end = ExpiryMoment::none;
        bool not_yet_valid = false;
        WallTime seen{};
    };
    bool make_room(WallTime now);

    std::map<std::string, Told> told_;
    bool changed_ = false;
};

}  // namespace proxy
