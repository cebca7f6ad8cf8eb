// [auth] scram: what is done about SCRAM, which does not cross two TLS connections by itself.
#pragma once

#include <string_view>

namespace protocol {

enum class ScramMode { automatic, passthrough, bridge, terminate };

/// "auto", "passthrough", "bridge", "terminate".
std::string_view to_string(ScramMode mode) noexcept;

}  // namespace protocol
