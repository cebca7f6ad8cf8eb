// What people decided about clients, and for how long it holds: an acceptance is of what a client
// did when it was accepted, and of nothing worse.
#include <algorithm>
#include <boost/algorithm/string/join.hpp>

#include "proxy/report/report.hpp"

namespace proxy::report {
namespace {

using protocol::Readiness;
using protocol::Verifies;

// Words of the column `accepted_state`: inventories hold them, so they are not renamed.
constexpr std::string_view in_clear = "plain";
constexpr std::string_view not_verifying = "not_verifying";
constexpr std::string_view old_tls = "weak_tls";
constexpr std::string_view mixed = "mixed";
/// One mark is about a client that comes through a proxy and about the same one around all: what it
/// does there is a word of its own, and excuses nothing here.
constexpr std::string_view around_us = "direct";
constexpr std::string_view of_those_around_us = "direct:";
/// Not wrong, but what else `accepted_state` tells: it was said of all whose names have that
/// pattern. A client may have the pattern as its own name.
constexpr std::string_view of_a_pattern = "pattern";

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// Whoever may connect in clear may also use TLS, however bad, and a client of which it is proven
/// that it does not verify may begin to do so.
bool is_covered(std::string_view word, const std::vector<std::string>& accepted) {
    if (contains(accepted, word)) return true;
    if (word.starts_with(of_those_around_us)) {
        std::vector<std::string> there;
        for (const std::string& one : accepted) {
            if (one.starts_with(of_those_around_us)) there.push_back(one.substr(of_those_around_us.size()));
        }
        return is_covered(word.substr(of_those_around_us.size()), there);
    }
    if (word == old_tls || word == not_verifying) return contains(accepted, in_clear);
    return word == mixed && (contains(accepted, in_clear) || contains(accepted, not_verifying));
}

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        if (end > 0) out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

bool is_folded(const ReportClient& client) { return !client.row.names.empty(); }

void apply(const MarkRow& mark, ReportClient& client, Timestamp now) {
    std::vector<std::string> state = words(mark.accepted_state);
    const bool was_folded = std::erase(state, of_a_pattern) > 0;
    if (was_folded != is_folded(client)) return;
    client.note = mark.note;
    if (now == 0 || mark.repaired_at <= now) client.repaired_at = mark.repaired_at;
    client.marked_at = mark.changed_at;
    if (!mark.accepted) return;
    client.accepted =
        Acceptance{.owner = mark.owner, .reason = mark.reason, .until = mark.accepted_until, .state = std::move(state)};
}

}  // namespace

/// What names nobody is whoever comes next: nothing can be said about that.
void apply_marks(const std::vector<MarkRow>& marks, std::vector<ReportClient>& clients, Timestamp now) {
    std::map<ClientIdentity, const MarkRow*> by_client;
    for (const MarkRow& mark : marks) by_client[mark.who] = &mark;
    for (ReportClient& client : clients) {
        const auto found = by_client.find(client.row.who);
        if (client.known && found != by_client.end()) apply(*found->second, client, now);
    }
}

/// What is not known is no complaint: less may be known of a shorter range.
std::vector<std::string> complaints(const ReportClient& client) {
    std::vector<std::string> out;
    const bool direct = client.source == Source::direct;
    const auto add = [&](bool applies, std::string_view word) {
        if (applies) out.push_back(std::string(direct ? of_those_around_us : "") + std::string(word));
    };
    add(client.plain, in_clear);
    add(client.falls_back, "falls_back");
    add(client.mixed, mixed);
    add(client.verifies == Verifies::no && !client.plain, not_verifying);  // in clear nobody does
    add(client.old_tls, old_tls);
    add(client.failing, "failing");
    add(client.breaks_on_ca_rotation == Readiness::yes, "breaks_on_ca_rotation");
    if (direct) out.emplace_back(around_us);
    return out;
}

void decide_excuse(ReportClient& client, Timestamp now) {
    client.excused = false;
    if (!client.accepted) return;
    Acceptance& accepted = *client.accepted;
    accepted.worse = complaints(client);
    std::erase_if(accepted.worse, [&](const std::string& word) { return is_covered(word, accepted.state); });
    client.excused = accepted.worse.empty() && (accepted.until == 0 || now < accepted.until);
}

std::string joined_words(const std::vector<std::string>& words) { return boost::algorithm::join(words, ","); }

void set_state(MarkRow& mark, const ReportClient& client, std::vector<std::string> state) {
    if (is_folded(client)) state.emplace_back(of_a_pattern);
    mark.accepted_state = joined_words(state);
}

void add_state(MarkRow& into, const MarkRow& from) {
    std::vector<std::string> state = words(into.accepted_state);
    for (std::string& word : words(from.accepted_state)) {
        if (!contains(state, word)) state.push_back(std::move(word));
    }
    into.accepted_state = joined_words(state);
}

MarkRow mark_of(const ReportClient& client) {
    MarkRow mark;
    mark.who = client.row.who;
    mark.note = client.note;
    mark.repaired_at = client.repaired_at;
    mark.changed_at = client.marked_at;
    set_state(mark, client, client.accepted ? client.accepted->state : std::vector<std::string>());
    if (!client.accepted) return mark;
    mark.accepted = true;
    mark.accepted_until = client.accepted->until;
    mark.owner = client.accepted->owner;
    mark.reason = client.accepted->reason;
    return mark;
}

}  // namespace proxy::report
