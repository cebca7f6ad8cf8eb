// When a Survey looks: for whom, how often, and from when on what it found is too old to be said.
// Not locked: whoever has it sees to that. All times are given.
#pragma once

#include <chrono>
#include <optional>

namespace proxy::dashboard {

/// How often a Survey looks. Tests shorten it.
struct SurveyPace {
    /// How long after somebody asked texts are kept up to date. Later they are freed.
    std::chrono::milliseconds interest{60'000};
    /// Between two looks while somebody asks; more where they take long.
    std::chrono::milliseconds pause{5'000};
    /// Between two counts of clients for metrics and readiness; more where they take long.
    std::chrono::milliseconds count_pause{10'000};
    /// Between two counts of the rotation's days, while somebody asks.
    std::chrono::milliseconds rotation_pause{60'000};
    /// A look that takes longer hangs; and numbers are too old when the next look is overdue by so
    /// much.
    std::chrono::milliseconds hanging{180'000};
    /// The same for whether inventories answer: who waits for that needs to know sooner.
    std::chrono::milliseconds answering{30'000};
    /// After one that failed for want of memory or the like.
    std::chrono::milliseconds rest{1'000};
};

class SurveySchedule {
   public:
    using Clock = std::chrono::steady_clock;

    /// Of the thread's time the dashboard takes a part of so many.
    static constexpr int share = 20;
    /// Between two looks at an inventory of too many clients.
    static constexpr std::chrono::hours crowded_pause{1};

    enum class Look { count, show };
    struct Took {
        Clock::duration look{}, rotation{};  ///< rotation: 0: its days were not counted
    };
    struct Ended {
        Look look{};
        bool failed = false;    ///< for want of memory or the like
        bool answered = false;  ///< every inventory did
        bool crowded = false;
        Took took{};
    };

    /// `counts`: also when nobody asks.
    SurveySchedule(const SurveyPace& pace, bool counts) : pace_(pace), counts_(counts) {}

    void asked(Clock::time_point now) { asked_ = now; }
    /// Somebody wants to know whether inventories answer: that takes counting, and no texts.
    void checked(Clock::time_point now) { checked_ = now; }
    bool is_asked(Clock::time_point now) const { return asked_ && now - *asked_ < pace_.interest; }

    /// What is to be done now; nullopt: nothing until next().
    std::optional<Look> due(Clock::time_point now) const;
    Clock::time_point next(Clock::time_point now, bool has_texts) const;
    void begin(Clock::time_point now) { began_ = now; }
    void end(const Ended& ended, Clock::time_point now);

    bool rotation_is_due(Clock::time_point now) const { return now >= next_rotation_; }
    /// While the pace allows no newer texts, those of before are better than none.
    bool may_forget(Clock::time_point now) const { return now >= next_look_ && now >= next_rotation_; }
    /// A look hangs, or none has come to an end for long.
    bool is_overdue(Clock::time_point now) const;
    /// Of a fleet, which is counted while somebody asks only.
    bool is_forsaken(Clock::time_point now) const { return !counts(now) && now >= next_look_ + pace_.interest; }
    bool has_failed() const { return failed_; }
    /// A look is under way, or about to be: something newer is to be known at once.
    bool is_at_it(Clock::time_point now) const { return began_ || due(now); }
    /// Why it is not known that inventories answer; nullptr: they do.
    const char* why_unready(Clock::time_point now) const;

   private:
    bool counts(Clock::time_point now) const { return counts_ || (checked_ && now - *checked_ < pace_.interest); }

    const SurveyPace pace_;
    const bool counts_;
    Clock::time_point next_look_{}, next_count_{}, next_rotation_{}, good_until_{};
    std::optional<Clock::time_point> asked_, checked_, began_;
    std::optional<bool> answered_;  // the last look; nullopt: there was none
    bool failed_ = false;
};

}  // namespace proxy::dashboard
