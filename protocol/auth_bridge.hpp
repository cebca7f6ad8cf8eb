// How a login's SCRAM got to the server: what the audit calls auth_bridge.
#pragma once

#include <string_view>

namespace protocol {

enum class AuthBridge {
    none,       // it is the client's own, or there was none
    cleartext,  // by the password that we asked the client for
    terminate,  // by users_file
};

/// "none", "cleartext", "terminate".
std::string_view to_string(AuthBridge bridge) noexcept;

}  // namespace protocol
