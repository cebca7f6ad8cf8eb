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
    question_ = {};
    answer_ = {};
}

void TurnFinder::keep(CapturedSide from, std::uint64_t time, Bytes bytes) {
    chunks_.push_back({.from = from, .time = time, .bytes = {bytes.begin(), bytes.end()}});
    Side& side = from == CapturedSide::client ? question_ : answer_;
    side.bytes.insert(side.bytes.end(), bytes.begin(), bytes.end());
    side.look(from);
}

void TurnFinder::Side::look(CapturedSide from) {
    while (valid && bytes.size() - seen >= message_header_size) {
        const Bytes rest = Bytes(bytes).subspan(seen);
        const char type = static_cast<char>(rest[0]);
        const std::size_t length = Reader(rest.subspan(1)).u32();
        valid = length >= 4 && is_captured_type(from, type, length - 4);
        if (!valid || length + 1 > rest.size()) return;
        seen += length + 1;
        last = type;
        const bool ends_turn = from == CapturedSide::client ? type == 'Q' || type == 'S' || type == 'F' : type == 'Z';
        if (ends_turn) ++turns;
    }
}

bool TurnFinder::add(CapturedSide from, std::uint64_t time, Bytes bytes) {
    if (bytes.empty()) return false;
    if (from == CapturedSide::client) {
        const bool goes_on = state_ == State::ready || state_ == State::asked;
        if (!goes_on || question_.bytes.size() + bytes.size() > max_turn) {
            forget(State::nothing);
            return false;
        }
        state_ = State::asked;
        keep(from, time, bytes);
        if (!question_.valid) forget(State::nothing);
        return server_is_known_ && state_ == State::asked && question_.whole() && question_.turns > 0;
    }
    if (server_is_known_) {  // it goes on before the question is whole: that was none
        if (state_ == State::asked) forget(State::nothing);
        return false;
    }
    const State otherwise = ends_ready(bytes) ? State::ready : State::nothing;
    const bool goes_on = state_ == State::asked || state_ == State::answered;
    const bool asked = goes_on && question_.whole() && question_.turns > 0;
    if (!asked || question_.bytes.size() + answer_.bytes.size() + bytes.size() > max_turn) {
        forget(otherwise);
        return false;
    }
    state_ = State::answered;
    keep(from, time, bytes);
    if (!answer_.valid || answer_.turns > question_.turns) {
        forget(otherwise);
        return false;
    }
    return answer_.whole() && answer_.last == 'Z' && answer_.turns == question_.turns;
}

}  // namespace protocol
