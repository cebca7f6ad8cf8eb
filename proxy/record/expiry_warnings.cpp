#include "proxy/record/expiry_warnings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace proxy {
namespace {

using std::chrono::hours;

constexpr hours day{24};
constexpr hours week{7 * 24};
/// A clock that is put right by less has not been set back.
constexpr hours slack{1};
/// Within the clock's range.
constexpr std::int64_t last_second = 9'000'000'000;

constexpr std::array moments{ExpiryMoment::none, ExpiryMoment::begins, ExpiryMoment::week,
                             ExpiryMoment::day,  ExpiryMoment::ended,  ExpiryMoment::not_yet_valid};

/// Without overflow: there are certificates for ever, and clocks at 1970.
bool ends_within(WallTime not_after, WallTime now, std::chrono::milliseconds time) noexcept {
    return not_after <= now || not_after - now <= time;
}

ExpiryMoment end_of(WallTime not_after, WallTime now, std::chrono::milliseconds warning) noexcept {
    if (not_after <= now) return ExpiryMoment::ended;
    if (!ends_within(not_after, now, warning)) return ExpiryMoment::none;
    if (ends_within(not_after, now, day)) return ExpiryMoment::day;
    return ends_within(not_after, now, week) ? ExpiryMoment::week : ExpiryMoment::begins;
}

/// Seconds since the epoch, a word, whether it is not yet valid, and the certificate: "1764460800
/// week 0 listener legacy 5e88...".
struct Line {
    std::int64_t seen = 0;
    ExpiryMoment end = ExpiryMoment::none;
    bool not_yet_valid = false;
    std::string_view which;
};

std::string_view next_word(std::string_view& rest) {
    const auto end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

std::optional<Line> parse(std::string_view text) {
    Line line;
    const std::string_view seen = next_word(text), end = next_word(text), not_yet = next_word(text);
    const auto number = std::from_chars(seen.data(), seen.data() + seen.size(), line.seen);
    const auto moment = std::find_if(moments.begin(), moments.end(), [&](auto one) { return label(one) == end; });
    const bool is_line = number.ec == std::errc() && number.ptr == seen.data() + seen.size() &&
                         moment != moments.end() && *moment != ExpiryMoment::not_yet_valid &&
                         (not_yet == "0" || not_yet == "1") && !text.empty();
    if (!is_line) return std::nullopt;
    line.end = *moment;
    line.not_yet_valid = not_yet == "1";
    line.which = text;
    return line;
}

}  // namespace

std::string_view label(ExpiryMoment moment) noexcept {
    switch (moment) {
        case ExpiryMoment::none: return "none";
        case ExpiryMoment::begins: return "begins";
        case ExpiryMoment::week: return "week";
        case ExpiryMoment::day: return "day";
        case ExpiryMoment::ended: return "ended";
        case ExpiryMoment::not_yet_valid: return "not_yet_valid";
    }
    return "";
}

ExpiryMoment moment_of(const tls::Validity& validity, WallTime now, std::chrono::milliseconds warning) noexcept {
    if (warning.count() == 0) return ExpiryMoment::none;
    const bool is_to_come = validity.not_before > now && validity.not_after > now;
    return is_to_come ? ExpiryMoment::not_yet_valid : end_of(validity.not_after, now, warning);
}

std::string expiry_text(const tls::Validity& validity, WallTime now) {
    if (validity.not_before > now && validity.not_after > now) {
        return "is not valid before " + tls::to_rfc3339(validity.not_before) + ", and this host's clock says " +
               tls::to_rfc3339(now) + ": set the clock if it is wrong";
    }
    const std::string on = "on " + tls::to_rfc3339(validity.not_after);
    if (validity.not_after <= now) return "has ended " + on;
    const auto days = std::chrono::duration_cast<hours>(validity.not_after - now) / day;
    if (days == 0) return "ends within a day, " + on;
    return "ends in " + std::to_string(days) + (days == 1 ? " day, " : " days, ") + on;
}

ExpiryMoment ExpiryWarnings::due(const std::string& which, const tls::Validity& validity, WallTime now,
                                 std::chrono::milliseconds warning) {
    const ExpiryMoment present = moment_of(validity, now, warning);
    const auto known = told_.find(which);
    if (known == told_.end()) return present;
    Told& told = known->second;
    const Told before = told;
    // What is told once for good is written down once a day: by that it is known to be in use.
    if (told.seen > now || now - told.seen >= day) told.seen = now;
    const bool is_to_come = present == ExpiryMoment::not_yet_valid;
    if (!is_to_come) {
        if (validity.not_before <= now - slack) told.not_yet_valid = false;
        told.end = std::min(told.end, end_of(validity.not_after, now + slack, warning));
    }
    const bool is_told = is_to_come ? told.not_yet_valid : present <= told.end;
    changed_ =
        changed_ || told.seen != before.seen || told.end != before.end || told.not_yet_valid != before.not_yet_valid;
    if (told.end == ExpiryMoment::none && !told.not_yet_valid) told_.erase(known);
    return is_told ? ExpiryMoment::none : present;
}

void ExpiryWarnings::note_told(const std::string& which, ExpiryMoment moment, WallTime now) {
    auto known = told_.find(which);
    if (known == told_.end()) {
        if (!make_room(now)) return;
        known = told_.try_emplace(which).first;
    }
    Told& told = known->second;
    told.seen = now;
    if (moment == ExpiryMoment::not_yet_valid) {
        told.not_yet_valid = true;
    } else {
        told.end = moment;
    }
    changed_ = true;
}

/// The one that was not in use for the longest time goes. None that is: it would be told again, and
/// push out the next. False: all are.
bool ExpiryWarnings::make_room(WallTime now) {
    if (told_.size() < max_told) return true;
    const auto unused = [&](const auto& one) { return std::chrono::abs(now - one.second.seen); };
    const auto oldest = std::max_element(told_.begin(), told_.end(),
                                         [&](const auto& a, const auto& b) { return unused(a) < unused(b); });
    if (unused(*oldest) < 2 * day) return false;
    told_.erase(oldest);
    return true;
}

bool ExpiryWarnings::restore(std::string_view text, WallTime now) {
    bool is_whole = true;
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = end == std::string_view::npos ? std::nullopt : parse(text.substr(0, end));
        is_whole = is_whole && line;
        if (line && make_room(now)) {
            told_[std::string(line->which)] = {
                .end = line->end,
                .not_yet_valid = line->not_yet_valid,
                .seen = WallTime(std::chrono::seconds(std::clamp<std::int64_t>(line->seen, 0, last_second)))};
        }
        text.remove_prefix(std::min(end == std::string_view::npos ? text.size() : end + 1, text.size()));
    }
    return is_whole;
}

std::string ExpiryWarnings::text(WallTime now) {
    std::erase_if(told_, [&](const auto& one) { return one.second.seen < now && now - one.second.seen > memory; });
    std::string text;
    for (const auto& [which, told] : told_) {
        const auto seen = std::chrono::floor<std::chrono::seconds>(told.seen.time_since_epoch()).count();
        text += std::to_string(seen) + " " + std::string(label(told.end)) + (told.not_yet_valid ? " 1 " : " 0 ") +
                which + "\n";
    }
    return text;
}

}  // namespace proxy
