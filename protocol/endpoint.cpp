#include "protocol/endpoint.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace protocol {

namespace {

using Octets = std::vector<std::uint8_t>;

/// The parts of `text` between `separator`; one, empty, of an empty text.
std::vector<std::string_view> between(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::optional<unsigned> unsigned_number(std::string_view text, int base, std::size_t most_digits) {
    unsigned value = 0;
    if (text.empty() || text.size() > most_digits) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<Octets> v4_octets(std::string_view text) {
    Octets octets;
    for (const std::string_view part : between(text, '.')) {
        const auto value = unsigned_number(part, 10, 3);
        // Zeros in front are octal to some and decimal to others.
        if (!value || *value > 255 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
        octets.push_back(static_cast<std::uint8_t>(*value));
    }
    if (octets.size() != 4) return std::nullopt;
    return octets;
}

/// What stands on one side of "::"; the end of an address may be an IPv4 one.
std::optional<Octets> v6_groups(std::string_view text, bool end) {
    Octets octets;
    if (text.empty()) return octets;
    const auto parts = between(text, ':');
    for (const std::string_view part : parts) {
        if (end && part.data() == parts.back().data() && part.find('.') != std::string_view::npos) {
            const auto last = v4_octets(part);
            if (!last) return std::nullopt;
            octets.insert(octets.end(), last->begin(), last->end());
            continue;
        }
        const auto value = unsigned_number(part, 16, 4);
        if (!value) return std::nullopt;
        octets.push_back(static_cast<std::uint8_t>(*value >> 8));
        octets.push_back(static_cast<std::uint8_t>(*value));
    }
    return octets;
}

std::optional<Octets> v6_octets(std::string_view text) {
    const std::size_t gap = text.find("::");
    if (gap == std::string_view::npos) {
        auto all = v6_groups(text, true);
        if (!all || all->size() != 16) return std::nullopt;
        return all;
    }
    auto octets = v6_groups(text.substr(0, gap), false);
    const auto behind = v6_groups(text.substr(gap + 2), true);
    if (!octets || !behind || octets->size() + behind->size() > 14) return std::nullopt;
    octets->resize(16 - behind->size());
    octets->insert(octets->end(), behind->begin(), behind->end());
    return octets;
}

constexpr std::uint8_t mapped_prefix[12]{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::string v4_text(Bytes octets) {
    std::string text;
    for (std::size_t i = 0; i < 4; ++i) text += (i ? "." : "") + std::to_string(octets[i]);
    return text;
}

}  // namespace

std::optional<Endpoint> parse_endpoint(std::string_view address, std::uint16_t port) {
    const bool is_v6 = address.find(':') != std::string_view::npos;
    const auto octets = is_v6 ? v6_octets(address.substr(0, address.find('%'))) : v4_octets(address);
    if (!octets) return std::nullopt;
    Endpoint parsed{.v6 = is_v6, .port = port};
    std::copy(octets->begin(), octets->end(), parsed.address.begin());
    return parsed;
}

Endpoint endpoint(const std::string& address, std::uint16_t port) {
    return parse_endpoint(address, port).value_or(Endpoint{.address = {127, 0, 0, 1}, .port = port});
}

Endpoint as_v6(const Endpoint& endpoint) {
    if (endpoint.v6) return endpoint;
    Endpoint mapped{.v6 = true, .port = endpoint.port};
    std::copy(std::begin(mapped_prefix), std::end(mapped_prefix), mapped.address.begin());
    std::copy_n(endpoint.address.begin(), 4, mapped.address.begin() + 12);
    return mapped;
}

std::string address_text(const Endpoint& endpoint) {
    const Bytes octets = address_bytes(endpoint);
    if (!endpoint.v6) return v4_text(octets);
    if (std::equal(std::begin(mapped_prefix), std::end(mapped_prefix), octets.begin()))
        return "::ffff:" + v4_text(octets.subspan(12));

    const auto group = [&](std::size_t i) { return octets[2 * i] << 8 | octets[2 * i + 1]; };
    std::size_t gap = 8, gap_size = 1;  // the first of the longest runs of zeros; one alone is none
    for (std::size_t i = 0; i < 8; ++i) {
        std::size_t end = i;
        while (end < 8 && group(end) == 0) ++end;
        if (end - i > gap_size) gap = i, gap_size = end - i;
    }
    std::string text;
    for (std::size_t i = 0; i < 8; ++i) {
        if (i == gap) {
            text += "::";
            i += gap_size - 1;
            continue;
        }
        if (!text.empty() && text.back() != ':') text += ':';
        char digits[4];
        text.append(digits, std::to_chars(std::begin(digits), std::end(digits), group(i), 16).ptr);
    }
    return text;
}

}  // namespace protocol
