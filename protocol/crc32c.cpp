#include "protocol/crc32c.hpp"

#include <array>

namespace protocol {
namespace {

constexpr std::uint32_t reversed_polynomial = 0x82f63b78;

constexpr auto remainders = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? reversed_polynomial : 0);
        table[byte] = value;
    }
    return table;
}();

}  // namespace

std::uint32_t crc32c(Bytes bytes, std::uint32_t before) noexcept {
    std::uint32_t value = ~before;
    for (const std::uint8_t byte : bytes) value = (value >> 8) ^ remainders[(value ^ byte) & 0xff];
    return ~value;
}

}  // namespace protocol
