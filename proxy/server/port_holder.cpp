#include "proxy/server/port_holder.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace proxy {
namespace {

namespace fs = std::filesystem;

std::string program_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

/// An IPv4 address as ::ffff:a.b.c.d, which is also how a socket of IPv6 takes one.
using Ip = std::array<unsigned char, sizeof(in6_addr)>;
constexpr Ip every_ipv6{};
constexpr Ip every_ipv4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::size_t ipv4_begin = sizeof(in6_addr) - sizeof(in_addr);

bool is_ipv4(const Ip& ip) { return std::equal(ip.begin(), ip.begin() + ipv4_begin, every_ipv4.begin()); }

std::optional<Ip> parse(const std::string& literal) {
    Ip ip = every_ipv4;
    if (::inet_pton(AF_INET, literal.c_str(), ip.data() + ipv4_begin) == 1) return ip;
    if (::inet_pton(AF_INET6, literal.c_str(), ip.data()) == 1) return ip;
    return std::nullopt;
}

/// Whether a listener of ours at `wanted`, which is of IPv6 alone or of IPv4, and a socket at
/// `held` exclude each other. One at [::] may have IPv4 as well; nothing here tells.
bool exclude(const Ip& wanted, const Ip& held) {
    if (!is_ipv4(wanted)) return !is_ipv4(held) && (wanted == held || wanted == every_ipv6 || held == every_ipv6);
    if (held == every_ipv6) return true;
    return is_ipv4(held) && (wanted == held || wanted == every_ipv4 || held == every_ipv4);
}

/// "0100007F:1538" as proc(5) has it in net/tcp and net/tcp6: 32-bit words in the host's order.
std::optional<std::pair<Ip, unsigned>> parse_local(std::string_view text) {
    constexpr std::size_t word_digits = 8;
    const auto number = [](std::string_view digits, auto& value) {
        const auto [last, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        return fault == std::errc() && last == digits.data() + digits.size();
    };
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::size_t size = colon / 2;
    if (colon % word_digits != 0 || (size != sizeof(in_addr) && size != sizeof(in6_addr))) return std::nullopt;
    std::pair<Ip, unsigned> local{every_ipv4, 0};
    unsigned char* to = local.first.data() + (local.first.size() - size);
    for (std::size_t i = 0; i < colon; i += word_digits, to += sizeof(std::uint32_t)) {
        std::uint32_t word = 0;
        if (!number(text.substr(i, word_digits), word)) return std::nullopt;
        std::memcpy(to, &word, sizeof word);
    }
    if (!number(text.substr(colon + 1), local.second)) return std::nullopt;
    return local;
}

/// "socket:[INODE]" of each that listens where it keeps others from `wanted`.
std::set<std::string> sockets_in_the_way(const char* table, const Ip& wanted, unsigned port) {
    constexpr std::size_t local = 1, state = 3, inode = 9;
    std::set<std::string> found;
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::array<std::string, inode + 1> fields;
        for (std::string& field : fields) words >> field;
        const auto held = parse_local(fields[local]);
        const bool is_there = held && held->second == port && exclude(wanted, held->first);
        if (is_there && fields[state] == "0A") found.insert("socket:[" + fields[inode] + "]");
    }
    return found;
}

/// One of IPv6 alone at [::] is not told from one that has IPv4 as well: only where there is no
/// other.
std::set<std::string> in_the_way(const Ip& wanted, unsigned port) {
    std::set<std::string> sockets = sockets_in_the_way("/proc/net/tcp", wanted, port);
    return sockets.empty() ? sockets_in_the_way("/proc/net/tcp6", wanted, port) : sockets;
}

/// Those of `sockets` that the process has.
std::set<std::string> sockets_of(const fs::path& process, const std::set<std::string>& sockets) {
    std::set<std::string> found;
    std::error_code error;
    for (fs::directory_iterator it(process / "fd", error), end; !error && it != end; it.increment(error)) {
        std::error_code unreadable;
        std::string target = fs::read_symlink(it->path(), unreadable).string();
        if (sockets.contains(target)) found.insert(std::move(target));
    }
    return found;
}

}  // namespace

std::vector<PortHolder> holders_of(const config::Address& address) {
    std::vector<PortHolder> holders;
    const std::optional<Ip> wanted = parse(address.host);
    if (!wanted) return holders;
    const std::set<std::string> sockets = in_the_way(*wanted, address.port);
    if (sockets.empty()) return holders;
    // What a service manager has, whoever else has it has from there.
    std::optional<PortHolder> service_manager;
    std::set<std::string> not_its_own = sockets;
    std::error_code error;
    for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename().string();
        pid_t pid = 0;
        const auto [last, fault] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (fault != std::errc() || last != name.data() + name.size()) continue;
        const std::set<std::string> theirs = sockets_of(it->path(), sockets);
        if (theirs.empty()) continue;
        PortHolder holder{.pid = pid, .name = program_of(pid)};
        if (holder.is_service_manager()) {
            service_manager = std::move(holder);
            for (const std::string& socket : theirs) not_its_own.erase(socket);
        } else {
            holders.push_back(std::move(holder));
        }
    }
    if (service_manager && not_its_own.empty()) return {*service_manager};
    return holders;
}

std::optional<PortHolder> listener_behind(int connected) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return std::nullopt;
    return PortHolder{.pid = peer.pid, .name = program_of(peer.pid)};
}

std::string by_whom(const std::optional<PortHolder>& holder) {
    return holder ? ", by " + holder->name + " (process " + std::to_string(holder->pid) + ")" : std::string();
}

}  // namespace proxy
