#include "proxy/dashboard/survey_schedule.hpp"

#include <algorithm>

namespace proxy::dashboard {

std::optional<SurveySchedule::Look> SurveySchedule::due(Clock::time_point now) const {
    const bool counting = counts(now) && now >= next_count_;
    if (is_asked(now) && (now >= next_look_ || counting)) return Look::show;
    return counting ? std::optional(Look::count) : std::nullopt;
}

SurveySchedule::Clock::time_point SurveySchedule::next(Clock::time_point now, bool has_texts) const {
    auto until = counts(now) ? next_count_ : now + pace_.interest;
    if (is_asked(now)) {
        until = std::min(until, std::max(next_look_, now));
    } else if (has_texts) {
        until = std::min(until, std::max({next_look_, next_rotation_, now + pace_.rest}));
    }
    return until;
}

/// Half of the share for each of the two.
void SurveySchedule::end(const Ended& ended, Clock::time_point now) {
    const auto after = [&](Clock::duration pause, Clock::duration work) {
        return now + std::max(pause, work * share * 2);
    };
    const Clock::duration least = ended.crowded ? Clock::duration(crowded_pause) : Clock::duration::zero();
    const Clock::duration look = ended.took.look;
    if (ended.look == Look::show || ended.crowded)
        next_look_ = after(std::max<Clock::duration>(pace_.pause, least), look);
    next_count_ = after(std::max<Clock::duration>(pace_.count_pause, least), look);
    if (ended.took.rotation > Clock::duration::zero())
        next_rotation_ = after(pace_.rotation_pause, ended.took.rotation);
    failed_ = ended.failed;
    answered_ = ended.answered;
    if (failed_) {
        next_count_ = std::min(next_count_, after(pace_.rest, look));
    } else {
        good_until_ = (counts_ || ended.look == Look::count ? next_count_ : next_look_) + pace_.hanging;
    }
    began_.reset();
}

bool SurveySchedule::is_overdue(Clock::time_point now) const {
    return (began_ && now - *began_ >= pace_.hanging) || now >= good_until_;
}

const char* SurveySchedule::why_unready(Clock::time_point now) const {
    if (began_ && now - *began_ >= pace_.answering) return "a look at the inventory has not come to an end for long";
    if (!answered_) return "the inventory has not been read so far";
    if (failed_) return "the last look at the inventory failed, and the log says why";
    if (!*answered_) return "the inventory did not answer when it was last looked at";
    if (now >= next_count_ + pace_.answering) return "nobody has looked at the inventory for long";
    return nullptr;
}

}  // namespace proxy::dashboard
