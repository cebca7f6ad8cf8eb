#include "proxy/server/login_rates.hpp"

#include <algorithm>

namespace proxy {

bool LoginRates::may_begin(const std::string& listener, const AddressGroup& address, unsigned rate, Time now) {
    if (rate == 0) return true;
    const auto pace = std::chrono::duration_cast<Time::duration>(std::chrono::seconds(1)) / rate;
    const auto key = std::pair(listener, address);
    const Time* const known = even_until_.find(key);
    const Time from = known ? std::max(*known, now) : now;
    if (from + pace > now + burst) return false;
    even_until_.put(key, from + pace);
    return true;
}

}  // namespace proxy
