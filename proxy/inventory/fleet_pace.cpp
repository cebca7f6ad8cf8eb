#include "proxy/inventory/fleet_pace.hpp"

#include <algorithm>

namespace proxy {

void FleetPace::fleet_of(std::int64_t proxies) noexcept {
    constexpr std::int64_t many = longest / for_each_proxy;
    interval_ = std::clamp(for_each_proxy * std::clamp<std::int64_t>(proxies, 0, many), shortest, longest);
}

FleetPace::Milliseconds FleetPace::after_success() {
    retry_ = Milliseconds(0);
    return about(interval_);
}

FleetPace::Milliseconds FleetPace::after_failure() {
    retry_ = retry_.count() == 0 ? interval_ : std::min(retry_ * 2, std::max(longest_retry, interval_));
    return about(retry_);
}

FleetPace::Milliseconds FleetPace::between(Milliseconds least, Milliseconds most) {
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(least.count(), most.count())(random_));
}

}  // namespace proxy
