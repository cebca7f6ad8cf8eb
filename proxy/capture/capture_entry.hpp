// What stands in a capture as entries of a journal, beside the packets: audit events of its
// sessions, and which sessions are not in it. For Wireshark and for `capture read`.
#pragma once

#include <chrono>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/captured_absence.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

/// `proxy`: its name in audit lines.
protocol::Buffer event_entry(const Event& event, const std::string& proxy);

/// A session that is not in capture number `capture`, though it is to hold it: who, and why.
protocol::Buffer absence_entry(const SessionRecord& record, protocol::Absence why, std::uint64_t capture);

/// What is not in a capture so far: sessions, also such whose own entry found no room; and entries.
struct AbsentSessions {
    std::uint64_t left_out = 0;
    std::uint64_t not_entered = 0;
    std::uint64_t entries = 0;
    bool goes_on = false;  ///< in another file
};
/// For the end of a file. Empty where nothing is absent, and the capture
/// does not go on.
protocol::Buffer absences_entry(const AbsentSessions& sessions, std::uint64_t capture);

}  // namespace proxy
