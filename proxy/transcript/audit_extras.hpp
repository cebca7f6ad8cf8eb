// What an audit line says beside its session's facts: the client's process, which capture ended.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/transcript/read_session.hpp"

namespace proxy::transcript {

struct AuditExtras {
    std::string client_exe{};                ///< empty: not known
    std::int64_t client_uid = -1;            ///< -1: not known
    std::optional<std::uint64_t> capture{};  ///< capture_started, capture_stopped: its number
    bool has_text = false;                   ///< the server's own words, which the packets may have blanked
};
/// Whatever the line holds, nothing is thrown.
AuditExtras parse_extras(std::string_view line);

void take_process(SessionFacts& facts, const AuditExtras& extras);

}  // namespace proxy::transcript
