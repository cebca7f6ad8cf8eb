// How often a password was wrong of late, by address and by user, so that guessing becomes slow.
//
// It delays the answer to a wrong password alone, as PostgreSQL's auth_delay: a right one is never
// held up, whatever others did from its address or with its name. Cold path: one look per failure
// under one mutex. Bounded and forgetful.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "tls/recently_used.hpp"

namespace proxy {

class FailedLogins {
   public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::milliseconds longest_delay{2'000};
    static constexpr std::chrono::minutes memory{1};
    static constexpr std::size_t max_remembered = 10'000;

    /// Another one. How long the client is to wait for its answer: not at all the first time, then
    /// twice as long each time.
    std::chrono::milliseconds failed(const std::string& address, const std::string& user, Time now);

   private:
    struct Failures {
        unsigned count = 0;
        Time last{};
    };
    using ByName = tls::RecentlyUsed<std::string, Failures>;
    static unsigned count(ByName& all, const std::string& name, Time now);

    std::mutex mutex_;
    ByName addresses_{max_remembered};
    ByName users_{max_remembered};
};

/// Who pays for what is done in its name: an IPv6 client has a whole /64 to itself.
std::string source_of_address(const std::string& address);

}  // namespace proxy
