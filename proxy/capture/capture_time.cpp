#include "proxy/capture/capture_time.hpp"

#include <ctime>

namespace proxy {
namespace {

std::string formatted(std::chrono::system_clock::time_point time, const char* format) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[32];
    std::strftime(text, sizeof text, format, &utc);
    return text;
}

}  // namespace

std::uint64_t capture_time(std::chrono::system_clock::time_point time) noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

std::string utc_text(std::chrono::system_clock::time_point time) { return formatted(time, "%Y-%m-%dT%H:%M:%SZ"); }

std::string utc_for_names(std::chrono::system_clock::time_point time) { return formatted(time, "%Y%m%dT%H%M%SZ"); }

}  // namespace proxy
