// What the processes of an upgrade tell each other, with any contents: what was read is written and
// read again as the same, and an answer holds no more than was sent.
#include <algorithm>
#include <cstdlib>

#include "proxy/upgrade/overlap_text.hpp"

namespace {

using namespace proxy;

void check(bool holds) {
    if (!holds) std::abort();
}

/// The text of a line that was made here, without its end.
std::string_view line_of(const std::string& text) {
    check(text.ends_with('\n') && std::count(text.begin(), text.end(), '\n') == 1);
    return std::string_view(text).substr(0, text.size() - 1);
}

void cancel(std::string_view line) {
    const auto question = parse_cancel(line);
    if (!question) return;
    check(question->request.key.size() <= line.size() / 2);
    const std::string text = to_text(*question);
    const auto again = parse_cancel(line_of(text));
    check(again && again->request.pid == question->request.pid && again->request.key == question->request.key);
    check(again->from == question->from && again->limited == question->limited);
}

void outcome(std::string_view line) {
    const auto outcome = parse_outcome(line);
    if (!outcome) return;
    check(outcome->address.size() + outcome->error.size() <= line.size());
    check(outcome->matched || (outcome->address.empty() && outcome->error.empty()));
    if (line.find_first_of("\r\n") != std::string_view::npos) return;  // no line: its reader cuts there
    const std::string text = to_text(*outcome);
    const auto again = parse_outcome(line_of(text));
    check(again && again->matched == outcome->matched && again->address == outcome->address);
    check(again->error == outcome->error);
}

void counts(std::string_view lines) {
    const auto counts = parse_elsewhere(lines);
    if (!counts) return;
    const auto most = static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')) + 1;
    check(counts->per_address.size() + counts->logins.size() <= most);
    const auto again = parse_elsewhere(to_text(*counts));
    check(again && *again == *counts);
}

bool same(const InheritedRole& one, const InheritedRole& other) {
    return one.upstream == other.upstream && one.host == other.host && one.address == other.address &&
           one.role == other.role;
}

void roles(std::string_view lines, std::size_t max_text) {
    const auto roles = parse_roles(lines);
    std::vector<InheritedRole> again;
    for (const std::string& text : to_texts(roles, max_text)) {
        check(text.size() <= max_text && text.ends_with('\n'));
        for (auto& role : parse_roles(text)) again.push_back(std::move(role));
    }
    // Those that are left out are too long, or have a tab in the last field.
    auto next = roles.begin();
    for (const InheritedRole& one : again) {
        next = std::find_if(next, roles.end(), [&](const InheritedRole& other) { return same(one, other); });
        check(next != roles.end());
        ++next;
    }
    const auto whole = [](const InheritedRole& one) { return one.address.find('\t') == std::string::npos; };
    if (max_text > lines.size() + 1)
        check(static_cast<std::size_t>(std::count_if(roles.begin(), roles.end(), whole)) == again.size());
}

void frames(std::string_view text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const auto header = parse_frame_header(line);
    if (!header) return;
    check(!header->kind.empty() || line.starts_with(' '));
    check(header->size <= std::size_t{64} * 1024 * 1024);
    const std::string_view rest = text.substr(std::min(text.size(), line.size() + 1));
    const std::string written = frame(header->kind, rest, header->run);
    const auto again = parse_frame_header(std::string_view(written).substr(0, written.find('\n')));
    check(again && again->kind == header->kind && again->run == header->run && again->size == rest.size());
    check(std::string_view(written).ends_with(rest));
}

}  // namespace

// The first byte: which of them, and how long a text of roles may be.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 5) {
        case 0: cancel(text); break;
        case 1: outcome(text); break;
        case 2: counts(text); break;
        case 3: roles(text, std::size_t{data[0] / 5U} * 16); break;
        default: frames(text); break;
    }
    return 0;
}
