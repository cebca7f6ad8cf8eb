#include "protocol/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace protocol {
namespace {

using namespace std::string_view_literals;

constexpr auto line_beginning = "PROXY "sv;
constexpr auto signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr auto line_end = "\r\n"sv;
/// So many tell the two apart, and both from anything else.
constexpr std::size_t beginning_size = line_beginning.size();
constexpr std::size_t fixed_size = 16;
constexpr std::size_t shortest_line = "PROXY UNKNOWN\r\n"sv.size();

constexpr std::uint8_t version_2 = 0x20;
constexpr std::uint8_t command_local = 0, command_proxy = 1;
constexpr std::uint8_t family_unspecified = 0x00, family_tcp4 = 0x11, family_tcp6 = 0x21, family_unix = 0x31;
constexpr std::size_t unix_path_size = 108;

/// What stands before the next blank, which goes with it.
std::string_view next_word(std::string_view& rest) {
    const std::size_t end = rest.find(' ');
    const std::string_view word = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return word;
}

std::optional<std::uint16_t> port(std::string_view text) {
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool has_zeros_in_front = text.size() > 1 && text.front() == '0';
    if (error != std::errc() || end != text.data() + text.size() || has_zeros_in_front) return std::nullopt;
    return value;
}

std::optional<Endpoint> endpoint_of(std::string_view address, std::string_view port_text, bool v6) {
    const auto number = port(port_text);
    if (!number || address.find('%') != std::string_view::npos) return std::nullopt;
    const auto parsed = parse_endpoint(address, *number);
    return parsed && parsed->v6 == v6 ? parsed : std::nullopt;
}

/// `line`: without its line break. False: not as specified.
bool take_line(std::string_view line, ProxyHeader& header) {
    line.remove_prefix(line_beginning.size());
    const bool has_more = line.find(' ') != std::string_view::npos;
    const std::string_view family = next_word(line);
    if (family == "UNKNOWN") return true;  // whatever follows, "the receiver must ignore"
    if ((family != "TCP4" && family != "TCP6") || !has_more || line.ends_with(' ')) return false;
    const std::string_view source = next_word(line), destination = next_word(line);
    const std::string_view source_port = next_word(line), destination_port = next_word(line);
    const bool v6 = family == "TCP6";
    header.source = endpoint_of(source, source_port, v6);
    header.destination = endpoint_of(destination, destination_port, v6);
    return header.source && header.destination && line.empty();
}

Endpoint binary_endpoint(Bytes address, std::uint16_t port_number) {
    Endpoint out{.v6 = address.size() == 16, .port = port_number};
    std::copy(address.begin(), address.end(), out.address.begin());
    return out;
}

/// Where the parts behind the addresses begin; nullopt: not as specified.
std::optional<std::size_t> take_addresses(Bytes whole, ProxyHeader& header) {
    const std::uint8_t family = whole[13];
    const auto of_size = [&](std::size_t address_size) -> std::optional<std::size_t> {
        Reader rest(whole.subspan(fixed_size));
        const Bytes source = rest.take(address_size), destination = rest.take(address_size);
        const std::uint16_t source_port = rest.u16(), destination_port = rest.u16();
        if (!rest.ok()) return std::nullopt;
        header.source = binary_endpoint(source, source_port);
        header.destination = binary_endpoint(destination, destination_port);
        return whole.size() - rest.rest().size();
    };
    switch (family) {
        case family_unspecified: return fixed_size;
        case family_tcp4: return of_size(4);
        case family_tcp6: return of_size(16);
        case family_unix: {
            const std::size_t end = fixed_size + 2 * unix_path_size;
            return whole.size() < end ? std::nullopt : std::optional(end);
        }
        default: return std::nullopt;  // datagrams, which no PostgreSQL client sends, and what is reserved
    }
}

}  // namespace

ProxyHeaderParser::ProxyHeaderParser() : wanted_(beginning_size), due_(beginning_size) {}

void ProxyHeaderParser::feed(Bytes bytes) {
    if (state_ != State::reading) return;
    bytes = bytes.first(std::min(bytes.size(), wanted_));
    taken_.insert(taken_.end(), bytes.begin(), bytes.end());
    wanted_ -= bytes.size();
    if (wanted_ > 0) return;
    if (version_ == 0) {
        judge_beginning();
    } else if (version_ == 1) {
        judge_line();
    } else if (due_ == fixed_size) {
        judge_fixed_part();
    } else {
        take_binary();
    }
    if (state_ == State::reading) wanted_ = due_ - taken_.size();
}

void ProxyHeaderParser::judge_beginning() {
    const std::string_view text = as_text(taken_);
    if (text == line_beginning) {
        version_ = 1;
        due_ = shortest_line;
    } else if (text == signature.substr(0, beginning_size)) {
        version_ = 2;
        due_ = fixed_size;
    } else {
        fail(Fault::proxy_header_missing);
    }
}

/// Of a line that has not ended, its last byte may be the first of the two that end it.
void ProxyHeaderParser::judge_line() {
    const std::string_view text = as_text(taken_);
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
        due_ = taken_.size() + (text.back() == '\r' ? 1 : line_end.size());
        if (due_ > max_proxy_line) fail(Fault::proxy_header);
        return;
    }
    header_.version = 1;
    const bool is_whole = end + 1 == text.size() && text.ends_with(line_end);
    const std::string_view line = text.substr(0, text.size() - line_end.size());
    if (!is_whole || line.find('\r') != std::string_view::npos || !take_line(line, header_))
        return fail(Fault::proxy_header);
    state_ = State::complete;
}

void ProxyHeaderParser::judge_fixed_part() {
    const std::uint8_t command = taken_[12];
    const bool is_known = command == (version_2 | command_local) || command == (version_2 | command_proxy);
    if (!as_text(taken_).starts_with(signature) || !is_known) return fail(Fault::proxy_header);
    due_ = fixed_size + (std::size_t{taken_[14]} << 8 | taken_[15]);
    if (due_ > max_proxy_header) return fail(Fault::proxy_header);
    if (due_ == fixed_size) take_binary();
}

void ProxyHeaderParser::take_binary() {
    header_.version = 2;
    header_.local = (taken_[12] & 0x0f) == command_local;
    if (!header_.local) {
        const auto begin = take_addresses(taken_, header_);
        if (!begin || !take_proxy_tlvs(taken_, *begin, header_)) return fail(Fault::proxy_header);
    }
    state_ = State::complete;
}

void ProxyHeaderParser::fail(Fault fault) noexcept {
    state_ = State::failed;
    fault_ = fault;
    header_ = ProxyHeader();
}

}  // namespace protocol
