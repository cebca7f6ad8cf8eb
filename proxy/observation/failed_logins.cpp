#include "proxy/observation/failed_logins.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace proxy {
namespace {

constexpr std::chrono::milliseconds first_delay{100};
constexpr unsigned max_doublings = 5;  // beyond longest_delay

}  // namespace

std::chrono::milliseconds FailedLogins::failed(const std::string& address, const std::string& user, Time now) {
    const std::lock_guard lock(mutex_);
    const unsigned by_address = count(addresses_, source_of_address(address), now);
    const unsigned times = std::max(by_address, count(users_, user, now));
    if (times <= 1) return std::chrono::milliseconds(0);
    return std::min(first_delay * (1U << std::min(times - 2, max_doublings)), longest_delay);
}

/// Where there is no room, whose last failure is the longest ago is forgotten: whoever fills it
/// with names does not free the one who goes on guessing.
unsigned FailedLogins::count(ByName& all, const std::string& name, Time now) {
    Failures* const known = all.find(name);
    Failures& failures = known ? *known : all.put(name, {});
    if (now - failures.last > memory) failures.count = 0;
    failures.last = now;
    return ++failures.count;
}

std::string source_of_address(const std::string& address) {
    in6_addr parsed{};
    if (::inet_pton(AF_INET6, address.c_str(), &parsed) != 1 || IN6_IS_ADDR_V4MAPPED(&parsed) ||
        IN6_IS_ADDR_LOOPBACK(&parsed))
        return address;
    std::fill(parsed.s6_addr + 8, parsed.s6_addr + 16, std::uint8_t{0});
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, &parsed, text, sizeof text);
    return std::string(text) + "/64";
}

}  // namespace proxy
