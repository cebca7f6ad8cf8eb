// Transcripts of captured conversations: whatever is said, and whatever of it is missing, what is
// told is bounded by what was there; and while nothing is missing, it is the same however the bytes
// are cut into packets.
#include <cstdlib>

#include "fuzz/steps.hpp"
#include "support/captured.hpp"

namespace {

using namespace protocol;
using fuzz::Step;
using fuzz::steps_of;

void check(bool holds) {
    if (!holds) std::abort();
}

struct Told {
    std::vector<std::string> lines;
    bool lost = false;
};

Told told(const std::vector<Step>& steps, bool from_the_start, std::size_t piece) {
    Told out;
    std::size_t there = 0;
    Transcript transcript([&](CapturedEntry&& entry) {
        if (const auto* gap = std::get_if<CapturedGap>(&entry)) out.lost |= gap->lost;
        if (const auto* statement = std::get_if<CapturedStatement>(&entry)) {
            check(statement->text.size() <= 2000 && statement->tags.size() <= statement->commands);
            check(statement->ended == 0 || statement->ended >= statement->begun);
            check(statement->error.has_value() || statement->outcome != CapturedStatement::Outcome::failed);
        }
        out.lines.push_back(support::to_text(entry));
    });
    if (from_the_start) transcript.begins_here(1);
    std::uint32_t sequence[2] = {1, 1};
    std::uint64_t time = 1;
    for (const Step& step : steps) {
        ++time;
        std::uint32_t& next = sequence[static_cast<std::size_t>(step.from)];
        if (step.what == Step::lose) next += static_cast<std::uint32_t>(step.size);
        if (step.what == Step::close)
            transcript.segment({.from = step.from, .time = time, .sequence = next, .fin = true, .payload = {}});
        for (Bytes rest = step.bytes; !rest.empty();) {
            const Bytes part = rest.first(std::min(piece, rest.size()));
            rest = rest.subspan(part.size());
            transcript.segment({.from = step.from, .time = time, .sequence = next, .payload = part});
            next += static_cast<std::uint32_t>(part.size());
            there += part.size();
        }
    }
    out.lost |= transcript.lost(CapturedSide::client) || transcript.lost(CapturedSide::server);
    transcript.end();
    check(out.lines.size() <= there + 2 * steps.size() + 2);
    check(transcript.unreadable() <= there);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const bool from_the_start = data[0] & 1;
    const std::size_t piece = std::size_t{data[1]} + 1;
    const std::vector<Step> steps = steps_of(Bytes(data + 2, size - 2));
    const Told whole = told(steps, from_the_start, 1 << 20);
    const Told cut = told(steps, from_the_start, piece);
    if (from_the_start && !whole.lost && !cut.lost) check(whole.lines == cut.lines);
    return 0;
}
