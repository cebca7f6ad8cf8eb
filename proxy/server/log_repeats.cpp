#include "proxy/server/log_repeats.hpp"

#include <algorithm>

namespace proxy {

bool LogRepeats::admit(Kind kind, spdlog::level::level_enum level, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    Window& of_kind = windows_[std::move(kind)];
    if (now >= of_kind.end) {
        of_kind.end = now + window;
        return true;
    }
    ++of_kind.left_out;
    of_kind.level = level;
    return false;
}

std::vector<LogRepeats::LeftOut> LogRepeats::over(Clock::time_point now) {
    std::vector<LeftOut> told;
    const std::lock_guard lock(mutex_);
    for (auto at = windows_.begin(); at != windows_.end();) {
        const auto& [kind, seen] = *at;
        if (seen.end > now) {
            ++at;
            continue;
        }
        if (seen.left_out > 0) told.push_back({.kind = kind, .level = seen.level, .lines = seen.left_out});
        at = windows_.erase(at);
    }
    return told;
}

LogRepeats::Clock::time_point LogRepeats::due() {
    const std::lock_guard lock(mutex_);
    auto first = Clock::time_point::max();
    for (const auto& [kind, seen] : windows_) first = std::min(first, seen.end);
    return first;
}

}  // namespace proxy
