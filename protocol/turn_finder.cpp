#include "protocol/turn_finder.hpp"

#include <algorithm>

namespace protocol {
namespace {

/// Of a question and its answer together: longer ones are passed over.
constexpr std::size_t max_turn = 256 * 1024;

bool ends_ready(Bytes bytes) noexcept {
    constexpr std::size_t size = message_header_size + 1;
    if (bytes.size() < size) return false;
    const Bytes end = bytes.last(size);
    const bool header = end[0] == 'Z' && end[1] == 0 && end[2] == 0 && end[3] == 0 && end[4] == 5;
    return header && (end[5] == 'I' || end[5] == 'T' || end[5] == 'E');
}

}  // namespace

void TurnFinder::begin(bool server_is_known) noexcept {
    server_is_known_ = server_is_known;
    forget(State::nothing);
}

void TurnFinder::forget(State state) noexcept {
    state_ = state;
    chunks_.clear();
    question_.clear();
    answer_.clear();
}

void TurnFinder::keep(CapturedSide from, std::uint64_t time, Bytes bytes) {
    chunks_.push_back({.from = from, .time = time, .bytes = {bytes.begin(), bytes.end()}});
    auto& side = from == CapturedSide::client ? question_ : answer_;
    side.insert(side.end(), bytes.begin(), bytes.end());
}

TurnFinder::Walk TurnFinder::walk(CapturedSide from, Bytes bytes) {
    Walk walk{.valid = true};
    while (bytes.size() >= message_header_size) {
        const char type = static_cast<char>(bytes[0]);
        const std::size_t length = Reader(bytes.subspan(1)).u32();
        walk.valid = length >= 4 && is_captured_type(from, type, length - 4);
        if (!walk.valid) return walk;
        if (length + 1 > bytes.size()) break;
        bytes = bytes.subspan(length + 1);
        walk.last = type;
        const bool ends_turn = from == CapturedSide::client ? type == 'Q' || type == 'S' || type == 'F' : type == 'Z';
        if (ends_turn) ++walk.turns;
    }
    walk.whole = bytes.empty();
    return walk;
}

bool TurnFinder::add(CapturedSide from, std::uint64_t time, Bytes bytes) {
    if (bytes.empty()) return false;
    if (from == CapturedSide::client) {
        const bool goes_on = state_ == State::ready || state_ == State::asked;
        if (!goes_on || question_.size() + bytes.size() > max_turn) {
            forget(State::nothing);
            return false;
        }
        state_ = State::asked;
        keep(from, time, bytes);
        const Walk question = walk(from, question_);
        if (!question.valid) forget(State::nothing);
        return server_is_known_ && question.valid && question.whole && question.turns > 0;
    }
    if (server_is_known_) {  // it goes on before the question is whole: that was none
        if (state_ == State::asked) forget(State::nothing);
        return false;
    }
    const State otherwise = ends_ready(bytes) ? State::ready : State::nothing;
    const bool goes_on = state_ == State::asked || state_ == State::answered;
    const Walk question = walk(CapturedSide::client, question_);
    const bool asked = goes_on && question.whole && question.turns > 0;
    if (!asked || question_.size() + answer_.size() + bytes.size() > max_turn) {
        forget(otherwise);
        return false;
    }
    state_ = State::answered;
    keep(from, time, bytes);
    const Walk answer = walk(from, answer_);
    if (!answer.valid || answer.turns > question.turns) {
        forget(otherwise);
        return false;
    }
    return answer.whole && answer.last == 'Z' && answer.turns == question.turns;
}

}  // namespace protocol
