// How many ends of certificates are told of what one address shows: a server may have a new chain
// for each login. Pure: the clock is an argument.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "tls/recently_used.hpp"

namespace proxy {

/// One thread's.
class ExpiryBudget {
   public:
    using Clock = std::chrono::steady_clock;
    using Place = std::pair<std::string, std::string>;  ///< upstream, address

    /// Of one address within `interval`.
    static constexpr unsigned max_told = 10;
    static constexpr std::chrono::hours interval{1};
    /// Some 2 MiB.
    static constexpr std::size_t max_places = 4096;

    /// False: it is too much for people, and `which` is counted, once while it is asked about. It
    /// may be told later, if it is still shown then.
    bool may_tell(const Place& place, const std::string& which, Clock::time_point now);
    /// How many were not told since the last that was, without `which`.
    std::uint64_t left_out(const Place& place, const std::string& which);
    /// One was told; what is left out is counted anew.
    void note_told(const Place& place);

   private:
    struct Told {
        unsigned number = 0;           // until:
        Clock::time_point fresh_at{};  // when that begins anew
        std::uint64_t left_out = 0;
        std::deque<std::string> counted;  // of those, the last few
    };

    tls::RecentlyUsed<Place, Told> told_{max_places};
};

}  // namespace proxy
