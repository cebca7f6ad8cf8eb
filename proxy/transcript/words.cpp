#include "proxy/transcript/words.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "protocol/utf8.hpp"

namespace proxy::transcript {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

std::string formatted(std::uint64_t time, const char* format) {
    const auto seconds = static_cast<std::time_t>(time / second);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 64> out{};
    return {out.data(), std::strftime(out.data(), out.size(), format, &utc)};
}

std::string with_digits(double value, const char* unit) {
    std::array<char, 48> out{};
    const char* const format = value >= 100 ? "%.0f %s" : value >= 10 ? "%.1f %s" : "%.2f %s";
    const int size = std::snprintf(out.data(), out.size(), format, value, unit);
    return {out.data(), static_cast<std::size_t>(std::max(size, 0))};
}

std::string padded(std::uint64_t number, std::size_t digits) {
    const std::string text = std::to_string(number);
    return std::string(digits - std::min(digits, text.size()), '0') + text;
}

}  // namespace

std::string time_text(std::uint64_t time) {
    return formatted(time, "%Y-%m-%dT%H:%M:%S.") + padded(time % second / 1000, 6) + "Z";
}

std::string clock_text(std::uint64_t time) {
    return formatted(time, "%H:%M:%S.") + padded(time % second / 1'000'000, 3);
}

std::string duration_text(std::uint64_t duration) {
    const auto value = static_cast<double>(duration);
    if (duration < 60 * second)
        return duration < second ? with_digits(value / 1e6, "ms") : with_digits(value / 1e9, "s");
    const std::uint64_t minutes = duration / (60 * second);
    if (minutes < 120) return std::to_string(minutes) + " min " + std::to_string(duration / second % 60) + " s";
    return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
}

std::string bytes_text(std::uint64_t bytes) {
    if (bytes < 1000) return counted(bytes, "byte");
    const auto value = static_cast<double>(bytes);
    if (bytes < 1'000'000) return with_digits(value / 1e3, "KB");
    return bytes < 1'000'000'000 ? with_digits(value / 1e6, "MB") : with_digits(value / 1e9, "GB");
}

std::string one_line(std::string_view text, std::size_t limit) {
    std::string spaced;
    for (const char c : text) {
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (space && (spaced.empty() || spaced.back() == ' ')) continue;
        spaced += space ? ' ' : c;
    }
    if (spaced.ends_with(' ')) spaced.pop_back();
    std::string_view rest = spaced;
    std::string out;
    for (std::size_t characters = 0; !rest.empty(); ++characters) {
        if (characters == limit) return out + "…";
        const std::size_t length = std::max<std::size_t>(protocol::character_length(rest), 1);
        out += protocol::printable(rest.substr(0, length));
        rest.remove_prefix(length);
    }
    return out;
}

}  // namespace proxy::transcript
