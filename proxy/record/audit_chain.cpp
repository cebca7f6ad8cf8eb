#include "proxy/record/audit_chain.hpp"

#include <algorithm>
#include <utility>

#include "tls/certificates.hpp"

namespace proxy {
namespace {

constexpr std::size_t value_length = 64;
constexpr std::string_view nothing = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr std::string_view value_member = R"(,"chain":")";
constexpr std::string_view why_member = R"(,"chain_begins":")";
constexpr std::string_view closing = R"("})";

std::string value_of(std::string_view previous, std::string_view unchained) {
    const std::string both = std::string(previous) + std::string(unchained);
    return tls::sha256_hex(both.data(), both.size());
}

/// In place of the closing brace.
void append_member(std::string& json, std::string_view member, std::string_view text) {
    json.pop_back();
    json.append(member).append(text).append(closing);
}

}  // namespace

bool AuditChain::is_value(std::string_view state) noexcept {
    return state.size() == value_length && state.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void AuditChain::begin(std::string_view why) { why_ = why; }

void AuditChain::go_on(std::string value) {
    value_ = std::move(value);
    why_ = {};
}

std::string AuditChain::link(std::string json) {
    const bool begins = !why_.empty();
    if (begins) append_member(json, why_member, std::exchange(why_, {}));
    value_ = value_of(begins ? nothing : std::string_view(value_), json);
    append_member(json, value_member, value_);
    return json;
}

bool ChainedLine::follows(std::string_view previous) const { return value_of(previous, unchained) == value; }

std::optional<ChainedLine> parse_chained(std::string_view line) {
    constexpr std::size_t last_member = value_member.size() + value_length + closing.size();
    if (line.size() < last_member || !line.ends_with(closing)) return std::nullopt;
    const std::string_view member = line.substr(line.size() - last_member);
    const std::string_view value = member.substr(value_member.size(), value_length);
    if (!member.starts_with(value_member) || !AuditChain::is_value(value)) return std::nullopt;
    const std::string_view before = line.substr(0, line.size() - last_member);
    ChainedLine parsed{.unchained = std::string(before) + "}", .value = std::string(value)};
    // No text within the line can look like this: a quotation mark in a text has a backslash before
    // it.
    const std::size_t why = before.rfind(why_member);
    if (why != std::string_view::npos && before.ends_with('"')) {
        const std::string_view text = before.substr(why + why_member.size());
        if (text.find('"') == text.size() - 1) parsed.why = text.substr(0, text.size() - 1);
    }
    return parsed;
}

std::string_view before_the_first() noexcept { return nothing; }

}  // namespace proxy
