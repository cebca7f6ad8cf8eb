#include "proxy/record/chain_check.hpp"

#include "proxy/record/audit_chain.hpp"

namespace proxy {

std::optional<std::string> ChainCheck::add(std::string_view line) {
    const std::optional<ChainedLine> chained = parse_chained(line);
    if (!chained) return add_unchained(line);
    const bool first = value_.empty();
    const bool begins = !chained->why.empty();
    const bool follows = begins || known_;
    const bool right = follows && chained->follows(begins ? before_the_first() : std::string_view(value_));
    const bool behind_a_gap = !first && !known_;
    value_ = chained->value;
    known_ = true;
    if (right) ++confirmed_;
    if (follows && !right) {
        return begins ? "is not what was written: its value is not that of its text"
                      : "does not follow from the line before: one of them was changed, or lines are missing, "
                        "doubled or in another order";
    }
    if (begins) {
        if (first) return std::nullopt;
        return "the chain begins anew here (" + std::string(chained->why) +
               "): what was between it and the line before, nobody knows";
    }
    if (right || behind_a_gap) return std::nullopt;  // the gap has been told
    goes_on_from_elsewhere_ = uncovered_ == 0;
    if (goes_on_from_elsewhere_) return std::nullopt;
    return "goes on from a line that is not here";
}

/// Told once for as many as there are in a row.
std::optional<std::string> ChainCheck::add_unchained(std::string_view line) {
    if (value_.empty()) {
        ++uncovered_;
        return std::nullopt;
    }
    if (!known_) return std::nullopt;
    known_ = false;
    return line.empty() || line.front() != '{' || line.back() != '}' ? "is no whole line" : "carries no chain value";
}

}  // namespace proxy
