// One message: what happened of one kind, put together, and its forms: what is sent, and what is
// kept on the disk until it was. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/alert/alert_words.hpp"
#include "proxy/route/alert_route.hpp"

namespace proxy {

struct AlertMessage {
    using Time = std::chrono::system_clock::time_point;

    /// The first of what happened are told one by one, the others counted.
    static constexpr std::size_t max_shown = 10;
    static constexpr std::size_t max_event = 16 * 1024;  ///< bytes; without a longer audit line

    struct Shown {
        std::string line;
        std::string event{};  ///< its audit line; "null": too long; empty: it is about no event
        std::uint64_t count = 1;
    };

    std::string id;  ///< the same in each attempt, also after a restart
    config::AlertKind kind{};
    AlertStatus status = AlertStatus::firing;
    std::string upstream{};  ///< empty: it is about none
    std::uint64_t count = 0;
    Time first_at{};
    Time last_at{};
    std::optional<Time> since{};  ///< it has been going on since, over several messages; nullopt: it never ends
    std::vector<Shown> shown{};

    /// One more of it. `event_line`: only asked for when it is shown.
    template <class EventLine>
    void add(std::string line, Time time, EventLine event_line);
};

template <class EventLine>
void AlertMessage::add(std::string line, Time time, EventLine event_line) {
    if (count++ == 0) first_at = time;
    last_at = time;
    for (Shown& one : shown) {
        if (one.line != line) continue;
        ++one.count;
        return;
    }
    if (shown.size() >= max_shown) return;
    std::string event = event_line();
    if (event.size() > max_event) event = "null";
    shown.push_back({.line = std::move(line), .event = std::move(event)});
}

/// That nothing has happened, for whoever wants to see whether messages arrive.
AlertMessage test_message(std::string id, const std::vector<config::AlertKind>& on, AlertMessage::Time now);

/// The word that receivers tell it by: of its kind, or "test".
std::string_view kind_word(const AlertMessage& message) noexcept;

/// Several lines for people, without the title.
std::string alert_text(const AlertMessage& message);

/// What is sent, as JSON. `proxy`: who sends it.
std::string alert_body(const AlertMessage& message, const AlertRoute& route, const std::string& proxy);

/// As it is kept; from_spool(): nullopt: it is not whole. Throws std::bad_alloc.
std::string to_spool(const AlertMessage& message);
std::optional<AlertMessage> from_spool(std::string_view text);

}  // namespace proxy
