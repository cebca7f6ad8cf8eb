// A number and what it counts, for sentences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace protocol {

/// "1 session", "2 sessions".
inline std::string counted(std::uint64_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace protocol
