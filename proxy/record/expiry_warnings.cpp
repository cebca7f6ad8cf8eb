#include "proxy/record/expiry_warnings.hpp"

namespace proxy {
namespace {

constexpr std::chrono::hours tell_again_after{24};
/// Far more than servers show at a time.
constexpr std::size_t max_told = 10'000;

}  // namespace

bool ExpiryWarnings::is_due(const std::string& which, Time not_after, Time now, std::chrono::milliseconds warning) {
    if (warning.count() == 0 || not_after > now + warning) return false;
    const auto known = told_.find(which);
    if (known != told_.end() && now >= known->second && now - known->second < tell_again_after) return false;
    if (told_.size() >= max_told) told_.clear();
    told_[which] = now;
    return true;
}

std::string expiry_text(ExpiryWarnings::Time not_after, ExpiryWarnings::Time now) {
    const std::string on = "on " + tls::to_rfc3339(not_after);
    if (not_after <= now) return "has ended " + on;
    const auto days = std::chrono::duration_cast<std::chrono::hours>(not_after - now).count() / 24;
    if (days == 0) return "ends within a day, " + on;
    return "ends in " + std::to_string(days) + (days == 1 ? " day, " : " days, ") + on;
}

}  // namespace proxy
