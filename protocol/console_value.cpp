#include "protocol/console_value.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "protocol/endpoint.hpp"

namespace protocol {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t day = 86'400 * second;
constexpr std::int64_t max_interval = std::int64_t{1} << 60;  // 36,000 years
/// Of timestamptz in binary: 2000-01-01.
constexpr std::int64_t postgres_epoch = 946'684'800 * second;

/// Days since 1970 of a date in the Gregorian calendar, and back (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
constexpr std::int64_t days_from_civil(std::int64_t y, unsigned m, unsigned d) noexcept {
    y -= m <= 2;
    const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
    const auto yoe = static_cast<unsigned>(y - era * 400);
    const unsigned doy = (153 * (m + (m > 2 ? -3U : 9U)) + 2) / 5 + d - 1;
    const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + static_cast<std::int64_t>(doe) - 719468;
}

struct Civil {
    std::int64_t year;
    unsigned month;
    unsigned day;
};
constexpr Civil civil_from_days(std::int64_t z) noexcept {
    z += 719468;
    const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const auto doe = static_cast<unsigned>(z - era * 146097);
    const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const std::int64_t y = static_cast<std::int64_t>(yoe) + era * 400;
    const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const unsigned mp = (5 * doy + 2) / 153;
    const unsigned m = mp < 10 ? mp + 3 : mp - 9;
    return {y + (m <= 2 ? 1 : 0), m, doy - (153 * mp + 2) / 5 + 1};
}

/// Hours to microseconds, without trailing zeros.
std::string time_text(std::int64_t within_day) {
    char text[40];
    const std::int64_t seconds = within_day / second;
    std::snprintf(text, sizeof text, "%02d:%02d:%02d", static_cast<int>(seconds / 3600),
                  static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
    std::string out = text;
    if (const auto fraction = static_cast<int>(within_day % second); fraction > 0) {
        std::snprintf(text, sizeof text, ".%06d", fraction);
        out += text;
        out.erase(out.find_last_not_of('0') + 1);
    }
    return out;
}

class Scanner {
   public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    bool at_end() const noexcept { return rest_.empty(); }
    std::string_view rest() const noexcept { return rest_; }
    bool take(char c) noexcept {
        const bool is = rest_.starts_with(c);
        if (is) rest_.remove_prefix(1);
        return is;
    }
    void skip_spaces() noexcept {
        while (take(' ')) {
        }
    }
    /// `width`: of so many digits; 0: of one to nine.
    std::optional<std::int64_t> digits(std::size_t width) noexcept {
        std::size_t n = 0;
        std::int64_t value = 0;
        while (n < rest_.size() && n < (width > 0 ? width : 9) && rest_[n] >= '0' && rest_[n] <= '9')
            value = value * 10 + (rest_[n++] - '0');
        if (n == 0 || (width > 0 && n != width)) return std::nullopt;
        rest_.remove_prefix(n);
        return value;
    }
    /// Behind a decimal point; digits beyond microseconds are left out.
    std::int64_t fraction() noexcept {
        std::int64_t value = 0;
        std::int64_t unit = second / 10;
        for (; !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; rest_.remove_prefix(1), unit /= 10)
            value += (rest_[0] - '0') * unit;
        return value;
    }
    std::string_view letters() noexcept {
        const std::size_t n = std::min(rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), rest_.size());
        const std::string_view word = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return word;
    }

   private:
    std::string_view rest_;
};

/// "03:04", "03:04:05.678".
std::optional<std::int64_t> take_time(Scanner& in, std::size_t hour_width) {
    const auto hours = in.digits(hour_width);
    if (!hours || !in.take(':')) return std::nullopt;
    const auto minutes = in.digits(2);
    if (!minutes) return std::nullopt;
    std::int64_t time = (*hours * 60 + *minutes) * 60 * second;
    if (!in.take(':')) return time;
    const auto seconds = in.digits(2);
    if (!seconds) return std::nullopt;
    time += *seconds * second;
    if (in.take('.')) time += in.fraction();
    return time;
}

/// Of "+02:00"; 0: none follows.
std::optional<std::int64_t> take_zone(Scanner& in) {
    if (in.at_end() || in.take('Z')) return 0;
    const bool west = in.take('-');
    if (!west && !in.take('+')) return std::nullopt;
    const auto hours = in.digits(2);
    if (!hours) return std::nullopt;
    std::int64_t minutes = 0;
    if (!in.at_end()) {
        in.take(':');
        const auto taken = in.digits(2);
        if (!taken) return std::nullopt;
        minutes = *taken;
    }
    const std::int64_t offset = (*hours * 60 + minutes) * 60 * second;
    return west ? -offset : offset;
}

struct Unit {
    std::string_view name;
    std::int64_t length;
};
constexpr std::array units{
    Unit{"microsecond", 1},   Unit{"us", 1},          Unit{"millisecond", 1000},   Unit{"ms", 1000},
    Unit{"second", second},   Unit{"sec", second},    Unit{"s", second},           Unit{"minute", 60 * second},
    Unit{"min", 60 * second}, Unit{"m", 60 * second}, Unit{"hour", 3600 * second}, Unit{"h", 3600 * second},
    Unit{"day", day},         Unit{"d", day},         Unit{"week", 7 * day},       Unit{"w", 7 * day},
    Unit{"month", 30 * day},  Unit{"mon", 30 * day},  Unit{"year", 365 * day},
};

std::optional<std::int64_t> unit_of(std::string_view word) {
    if (word.size() > 2 && word.ends_with('s')) word.remove_suffix(1);
    if (word == "hr") word = "h";
    for (const Unit& unit : units) {
        if (unit.name == word) return unit.length;
    }
    return std::nullopt;
}

std::optional<std::int64_t> integer(std::string_view text) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end) return std::nullopt;
    return value;
}

void append_big_endian(Buffer& out, std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

bool append_integer(Buffer& out, std::string_view text, int bytes) {
    const auto value = integer(text);
    if (!value) return false;
    append_big_endian(out, static_cast<std::uint64_t>(*value), bytes);
    return true;
}

std::optional<double> floating(std::string_view text) {
    const std::string whole(text);
    char* end = nullptr;
    const double value = std::strtod(whole.c_str(), &end);
    if (whole.empty() || *end != '\0') return std::nullopt;
    return value;
}

/// inet_send: family, bits, is_cidr, and the address behind its length.
bool append_inet(Buffer& out, std::string_view text) {
    const auto address = parse_endpoint(text);
    if (!address) return false;
    constexpr std::uint8_t ipv4 = 2;  // PGSQL_AF_INET, whatever AF_INET is
    constexpr std::uint8_t ipv6 = 3;
    const Bytes bytes = address_bytes(*address);
    out.push_back(address->v6 ? ipv6 : ipv4);
    out.push_back(static_cast<std::uint8_t>(bytes.size() * 8));
    out.push_back(0);
    out.push_back(static_cast<std::uint8_t>(bytes.size()));
    out.insert(out.end(), bytes.begin(), bytes.end());
    return true;
}

bool append_interval(Buffer& out, std::string_view text) {
    const auto length = parse_interval(text);
    if (!length) return false;
    append_big_endian(out, static_cast<std::uint64_t>(*length % day), 8);
    append_big_endian(out, static_cast<std::uint64_t>(*length / day), 4);
    append_big_endian(out, 0, 4);  // months
    return true;
}

std::uint64_t big_endian(Bytes value) {
    std::uint64_t number = 0;
    for (const std::uint8_t byte : value) number = number << 8 | byte;
    return number;
}

/// OIDs of parameters that are no column's.
constexpr std::uint32_t oid_varchar = 1043;
constexpr std::uint32_t oid_bpchar = 1042;
constexpr std::uint32_t oid_unknown = 705;
constexpr std::uint32_t oid_float4 = 700;

}  // namespace

std::string timestamp_text(std::int64_t time) {
    const std::int64_t days = time >= 0 ? time / day : (time - day + 1) / day;
    const Civil date = civil_from_days(days);
    char text[48];
    std::snprintf(text, sizeof text, "%04lld-%02u-%02u ", static_cast<long long>(date.year), date.month, date.day);
    return text + time_text(time - days * day) + "+00";
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
    Scanner in(text);
    const auto year = in.digits(4);
    if (!year || !in.take('-')) return std::nullopt;
    const auto month = in.digits(2);
    if (!month || !in.take('-') || *month < 1 || *month > 12) return std::nullopt;
    const auto date = in.digits(2);
    if (!date || *date < 1 || *date > 31) return std::nullopt;
    const std::int64_t begin =
        days_from_civil(*year, static_cast<unsigned>(*month), static_cast<unsigned>(*date)) * day;
    if (in.at_end()) return begin;
    if (!in.take('T') && !in.take(' ')) return std::nullopt;
    const auto time = take_time(in, 2);
    if (!time || *time > day) return std::nullopt;
    in.skip_spaces();
    const auto zone = take_zone(in);
    if (!zone || !in.at_end()) return std::nullopt;
    return begin + *time - *zone;
}

std::string interval_text(std::int64_t length) {
    std::string out;
    const bool negative = length < 0;
    if (negative) length = -length;
    const std::int64_t days = length / day;
    const std::string sign = negative ? "-" : "";
    if (days > 0) out = sign + std::to_string(days) + (days == 1 && !negative ? " day" : " days");
    const std::int64_t rest = length % day;
    if (rest > 0 || days == 0) out += (out.empty() ? "" : " ") + sign + time_text(rest);
    return out;
}

std::optional<std::int64_t> parse_interval(std::string_view text) {
    Scanner in(text);
    std::int64_t sum = 0;
    bool any = false;
    for (in.skip_spaces(); !in.at_end(); in.skip_spaces(), any = true) {
        const bool negative = in.take('-');
        Scanner ahead = in;
        std::int64_t part = 0;
        if (const auto time = take_time(ahead, 0)) {
            part = *time;
            in = ahead;
        } else {
            const auto number = in.digits(0);
            if (!number) return std::nullopt;
            const std::int64_t fraction = in.take('.') ? in.fraction() : 0;
            in.skip_spaces();
            const auto unit = unit_of(in.letters());
            if (!unit || *number > max_interval / *unit) return std::nullopt;
            part = *number * *unit +
                   static_cast<std::int64_t>(static_cast<double>(fraction) / second * static_cast<double>(*unit));
        }
        if (part > max_interval) return std::nullopt;
        sum += negative ? -part : part;
        if (sum > max_interval || sum < -max_interval) return std::nullopt;
    }
    if (!any) return std::nullopt;
    return sum;
}

bool append_binary(Buffer& out, ColumnType type, std::string_view text) {
    switch (type) {
        case ColumnType::boolean: out.push_back(text == "t" || text == "true" || text == "1" ? 1 : 0); return true;
        case ColumnType::int2: return append_integer(out, text, 2);
        case ColumnType::int4:
        case ColumnType::oid:
        case ColumnType::xid: return append_integer(out, text, 4);
        case ColumnType::int8: return append_integer(out, text, 8);
        case ColumnType::float8: {
            const auto value = floating(text);
            if (!value) return false;
            append_big_endian(out, std::bit_cast<std::uint64_t>(*value), 8);
            return true;
        }
        case ColumnType::timestamptz: {
            const auto time = parse_timestamp(text);
            if (!time) return false;
            append_big_endian(out, static_cast<std::uint64_t>(*time - postgres_epoch), 8);
            return true;
        }
        case ColumnType::interval: return append_interval(out, text);
        case ColumnType::inet: return append_inet(out, text);
        case ColumnType::text:
        case ColumnType::name: {
            const Bytes bytes = as_bytes(text);
            out.insert(out.end(), bytes.begin(), bytes.end());
            return true;
        }
        case ColumnType::numeric: break;
    }
    return false;
}

std::optional<std::string> binary_as_text(std::uint32_t oid, Bytes value) {
    const std::size_t size = value.size();
    switch (oid) {
        case static_cast<std::uint32_t>(ColumnType::boolean):
            if (size != 1) return std::nullopt;
            return value[0] != 0 ? "t" : "f";
        case static_cast<std::uint32_t>(ColumnType::int2):
            if (size != 2) return std::nullopt;
            return std::to_string(static_cast<std::int16_t>(big_endian(value)));
        case static_cast<std::uint32_t>(ColumnType::int4):
            if (size != 4) return std::nullopt;
            return std::to_string(static_cast<std::int32_t>(big_endian(value)));
        case static_cast<std::uint32_t>(ColumnType::oid):
        case static_cast<std::uint32_t>(ColumnType::xid):
            if (size != 4) return std::nullopt;
            return std::to_string(big_endian(value));
        case static_cast<std::uint32_t>(ColumnType::int8):
            if (size != 8) return std::nullopt;
            return std::to_string(static_cast<std::int64_t>(big_endian(value)));
        case oid_float4:
            if (size != 4) return std::nullopt;
            return std::to_string(std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(value))));
        case static_cast<std::uint32_t>(ColumnType::float8): {
            if (size != 8) return std::nullopt;
            char text[40];
            std::snprintf(text, sizeof text, "%.17g", std::bit_cast<double>(big_endian(value)));
            return text;
        }
        case static_cast<std::uint32_t>(ColumnType::timestamptz):
            if (size != 8) return std::nullopt;
            return timestamp_text(static_cast<std::int64_t>(big_endian(value)) + postgres_epoch);
        case static_cast<std::uint32_t>(ColumnType::interval): {
            if (size != 16) return std::nullopt;
            const auto time = static_cast<std::int64_t>(big_endian(value.first(8)));
            const auto days = static_cast<std::int32_t>(big_endian(value.subspan(8, 4)));
            const auto months = static_cast<std::int32_t>(big_endian(value.subspan(12)));
            return interval_text(time + (std::int64_t{days} + std::int64_t{months} * 30) * day);
        }
        case static_cast<std::uint32_t>(ColumnType::inet): {
            if (size != 8 && size != 20) return std::nullopt;
            Endpoint address;
            address.v6 = size == 20;
            std::copy(value.begin() + 4, value.end(), address.address.begin());
            return address_text(address);
        }
        case 0:
        case oid_unknown:
        case oid_varchar:
        case oid_bpchar:
        case static_cast<std::uint32_t>(ColumnType::name):
        case static_cast<std::uint32_t>(ColumnType::text): return std::string(as_text(value));
        default: return std::nullopt;
    }
}

}  // namespace protocol
