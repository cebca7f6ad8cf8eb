// Plans of captured conversations, the messages that are compared, and ClientHellos: whatever is
// said, and whatever of it is missing, what is planned was said by the client; and while nothing is
// missing, it is the same however the bytes are cut into packets.
#include <cstdlib>

#include "bench/replay/message_reader.hpp"
#include "bench/replay/plan_builder.hpp"
#include "bench/replay/tls_offer.hpp"
#include "fuzz/steps.hpp"

namespace {

using namespace bench::replay;
using namespace protocol;
using fuzz::Step;

void check(bool holds) {
    if (!holds) std::abort();
}

SessionPlan plan_of(const std::vector<Step>& steps, const PlanRules& rules, std::size_t piece) {
    PlanBuilder builder(rules);
    std::uint32_t sequence[2] = {1, 1};
    for (const CapturedSide side : {CapturedSide::client, CapturedSide::server})
        builder.segment({.from = side, .time = 1, .sequence = 0, .syn = true, .payload = {}});
    std::uint64_t time = 1;
    std::size_t said = 0;
    for (const Step& step : steps) {
        ++time;
        std::uint32_t& next = sequence[static_cast<std::size_t>(step.from)];
        if (step.what == Step::lose) next += static_cast<std::uint32_t>(step.size);
        if (step.what == Step::close)
            builder.segment({.from = step.from, .time = time, .sequence = next, .fin = true, .payload = {}});
        if (step.from == CapturedSide::client) said += step.bytes.size();
        for (Bytes rest = step.bytes; !rest.empty();) {
            const Bytes part = rest.first(std::min(piece, rest.size()));
            rest = rest.subspan(part.size());
            builder.segment({.from = step.from, .time = time, .sequence = next, .payload = part});
            next += static_cast<std::uint32_t>(part.size());
        }
    }
    SessionPlan plan = builder.finish();
    std::size_t planned = 0;
    for (const Unit& unit : plan.units) {
        for (const Request& request : unit.requests) planned += request.bytes.size();
    }
    check(planned <= said);
    return plan;
}

void compare(const SessionPlan& a, const SessionPlan& b) {
    check(a.units.size() == b.units.size() && a.statements == b.statements && a.left_out == b.left_out);
    check(a.login == b.login && a.sqlstate == b.sqlstate && a.cut == b.cut && a.cancels_pid == b.cancels_pid);
    for (std::size_t i = 0; i < a.units.size(); ++i) {
        check(a.units[i].statements.size() == b.units[i].statements.size());
        check(a.units[i].left_out == b.units[i].left_out && a.units[i].copies_in == b.units[i].copies_in);
    }
}

/// Types and bodies' beginnings, and the size of all bodies.
struct Messages {
    std::vector<std::pair<char, std::vector<std::uint8_t>>> whole;
    std::size_t handed_on = 0;
    bool broken = false;

    bool operator==(const Messages&) const = default;
};

Messages messages_of(Bytes input, std::size_t piece) {
    Messages out;
    MessageReader reader([&](char, Bytes part) { out.handed_on += part.size(); });
    while (!input.empty()) {
        Bytes part = input.first(std::min(piece, input.size()));
        input = input.subspan(part.size());
        while (const auto type = reader.next(part)) {
            check(reader.body().size() <= max_kept_body);
            out.whole.emplace_back(*type, std::vector<std::uint8_t>(reader.body().begin(), reader.body().end()));
        }
    }
    out.broken = reader.broken();
    return out;
}

std::optional<TlsOffer> offer_of(Bytes input, std::size_t piece) {
    HelloReader reader;
    for (bool more = true; more && !input.empty(); input = input.subspan(std::min(piece, input.size())))
        more = reader.take(input.first(std::min(piece, input.size())));
    if (reader.offer()) groups_again(*reader.offer(), {.has = [](const std::string&) { return true; }});
    return reader.offer();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const PlanRules rules{
        .writes = (data[0] & 2) != 0, .hash_rows = (data[0] & 4) != 0, .openings = (data[0] & 8) != 0};
    const std::size_t piece = std::size_t{data[1]} + 1;
    const Bytes input(data + 2, size - 2);
    const std::vector<Step> steps = fuzz::steps_of(input);
    bool loses = false;
    for (const Step& step : steps) loses = loses || step.what != Step::say;
    const SessionPlan whole = plan_of(steps, rules, 1 << 20);
    const SessionPlan cut = plan_of(steps, rules, piece);
    if (!loses) compare(whole, cut);
    check(offer_of(input, 1 << 20) == offer_of(input, piece));
    check(messages_of(input, 1 << 20) == messages_of(input, piece));
    return 0;
}
