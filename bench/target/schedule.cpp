#include "bench/target/schedule.hpp"

#include <algorithm>
#include <cmath>

namespace bench {

std::optional<Clock::time_point> Schedule::next(Clock::time_point now) noexcept {
    if (over(now) && taken_ > 0) return std::nullopt;
    const std::uint64_t index = taken_++;
    if (load_.connections > 0 && index >= load_.connections) return std::nullopt;
    const Clock::time_point when = load_.rate > 0 ? due(index) : now;
    if (over(when) && index > 0) return std::nullopt;
    ++begun_;
    return when;
}

std::uint64_t Schedule::unstarted(Clock::time_point end) const noexcept {
    if (load_.rate <= 0 || load_.duration.count() == 0) return 0;
    const double seconds = std::chrono::duration<double>(std::min<Duration>(load_.duration, end - start_)).count();
    const auto all_due = static_cast<std::uint64_t>(std::ceil(seconds * load_.rate));
    return all_due - std::min(all_due, begun_.load());
}

Clock::time_point Schedule::due(std::uint64_t index) const noexcept {
    return start_ + Duration(std::llround(static_cast<double>(index) / load_.rate * 1e9));
}

}  // namespace bench
