#include "proxy/server/expiry_budget.hpp"

#include <algorithm>

namespace proxy {
namespace {

/// A chain has fewer, and an earlier one is shown no more.
constexpr std::size_t max_counted = 16;

}  // namespace

bool ExpiryBudget::may_tell(const Place& place, const std::string& which, Clock::time_point now) {
    Told* told = told_.find(place);
    if (!told) told = &told_.put(place, {.fresh_at = now + interval, .counted = {}});
    if (now >= told->fresh_at) {
        told->fresh_at = now + interval;
        told->number = 0;
    }
    if (told->number < max_told) return true;
    if (std::find(told->counted.begin(), told->counted.end(), which) != told->counted.end()) return false;
    ++told->left_out;
    told->counted.push_back(which);
    if (told->counted.size() > max_counted) told->counted.pop_front();
    return false;
}

std::uint64_t ExpiryBudget::left_out(const Place& place, const std::string& which) {
    const Told* const told = told_.find(place);
    if (!told) return 0;
    const bool is_counted = std::find(told->counted.begin(), told->counted.end(), which) != told->counted.end();
    return told->left_out - (is_counted ? 1 : 0);
}

void ExpiryBudget::note_told(const Place& place) {
    Told* const told = told_.find(place);
    if (!told) return;
    ++told->number;
    told->left_out = 0;
    told->counted.clear();
}

}  // namespace proxy
