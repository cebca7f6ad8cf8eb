// Which certificates are near their end and not yet told of today. Pure but for what it remembers;
// one thread's.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "tls/certificates.hpp"

namespace proxy {

class ExpiryWarnings {
   public:
    using Time = std::chrono::system_clock::time_point;

    /// True, once a day for each `which`: it ends within `warning`, or has ended. Zero: never.
    bool is_due(const std::string& which, Time not_after, Time now, std::chrono::milliseconds warning);

   private:
    std::map<std::string, Time> told_;
};

/// "ends in 12 days, on 2026-12-12T00:00:00Z", "has ended on ...".
std::string expiry_text(ExpiryWarnings::Time not_after, ExpiryWarnings::Time now);

}  // namespace proxy
