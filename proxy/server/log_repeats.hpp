// Which log lines are one too many: of those that strangers can cause as often as they like
// (observation/often.hpp), the first of each kind in a second is written, and the others are
// counted.
#pragma once

#include <spdlog/common.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace proxy {

/// From any thread.
class LogRepeats {
   public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds window{1};

    struct Kind {
        std::string name;
        std::string listener;
        auto operator<=>(const Kind&) const = default;
    };
    struct LeftOut {
        Kind kind;
        spdlog::level::level_enum level{};  ///< of the last of them
        std::uint64_t lines = 0;
    };

    /// True: the line is to be written.
    bool admit(Kind kind, spdlog::level::level_enum level, Clock::time_point now);
    /// What was left out in seconds that are over; max(): in all of them.
    std::vector<LeftOut> over(Clock::time_point now);
    /// When over() may have something to tell; max(): not before the next line.
    Clock::time_point due();

   private:
    struct Window {
        Clock::time_point end;
        std::uint64_t left_out = 0;
        spdlog::level::level_enum level{};
    };

    std::mutex mutex_;
    std::map<Kind, Window> windows_;  // few: kinds are the program's, and listeners the configuration's
};

}  // namespace proxy
