#include "protocol/scram_mode.hpp"

namespace protocol {

std::string_view to_string(ScramMode mode) noexcept {
    switch (mode) {
        case ScramMode::automatic: return "auto";
        case ScramMode::passthrough: return "passthrough";
        case ScramMode::bridge: return "bridge";
        case ScramMode::terminate: return "terminate";
    }
    return "";
}

}  // namespace protocol
