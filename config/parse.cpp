#include "config/parse.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <span>

#include "config/load.hpp"
#include "protocol/server_name.hpp"

namespace config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

template <class Number>
std::optional<Number> parse_number(std::string_view text, Number max);
std::optional<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units, std::uint64_t max);
std::optional<Address> parse_socket_path(std::string_view path);
bool parse_ip(int family, std::string_view text, void* bytes) noexcept;
bool is_digit(char c) noexcept;

constexpr std::array<Unit, 5> durations{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 24 * 3'600'000}}};
constexpr std::array<Unit, 5> sizes{
    {{"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}}};
// Ten years: timers count nanoseconds in 64 bits, and adding to the time of day must not overflow.
constexpr std::uint64_t max_duration = 87'600ull * 3'600'000;

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    const auto milliseconds = parse_quantity(text, durations, max_duration);
    if (!milliseconds) return std::nullopt;
    return Duration{static_cast<Duration::rep>(*milliseconds)};
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    return parse_quantity(text, sizes, std::numeric_limits<std::uint64_t>::max());
}

std::optional<Address> parse_address(std::string_view text) {
    if (text.starts_with("unix:")) return parse_socket_path(text.substr(5));

    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 65535);
    if (!port) return std::nullopt;

    std::string_view host = text.substr(0, colon);
    // Without brackets nobody could tell the port from the last group of an IPv6 address.
    const bool in_brackets = host.starts_with('[') && host.ends_with(']');
    if (in_brackets) host = host.substr(1, host.size() - 2);
    const bool is_ipv6 = host.find(':') != std::string_view::npos;
    if (in_brackets != is_ipv6) return std::nullopt;

    if (!protocol::ServerName::parse(host)) return std::nullopt;
    return Address{.kind = Address::Kind::tcp, .host = std::string{host}, .port = *port, .origin = {}};
}

std::optional<Cidr> parse_cidr(std::string_view text) {
    const auto slash = text.find('/');
    const std::string_view address = text.substr(0, slash);

    Cidr cidr;
    const bool is_ipv4 = parse_ip(AF_INET, address, cidr.bytes.data() + 12);
    if (is_ipv4) cidr.bytes[10] = cidr.bytes[11] = 0xff;  // v4-mapped: RFC 4291, 2.5.5.2
    if (!is_ipv4 && !parse_ip(AF_INET6, address, cidr.bytes.data())) return std::nullopt;
    if (slash == std::string_view::npos) return cidr;

    const auto length = parse_number<int>(text.substr(slash + 1), is_ipv4 ? 32 : 128);
    if (!length) return std::nullopt;
    cidr.prefix_length = *length + (is_ipv4 ? 96 : 0);
    return cidr;
}

bool is_dns_name(std::string_view text) {
    const auto name = protocol::ServerName::parse(text);
    return name && !name->is_address();
}

bool is_ip_address(std::string_view text) {
    const auto name = protocol::ServerName::parse(text);
    return name && name->is_address();
}

namespace {

/// `digits` decimal digits at the front, which are consumed; nullopt: something else, or out of
/// range.
std::optional<int> take_number(std::string_view& text, std::size_t digits, int min, int max) noexcept {
    if (text.size() < digits) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return value >= min && value <= max ? std::optional(value) : std::nullopt;
}

bool take(std::string_view& text, char expected) noexcept {
    if (!text.starts_with(expected)) return false;
    text.remove_prefix(1);
    return true;
}

/// ".5", as the audit and a capture write it: up to nine digits.
std::optional<std::chrono::nanoseconds> take_fraction(std::string_view& text) noexcept {
    if (!take(text, '.')) return std::nullopt;
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; !text.empty() && is_digit(text.front()) && digits < 9; ++digits, text.remove_prefix(1))
        value = value * 10 + (text.front() - '0');
    if (digits == 0) return std::nullopt;
    for (std::size_t i = digits; i < 9; ++i) value *= 10;
    return std::chrono::nanoseconds(value);
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> parse_time(std::string_view text) noexcept {
    using namespace std::chrono;
    const auto y = take_number(text, 4, 1970, 2200);
    const auto m = y && take(text, '-') ? take_number(text, 2, 1, 12) : std::nullopt;
    const auto d = m && take(text, '-') ? take_number(text, 2, 1, 31) : std::nullopt;
    const auto hour = d && (take(text, 'T') || take(text, 't')) ? take_number(text, 2, 0, 23) : std::nullopt;
    const auto minute = hour && take(text, ':') ? take_number(text, 2, 0, 59) : std::nullopt;
    if (!minute) return std::nullopt;
    std::optional<int> second = 0;
    std::optional<nanoseconds> fraction = nanoseconds(0);
    if (take(text, ':')) {
        second = take_number(text, 2, 0, 59);
        if (text.starts_with('.')) fraction = take_fraction(text);
    }
    const year_month_day date{year{*y}, month{static_cast<unsigned>(*m)}, day{static_cast<unsigned>(*d)}};
    if (!second || !fraction || !date.ok()) return std::nullopt;
    const auto local = sys_days{date} + hours{*hour} + minutes{*minute} + seconds{*second} + *fraction;
    if (text == "Z" || text == "z") return local;
    const bool west = text.starts_with('-');
    if (!take(text, '+') && !take(text, '-')) return std::nullopt;
    const auto offset_hour = take_number(text, 2, 0, 23);
    const auto offset_minute = offset_hour && take(text, ':') ? take_number(text, 2, 0, 59) : std::nullopt;
    if (!offset_minute || !text.empty()) return std::nullopt;
    const auto offset = hours{*offset_hour} + minutes{*offset_minute};
    return west ? local + offset : local - offset;
}

std::optional<TimeWindow> parse_time_window(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto begin = parse_time(text.substr(0, slash));
    const auto end = parse_time(text.substr(slash + 1));
    if (!begin || !end || *begin >= *end) return std::nullopt;
    return TimeWindow{*begin, *end};
}

bool is_of_this_host(const Address& address) noexcept {
    if (address.kind == Address::Kind::unix_socket) return true;
    const auto listened = parse_cidr(address.host);
    static const std::array<Cidr, 2> loopback{*parse_cidr("127.0.0.0/8"), *parse_cidr("::1/128")};
    return listened && std::any_of(loopback.begin(), loopback.end(),
                                   [&](const Cidr& range) { return range.contains(listened->bytes); });
}

bool is_plain_name(std::string_view text) noexcept {
    constexpr std::size_t longest = 63;
    const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0; };
    const auto is_allowed = [&](char c) {
        return is_word(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= longest && is_word(static_cast<unsigned char>(text.front())) &&
           std::all_of(text.begin(), text.end(), is_allowed);
}

bool has_control_characters(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
}

namespace {

/// Digits only: no sign, no blanks.
template <class Number>
std::optional<Number> parse_number(std::string_view text, Number max) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_complete = error == std::errc{} && end == text.data() + text.size();
    if (!is_complete || !is_digit(text.front()) || number > max) return std::nullopt;
    return number;
}

std::optional<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units, std::uint64_t max) {
    const auto digits = std::find_if_not(text.begin(), text.end(), is_digit) - text.begin();
    const std::string_view name = text.substr(static_cast<std::size_t>(digits));
    const auto unit =
        std::find_if(units.begin(), units.end(), [&](const Unit& candidate) { return candidate.name == name; });
    if (unit == units.end()) return std::nullopt;
    const auto number =
        parse_number<std::uint64_t>(text.substr(0, static_cast<std::size_t>(digits)), max / unit->factor);
    if (!number) return std::nullopt;
    return *number * unit->factor;
}

std::optional<Address> parse_socket_path(std::string_view path) {
    constexpr std::size_t max_length = sizeof(sockaddr_un::sun_path) - 1;
    if (!path.starts_with('/') || path.ends_with('/') || path.size() > max_length) return std::nullopt;
    return Address{.kind = Address::Kind::unix_socket, .host = std::string{path}, .port = 0, .origin = {}};
}

bool parse_ip(int family, std::string_view text, void* bytes) noexcept {
    // inet_pton wants a terminated string, and would be content with what precedes a NUL.
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return false;
    std::copy(text.begin(), text.end(), terminated.begin());
    return inet_pton(family, terminated.data(), bytes) == 1;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace
}  // namespace config
