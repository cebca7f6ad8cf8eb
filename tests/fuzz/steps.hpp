// A captured conversation out of a fuzzer's input.
#pragma once

#include <algorithm>
#include <vector>

#include "protocol/captured_stream.hpp"

namespace fuzz {

/// What the input's bytes make of a conversation: a byte that says what comes, its size, and bytes.
struct Step {
    protocol::CapturedSide from;
    enum { say, lose, close, begin } what;
    std::size_t size;
    protocol::Bytes bytes;
};

inline std::vector<Step> steps_of(protocol::Bytes input) {
    std::vector<Step> steps;
    while (input.size() >= 2) {
        const std::uint8_t head = input[0];
        Step step{.from = head & 1 ? protocol::CapturedSide::server : protocol::CapturedSide::client,
                  .what = (head & 0x70) == 0x70   ? Step::lose
                          : (head & 0x7e) == 0x6e ? Step::close
                                                  : Step::say,
                  .size = input[1],
                  .bytes = {}};
        if (head & 0x80) step.size *= 16;
        input = input.subspan(2);
        if (step.what == Step::say) {
            step.bytes = input.first(std::min(step.size, input.size()));
            input = input.subspan(step.bytes.size());
        }
        steps.push_back(step);
    }
    return steps;
}

}  // namespace fuzz
