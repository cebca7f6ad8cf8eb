// What target_session_attrs means: which servers fit, by what is known of them or by what a session
// has seen of its own, and libpq's words for those that do not (fe-connect.c).
#pragma once

#include <optional>
#include <string_view>

#include "config/config.hpp"
#include "protocol/host_role.hpp"

namespace proxy {

using config::TargetSessionAttrs;

enum class Fit { yes, unknown, no };

/// By the role of a server and, where a login has seen it, whether its sessions are read-only.
/// A primary is taken for writable as long as none has seen otherwise; a standby is read-only,
/// whatever was seen while it was a primary.
Fit likely_fit(TargetSessionAttrs wanted, protocol::HostRole role, std::optional<bool> read_only) noexcept;

/// The same of a session that has logged in: `read_only` decides, and unknown stays unknown.
Fit fit(TargetSessionAttrs wanted, protocol::HostRole role, std::optional<bool> read_only) noexcept;

/// What has to be known of a session, and has to be asked for where its server does not report it.
protocol::RoleQuestion question(TargetSessionAttrs wanted) noexcept;

/// Such as "session is read-only".
std::string_view why_unfit(TargetSessionAttrs wanted) noexcept;

}  // namespace proxy
