#include "protocol/host_role.hpp"

namespace protocol {

std::string_view to_string(HostRole role) noexcept {
    switch (role) {
        case HostRole::unknown: return "unknown";
        case HostRole::primary: return "primary";
        case HostRole::standby: return "standby";
    }
    return "";
}

HostRole told_role(Bytes parameter_status) noexcept {
    Reader reader(parameter_status);
    const std::string_view name = reader.cstring();
    const std::string_view value = reader.cstring();
    if (!reader.ok() || name != "in_hot_standby") return HostRole::unknown;
    return value == "off" ? HostRole::primary : value == "on" ? HostRole::standby : HostRole::unknown;
}

}  // namespace protocol
