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
    CaptureFilter filter;
    protocol::Payload payload = protocol::Payload::redacted;
    bool failures_only = false;  ///< only connections whose TLS or login failed
    bool allow_secrets = false;
    bool keylog = false;                             ///< raw records of both legs, and what decrypts them
    std::optional<std::chrono::milliseconds> lasts;  ///< nullopt: until it is stopped
    std::optional<std::uint64_t> max_size;           ///< of all its files together, in bytes; then it ends
    std::string file;                                ///< one file of this name instead of a ring in `capture.dir`
    int stream = -1;  ///< a descriptor of ours to write to instead, as CopyData messages; taken over
    std::string by;   ///< who: "window 2026-03-01T02:00Z/...", "uid 1000 (alice)"
};

struct CaptureStatus {
    std::uint64_t id = 0;
    bool ending = false;  ///< it takes nothing more, and what it has taken is being written
    std::string by;
    std::string where;  ///< folder, file, or "client"
    std::string file;   ///< the one that is being written
    CaptureOrder order;
    std::chrono::system_clock::time_point started;
    std::optional<std::chrono::system_clock::time_point> until;
    std::uint64_t sessions = 0;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;     ///< written
    std::uint64_t dropped = 0;   ///< packets that found no room
    std::uint64_t left_out = 0;  ///< sessions, as Capture counts them
    std::uint64_t not_entered = 0;
};

}  // namespace proxy
