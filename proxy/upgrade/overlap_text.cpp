#include "proxy/upgrade/overlap_text.hpp"

#include <charconv>

namespace proxy {
namespace {

std::string hex(protocol::Bytes bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::optional<protocol::Buffer> bytes_of(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    protocol::Buffer bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        std::uint8_t byte = 0;
        const char* const end = text.data() + i + 2;
        const auto [stop, error] = std::from_chars(text.data() + i, end, byte, 16);
        if (error != std::errc() || stop != end) return std::nullopt;
        bytes.push_back(byte);
    }
    return bytes;
}

std::optional<AddressGroup> group_of(std::string_view text) {
    const auto bytes = bytes_of(text);
    AddressGroup group{};
    if (!bytes || bytes->size() != group.size()) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), group.begin());
    return group;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    return number;
}

std::string_view take(std::string_view& text, char separator) {
    const std::size_t end = text.find(separator);
    const std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return part;
}

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> all;
    while (!line.empty()) all.push_back(take(line, ' '));
    return all;
}

std::string in_one_line(std::string text) {
    for (char& c : text) {
        if (c == '\n' || c == '\r') c = ' ';
    }
    return text;
}

}  // namespace

std::string private_path(const std::string& state_dir, pid_t pid) {
    return state_dir + "/upgrade/" + std::to_string(pid);
}

std::string to_text(const CancelQuestion& question) {
    return "cancel " + std::to_string(question.request.pid) + " " + hex(question.request.key) + " " +
           hex(question.from) + (question.limited ? " limited" : " free") + "\n";
}

std::optional<CancelQuestion> parse_cancel(std::string_view line) {
    const auto parts = words(line);
    if (parts.size() < 5 || parts[0] != "cancel") return std::nullopt;
    const auto pid = number_of<std::uint32_t>(parts[1]);
    auto key = bytes_of(parts[2]);
    const auto from = group_of(parts[3]);
    if (!pid || !key || !from) return std::nullopt;
    return CancelQuestion{
        .request = {.pid = *pid, .key = std::move(*key)}, .from = *from, .limited = parts[4] != "free"};
}

std::string to_text(const CancelOutcome& outcome) {
    if (!outcome.matched) return "unknown\n";
    return "matched " + outcome.address + " " + in_one_line(outcome.error) + "\n";
}

std::optional<CancelOutcome> parse_outcome(std::string_view line) {
    const std::string_view what = take(line, ' ');
    if (what == "unknown") return CancelOutcome{};
    if (what != "matched") return std::nullopt;
    const std::string_view address = take(line, ' ');
    return CancelOutcome{.matched = true, .address = std::string(address), .error = std::string(line)};
}

std::string to_text(const Elsewhere& counts) {
    std::string text = "served " + std::to_string(counts.served) + "\n";
    for (const auto& [address, count] : counts.per_address)
        text += "address " + hex(address) + " " + std::to_string(count) + "\n";
    for (const auto& [key, count] : counts.logins)
        text += "logins " + hex(protocol::as_bytes(key)) + " " + std::to_string(count) + "\n";
    return text;
}

std::optional<Elsewhere> parse_elsewhere(std::string_view lines) {
    Elsewhere counts;
    while (!lines.empty()) {
        const auto parts = words(take(lines, '\n'));
        if (parts.size() >= 2 && parts[0] == "served") {
            const auto served = number_of<unsigned>(parts[1]);
            if (!served) return std::nullopt;
            counts.served = *served;
        } else if (parts.size() >= 3 && parts[0] == "address") {
            const auto address = group_of(parts[1]);
            const auto count = number_of<unsigned>(parts[2]);
            if (!address || !count) return std::nullopt;
            counts.per_address[*address] = *count;
        } else if (parts.size() >= 3 && parts[0] == "logins") {
            const auto key = bytes_of(parts[1]);
            const auto count = number_of<unsigned>(parts[2]);
            if (!key || !count) return std::nullopt;
            counts.logins[std::string(protocol::as_text(*key))] = *count;
        }
    }
    return counts;
}

std::vector<std::string> to_texts(const std::vector<InheritedRole>& roles, std::size_t max_text) {
    std::vector<std::string> texts;
    for (const InheritedRole& one : roles) {
        std::string line(protocol::to_string(one.role));
        bool is_line = true;
        for (const std::string* part : {&one.upstream, &one.host, &one.address}) {
            is_line = is_line && part->find_first_of("\t\n") == std::string::npos;
            line += "\t" + *part;
        }
        line += "\n";
        if (!is_line || line.size() > max_text) continue;
        if (texts.empty() || texts.back().size() + line.size() > max_text) texts.emplace_back();
        texts.back() += line;
    }
    return texts;
}

std::vector<InheritedRole> parse_roles(std::string_view lines) {
    using protocol::HostRole;
    std::vector<InheritedRole> roles;
    while (!lines.empty()) {
        std::string_view line = take(lines, '\n');
        const std::string_view word = take(line, '\t');
        InheritedRole one{.upstream = std::string(take(line, '\t')),
                          .host = std::string(take(line, '\t')),
                          .address = std::string(line)};
        for (const HostRole role : {HostRole::primary, HostRole::standby}) {
            if (word == protocol::to_string(role)) one.role = role;
        }
        const bool is_whole = !one.upstream.empty() && !one.host.empty() && !one.address.empty();
        if (is_whole && one.role != HostRole::unknown) roles.push_back(std::move(one));
    }
    return roles;
}

std::string frame(std::string_view kind, std::string_view body, std::string_view run) {
    std::string text = std::string(kind) + " " + std::to_string(body.size());
    if (!run.empty()) text.append(" ").append(run);
    return text.append("\n").append(body);
}

std::optional<FrameHeader> parse_frame_header(std::string_view line) {
    constexpr std::size_t most = 64 * 1024 * 1024;
    const auto parts = words(line);
    if (parts.size() < 2) return std::nullopt;
    const auto size = number_of<std::size_t>(parts[1]);
    if (!size || *size > most) return std::nullopt;
    return FrameHeader{.kind = parts[0], .size = *size, .run = parts.size() > 2 ? parts[2] : std::string_view()};
}

}  // namespace proxy
