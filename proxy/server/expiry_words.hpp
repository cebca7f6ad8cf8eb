// What is said of certificates that end: as an event, as lines of the log, and the name by which it
// is known what was told. Pure: the clock is an argument.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "proxy/observation/event.hpp"
#include "proxy/record/expiry_warnings.hpp"
#include "proxy/route/in_use.hpp"

namespace proxy {

tls::Validity validity_of(const InUse& one);

/// "anchor upstream orders 5e88...": for ExpiryWarnings.
std::string name_of(const InUse& one);

/// A certificate_expiring. `moment`: not none.
Event event_of(const InUse& one, ExpiryMoment moment, WallTime now);

/// To the message, how many others of its server were left out (`count`).
void add_left_out(Event& event);

/// With that event's message, as all lines of the log have it: "upstream \"orders\": CN=root
/// (FILE): a trust anchor ends in ...".
std::string line_of(const InUse& one, const std::string& message);

/// How many of a bundle that are only counted.
struct NearEnds {
    std::size_t near = 0;
    std::size_t ended = 0;
    bool operator==(const NearEnds&) const = default;
};

/// Of those that are not is_watched(), by user and bundle, as line_of() says it. Without a bundle
/// of which none comes near its end.
std::map<std::string, NearEnds> near_ends_of_others(const std::vector<InUse>& all, WallTime now,
                                                    std::chrono::milliseconds warning);

/// "upstream \"orders\": of the trust anchors in FILE that no connection has needed so far, 6 have
/// ended and 2 end soon".
std::string line_of(const std::string& which, const NearEnds& ends);

}  // namespace proxy
