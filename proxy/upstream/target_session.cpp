#include "proxy/upstream/target_session.hpp"

namespace proxy {

using protocol::HostRole;
using protocol::RoleQuestion;

namespace {

Fit is(HostRole role, HostRole wanted) noexcept {
    if (role == HostRole::unknown) return Fit::unknown;
    return role == wanted ? Fit::yes : Fit::no;
}

Fit is(std::optional<bool> value, bool wanted) noexcept {
    if (!value) return Fit::unknown;
    return *value == wanted ? Fit::yes : Fit::no;
}

}  // namespace

Fit likely_fit(TargetSessionAttrs wanted, HostRole role, std::optional<bool> read_only) noexcept {
    // What is remembered of sessions there is of the time when it was a primary.
    if (role == HostRole::standby && wanted == TargetSessionAttrs::read_write) return Fit::no;
    if (role == HostRole::standby && wanted == TargetSessionAttrs::read_only) return Fit::yes;
    const Fit certain = fit(wanted, role, read_only);
    if (certain != Fit::unknown || role == HostRole::unknown) return certain;
    return wanted == TargetSessionAttrs::read_write ? Fit::yes : Fit::unknown;
}

Fit fit(TargetSessionAttrs wanted, HostRole role, std::optional<bool> read_only) noexcept {
    switch (wanted) {
        case TargetSessionAttrs::any: break;
        case TargetSessionAttrs::read_write: return is(read_only, false);
        case TargetSessionAttrs::read_only: return is(read_only, true);
        case TargetSessionAttrs::primary: return is(role, HostRole::primary);
        case TargetSessionAttrs::standby:
        case TargetSessionAttrs::prefer_standby: return is(role, HostRole::standby);
    }
    return Fit::yes;
}

RoleQuestion question(TargetSessionAttrs wanted) noexcept {
    switch (wanted) {
        case TargetSessionAttrs::any: break;
        case TargetSessionAttrs::read_write:
        case TargetSessionAttrs::read_only: return RoleQuestion::read_only;
        case TargetSessionAttrs::primary:
        case TargetSessionAttrs::standby:
        case TargetSessionAttrs::prefer_standby: return RoleQuestion::in_recovery;
    }
    return RoleQuestion::none;
}

std::string_view why_unfit(TargetSessionAttrs wanted) noexcept {
    switch (wanted) {
        case TargetSessionAttrs::any: break;
        case TargetSessionAttrs::read_write: return "session is read-only";
        case TargetSessionAttrs::read_only: return "session is not read-only";
        case TargetSessionAttrs::primary: return "server is in hot standby mode";
        case TargetSessionAttrs::standby:
        case TargetSessionAttrs::prefer_standby: return "server is not in hot standby mode";
    }
    return "";
}

}  // namespace proxy
