// Raw TLS records for a capture: what stays does not depend on how the bytes were cut, nothing
// stays behind what is no record, and no byte is made up.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "protocol/record_blanker.hpp"

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

std::vector<std::uint8_t> blanked(std::vector<std::uint8_t> bytes, std::size_t step, bool keylog) {
    protocol::RecordBlanker blanker;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        const bool lost = blanker.lost();
        const std::size_t here = std::min(step, bytes.size() - at);
        blanker.blank({bytes.data() + at, here}, keylog);
        check(!lost || blanker.lost());
    }
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::vector<std::uint8_t> bytes(data + 1, data + size);
    const bool keylog = data[0] % 2 == 0;
    const auto whole = blanked(bytes, bytes.size() + 1, keylog);
    check(blanked(bytes, data[0] / 2 % 16 + 1U, keylog) == whole);
    bool gone = false;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        check(whole[i] == bytes[i] || whole[i] == 0);
        gone = gone || whole[i] != bytes[i];
        check(!keylog || !gone || whole[i] == 0);
    }
    return 0;
}
