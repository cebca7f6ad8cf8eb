// How many logins each address begins at each listener (`login_rate_per_address`): a token bucket
// for each, kept as the one time until which what it has begun would have been allowed at an even
// pace. Bounded: the address that came least recently is forgotten first.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "proxy/observation/address_group.hpp"
#include "tls/recently_used.hpp"

namespace proxy {

/// Under a lock of its owner's.
class LoginRates {
   public:
    using Time = std::chrono::steady_clock::time_point;

    /// After a rest one address may begin at once what it may begin in this time.
    static constexpr std::chrono::seconds burst{5};
    static constexpr std::size_t max_remembered = 10'000;

    /// `rate`: logins a second; 0: no limit. True: it may, and that counts. What is refused does
    /// not, so that whoever never stops is let in at that rate.
    bool may_begin(const std::string& listener, const AddressGroup& address, unsigned rate, Time now);

   private:
    tls::RecentlyUsed<std::pair<std::string, AddressGroup>, Time> even_until_{max_remembered};
};

}  // namespace proxy
