// /api/sessions.json: the sessions that are open. In parts, for there may be thousands.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/session/live_sessions.hpp"

namespace proxy::dashboard {

class SessionsJson {
   public:
    static constexpr std::size_t max_sessions = 10'000;
    /// How many are written at a time: a fraction of a millisecond to a few.
    static constexpr std::size_t part = 128;

    /// `most`: of them. When some must be left out, those that are not weak are.
    SessionsJson(std::vector<std::shared_ptr<const LiveSession>> sessions, SystemTime now,
                 std::size_t most = max_sessions);

    /// Writes some more of them. False: that was all.
    bool write_some();
    /// Once all are written.
    Shared finish();

   private:
    std::vector<std::shared_ptr<const LiveSession>> sessions_;
    std::size_t written_ = 0;
    std::string text_;
};

/// How many `query` asks for, as `most=500`: without it as many as there are, up to the bound.
/// nullopt: no number from 1 to the bound.
std::optional<std::size_t> wanted_sessions(std::string_view query);

}  // namespace proxy::dashboard
