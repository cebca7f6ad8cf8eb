#include "protocol/auth_bridge.hpp"

namespace protocol {

std::string_view to_string(AuthBridge bridge) noexcept {
    switch (bridge) {
        case AuthBridge::none: return "none";
        case AuthBridge::cleartext: return "cleartext";
        case AuthBridge::terminate: return "terminate";
    }
    return "";
}

}  // namespace protocol
