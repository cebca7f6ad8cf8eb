// What somebody wants captured: the configuration, for its windows, or a command.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "protocol/redactor.hpp"

namespace proxy {

/// As in the configuration.
constexpr std::string_view to_string(protocol::Payload payload) noexcept {
    switch (payload) {
        case protocol::Payload::headers: return "headers";
        case protocol::Payload::redacted: return "redacted";
        case protocol::Payload::full: return "full";
    }
    return "";
}

/// All that are given must match; an empty list matches everything.
struct CaptureFilter {
    std::vector<std::string> listeners;
    std::vector<std::string> users;
    std::vector<std::string> databases;
    std::vector<std::string> application_names;
    std::vector<config::Cidr> client_addrs;
};

struct CaptureOrder {
    /// Of `max_size`, as commands may ask for it.
    static constexpr std::uint64_t smallest_max_size = 64 * 1024;

    CaptureFilter filter;
    protocol::Payload payload = protocol::Payload::redacted;
    bool failures_only = false;  ///< only connections whose TLS or login failed
    bool allow_secrets = false;
    bool keylog = false;                             ///< raw records of both legs, and what decrypts them
    std::optional<std::chrono::milliseconds> lasts;  ///< nullopt: until it is stopped
    std::optional<std::uint64_t> max_size;           ///< of all its files together, in bytes; then it ends
    std::string file;                                ///< one file of this name instead of a ring in `capture.dir`
    std::string by;                                  ///< who: "window 2026-03-01T02:00Z/...", "uid 1000 (alice)"
};

/// What such a filter leaves out although nobody may expect it; empty: nothing.
inline std::string warning_of(const CaptureFilter& filter) {
    if (filter.users.empty() && filter.databases.empty() && filter.application_names.empty()) return {};
    return "connections whose TLS fails are left out: their user, database and application_name are not known then. To "
           "have them, filter by listener or address instead";
}

enum class CaptureState : std::uint8_t {
    planned,  // by a window that is to open
    running,
    ending,  // it takes nothing more, and what it has taken is being written
    ended,
    failed,  // ended by what it could not help, or did not begin
};

constexpr std::string_view to_string(CaptureState state) noexcept {
    switch (state) {
        case CaptureState::planned: return "planned";
        case CaptureState::running: return "running";
        case CaptureState::ending: return "ending";
        case CaptureState::ended: return "ended";
        case CaptureState::failed: return "failed";
    }
    return "";
}

struct CaptureStatus {
    std::uint64_t id = 0;  ///< 0: it did not begin, so far
    CaptureState state = CaptureState::running;
    std::string by;
    std::string where;  ///< folder, file, or "client"
    std::string file;   ///< the one that is being written
    CaptureOrder order;
    std::chrono::system_clock::time_point started;  ///< planned: when it will be
    std::optional<std::chrono::system_clock::time_point> until;
    std::uint64_t sessions = 0;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;     ///< written
    std::uint64_t dropped = 0;   ///< packets that found no room
    std::uint64_t rests = 0;     ///< packets within messages whose beginning is not in their file
    std::uint64_t left_out = 0;  ///< sessions, as Capture counts them
    std::uint64_t not_entered = 0;
    std::uint64_t entries_dropped = 0;  ///< audit events of sessions that found no room
    std::uint64_t files_removed = 0;    ///< by it, for max_total_size
    std::string warning;                ///< what nobody may expect of its filter; empty: nothing

    // Once it is over.
    std::optional<std::chrono::system_clock::time_point> ended;
    std::string reason;      ///< one word, as in the audit (docs/capture.md)
    std::string message;     ///< more about that; may be empty
    std::string stopped_by;  ///< "uid 1000 (alice)", or the reason
};

}  // namespace proxy
