#include "protocol/server_name.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "protocol/utf8.hpp"

namespace protocol {
namespace {

constexpr std::size_t max_dns_name = 253;  // RFC 1035, 2.3.4, without the length octets
constexpr std::size_t max_dns_label = 63;
constexpr std::size_t max_zone = 15;  // an interface's name

bool is_decimal(char c) { return c >= '0' && c <= '9'; }
char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_of_a_label(char c) {
    return is_decimal(c) || (lower_ascii(c) >= 'a' && lower_ascii(c) <= 'z') || c == '-' || c == '_';
}

bool is_dns_label(std::string_view label) {
    return !label.empty() && label.size() <= max_dns_label && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), is_of_a_label);
}

bool is_zone(std::string_view zone) {
    return !zone.empty() && zone.size() <= max_zone &&
           std::all_of(zone.begin(), zone.end(), [](char c) { return is_of_a_label(c) || c == '.'; });
}

/// `name`: without the root's dot.
bool is_dns_name(std::string_view name) {
    if (name.empty() || name.size() > max_dns_name) return false;
    for (;;) {
        const std::size_t dot = name.find('.');
        const std::string_view label = name.substr(0, dot);
        if (!is_dns_label(label)) return false;
        // A last label of digits alone makes it an IPv4 address with a mistake in it, which no
        // resolver looks up as a name.
        if (dot == std::string_view::npos) return !std::all_of(label.begin(), label.end(), is_decimal);
        name.remove_prefix(dot + 1);
    }
}

std::string_view without_root(std::string_view name) {
    return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

std::string in_lower_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower_ascii);
    return out;
}

// --- Punycode (RFC 3492)

using Points = std::vector<std::uint32_t>;

std::optional<Points> code_points(std::string_view text) {
    Points points;
    while (!text.empty()) {
        const std::size_t size = character_length(text);
        if (size == 0) return std::nullopt;
        const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
        std::uint32_t point = size == 1 ? byte(0) : byte(0) & (0x7fu >> size);
        for (std::size_t i = 1; i < size; ++i) point = point << 6 | (byte(i) & 0x3fu);
        points.push_back(point);
        text.remove_prefix(size);
    }
    return points;
}

/// Of the scripts that have capitals and are likely in names: Latin, Greek, Cyrillic.
std::uint32_t lower_point(std::uint32_t c) {
    if (c < 0x80) return static_cast<std::uint8_t>(lower_ascii(static_cast<char>(c)));
    if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 0x20;
    const bool pairs_begin_odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
    if (c >= 0x100 && c <= 0x17f && c != 0x130 && c != 0x131 && c != 0x138 && c != 0x149 && c != 0x178 && c != 0x17f)
        return pairs_begin_odd ? c + (c & 1) : c | 1;
    if (c == 0x178) return 0xff;
    if (c >= 0x391 && c <= 0x3a9) return c + 0x20;
    if (c >= 0x410 && c <= 0x42f) return c + 0x20;
    if (c >= 0x400 && c <= 0x40f) return c + 0x50;
    return c;
}

constexpr std::uint32_t base = 36, tmin = 1, tmax = 26, skew = 38, damp = 700;

std::uint32_t adapt(std::uint32_t delta, std::uint32_t count, bool first) {
    delta = first ? delta / damp : delta / 2;
    delta += delta / count;
    std::uint32_t k = 0;
    for (; delta > (base - tmin) * tmax / 2; k += base) delta /= base - tmin;
    return k + (base - tmin + 1) * delta / (delta + skew);
}

char digit(std::uint32_t value) { return static_cast<char>(value < 26 ? 'a' + value : '0' + value - 26); }

/// A label is short: nothing here comes near the end of 32 bits.
std::string punycode(const Points& label) {
    std::string out;
    for (const std::uint32_t c : label) {
        if (c < 0x80) out += static_cast<char>(c);
    }
    const auto plain = static_cast<std::uint32_t>(out.size());
    if (plain > 0) out += '-';
    std::uint32_t n = 0x80, delta = 0, bias = 72;
    for (std::uint32_t done = plain; done < label.size();) {
        std::uint32_t next = 0xffffffff;
        for (const std::uint32_t c : label) next = c >= n ? std::min(next, c) : next;
        delta += (next - n) * (done + 1);
        n = next;
        for (const std::uint32_t c : label) {
            if (c < n) ++delta;
            if (c != n) continue;
            std::uint32_t q = delta;
            for (std::uint32_t k = base;; k += base) {
                const std::uint32_t t = k <= bias ? tmin : std::min(k - bias, tmax);
                if (q < t) break;
                out += digit(t + (q - t) % (base - t));
                q = (q - t) / (base - t);
            }
            out += digit(q);
            bias = adapt(delta, done + 1, done == plain);
            delta = 0;
            ++done;
        }
        ++delta;
        ++n;
    }
    return out;
}

}  // namespace

std::optional<ServerName> ServerName::parse(std::string_view text) {
    if (const auto address = parse_endpoint(text)) {
        const std::size_t zone = text.find('%');
        if (zone != std::string_view::npos && !is_zone(text.substr(zone + 1))) return std::nullopt;
        return ServerName(address_text(*address), address);
    }
    const std::string_view name = without_root(text);
    if (!is_dns_name(name)) return std::nullopt;
    return ServerName(in_lower_case(name), std::nullopt);
}

bool names_match(std::string_view pattern, std::string_view name) {
    const std::string wanted = in_lower_case(without_root(pattern));
    const std::string asked = in_lower_case(without_root(name));
    if (!wanted.starts_with("*.")) return wanted == asked;
    const std::size_t dot = asked.find('.');
    return dot != std::string::npos && dot > 0 && asked.substr(dot) == wanted.substr(1);
}

std::optional<std::string> in_a_labels(std::string_view name) {
    auto points = code_points(name);
    if (!points || points->size() > max_dns_name) return std::nullopt;
    bool plain = true;
    for (std::uint32_t& c : *points) {
        // Marks that stand alone, and forms that stand for several letters: for tables of Unicode.
        if ((c >= 0x300 && c <= 0x36f) || (c >= 0xfb00 && c <= 0xfb4f) || c >= 0xff00) return std::nullopt;
        if (c == 0x3002) c = '.';
        plain = plain && c < 0x80;
        c = lower_point(c);
    }
    if (plain) return std::nullopt;
    std::string out;
    for (auto begin = points->begin();;) {
        const auto end = std::find(begin, points->end(), std::uint32_t{'.'});
        const Points label(begin, end);
        const bool is_plain = std::all_of(label.begin(), label.end(), [](std::uint32_t c) { return c < 0x80; });
        if (!is_plain) out += "xn--" + punycode(label);
        if (is_plain) out.append(label.begin(), label.end());
        if (end == points->end()) break;
        out += '.';
        begin = end + 1;
    }
    const auto valid = ServerName::parse(out);
    if (!valid) return std::nullopt;
    return valid->text();
}

}  // namespace protocol
