#include "protocol/absent_sessions.hpp"

#include <algorithm>
#include <utility>

#include "protocol/counted.hpp"
#include "protocol/utf8.hpp"

namespace protocol {
namespace {

/// Beyond it they are counted as far as the ends of files do.
constexpr std::size_t max_named = 200'000;
constexpr std::size_t max_word = 100;
constexpr std::size_t max_words = 10;

}  // namespace

std::uint64_t& AbsentSessions::of_kind(AbsentCount& count, const Named& named) {
    const bool entered_not = named.why && kind(*named.why) == AbsenceKind::not_entered;
    return entered_not ? count.not_entered : count.left_out;
}

bool AbsentSessions::add(std::size_t capture, const std::string& session, Absence why) {
    return add(capture, session, Named{.why = why});
}

bool AbsentSessions::add(std::size_t capture, const std::string& session, const std::string& word) {
    return add(capture, session, Named{.why = {}, .word = word.substr(0, max_word)});
}

bool AbsentSessions::add(std::size_t capture, const std::string& session, Named&& named) {
    OfCapture& of = captures_[capture];
    if (named_ >= max_named) return false;
    const bool is_news = of.named.try_emplace(session, std::move(named)).second;
    if (is_news) ++named_;
    return is_news;
}

void AbsentSessions::entered(std::size_t capture, const std::string& session) {
    auto& named = captures_[capture].named;
    const auto found = named.find(session);
    if (found == named.end() || found->second.why != Absence::not_entered) return;
    named.erase(found);
    --named_;
}

void AbsentSessions::told_elsewhere(std::size_t capture, const std::string& session) {
    auto& named = captures_[capture].named;
    const auto found = named.find(session);
    if (found != named.end()) found->second.elsewhere = true;
}

/// Files come in their order: who has not entered may do so later.
void AbsentSessions::so_far(std::size_t capture, const AbsentCount& count) {
    AbsentCount& said = captures_[capture].said;
    said = {.left_out = std::max(said.left_out, count.left_out),
            .not_entered = count.not_entered,
            .entries = std::max(said.entries, count.entries)};
}

AbsentCount AbsentSessions::nameless(const OfCapture& capture) {
    AbsentCount named;
    for (const auto& [session, one] : capture.named) ++of_kind(named, one);
    return {.left_out = capture.said.left_out - std::min(capture.said.left_out, named.left_out),
            .not_entered = capture.said.not_entered - std::min(capture.said.not_entered, named.not_entered)};
}

AbsentCount AbsentSessions::count() const {
    AbsentCount all;
    for (const auto& [number, capture] : captures_) {
        const AbsentCount more = nameless(capture);
        all.left_out += more.left_out;
        all.not_entered += more.not_entered;
        for (const auto& [session, one] : capture.named) {
            if (!one.elsewhere) ++of_kind(all, one);
        }
    }
    return all;
}

std::vector<std::string> AbsentSessions::texts(const std::set<std::string>& only) const {
    std::vector<std::string> out;
    std::map<Absence, std::uint64_t> by_absence;
    std::map<std::string, std::uint64_t> by_word;
    AbsentCount more;
    for (const auto& [number, capture] : captures_) {
        more.entries += capture.said.entries;
        for (const auto& [session, one] : capture.named) {
            if (one.elsewhere || (!only.empty() && !only.contains(session))) continue;
            const bool is_room = by_word.size() < max_words || by_word.contains(one.word);
            ++(one.why ? by_absence[*one.why] : by_word[is_room ? one.word : "other words"]);
        }
        const AbsentCount nameless_here = nameless(capture);
        more.left_out += nameless_here.left_out;
        more.not_entered += nameless_here.not_entered;
    }
    for (const auto& [why, sessions] : by_absence)
        out.push_back(counted(sessions, "session") + " " + std::string(sentence(why)));
    for (const auto& [word, sessions] : by_word)
        out.push_back(counted(sessions, "session") + " absent for a reason that this version does not know (" +
                      printable(word) + ")");
    if (more.left_out > 0)
        out.push_back(counted(more.left_out, "session") +
                      " left out of the capture, or not whole in it, without an entry in these files that says which");
    if (more.not_entered > 0)
        out.push_back(counted(more.not_entered, "session") +
                      " open before the capture, and not in it, without an entry in these files that says which");
    if (more.entries > 0)
        out.push_back(
            counted(more.entries, "audit event") +
            " found no room in the capture: how sessions were opened, or why they failed, may be missing; the "
            "audit has it");
    return out;
}

}  // namespace protocol
