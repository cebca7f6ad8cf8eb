#include "proxy/command/check/port_holder.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace proxy::command {
namespace {

namespace fs = std::filesystem;

std::string program_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

/// As proc(5) has it in net/tcp and net/tcp6: 32-bit words in the host's order, in hex.
std::string in_kernel_hex(const unsigned char* bytes, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; i += sizeof(std::uint32_t)) {
        std::uint32_t word = 0;
        std::memcpy(&word, bytes + i, sizeof word);
        std::array<char, 9> hex{};
        std::snprintf(hex.data(), hex.size(), "%08X", word);
        text += hex.data();
    }
    return text;
}

/// "socket:[INODE]" of each that listens there, or on all addresses.
std::set<std::string> listening_sockets(const char* table, int family, const config::Address& address) {
    constexpr std::size_t local = 1, state = 3, inode = 9;
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    if (::inet_pton(family, address.host.c_str(), bytes.data()) != 1) return {};
    const std::size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
    const std::string wanted = in_kernel_hex(bytes.data(), size), any(2 * size, '0');
    std::array<char, 6> port{};
    std::snprintf(port.data(), port.size(), ":%04X", address.port);
    std::set<std::string> found;
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::array<std::string, inode + 1> fields;
        for (std::string& field : fields) words >> field;
        const bool is_there = fields[local] == wanted + port.data() || fields[local] == any + port.data();
        if (is_there && fields[state] == "0A") found.insert("socket:[" + fields[inode] + "]");
    }
    return found;
}

bool has_one_of(const fs::path& process, const std::set<std::string>& sockets) {
    std::error_code error;
    for (fs::directory_iterator it(process / "fd", error), end; !error && it != end; it.increment(error)) {
        std::error_code unreadable;
        if (sockets.contains(fs::read_symlink(it->path(), unreadable).string())) return true;
    }
    return false;
}

}  // namespace

std::optional<PortHolder> holder_of(const config::Address& address) {
    std::set<std::string> sockets = listening_sockets("/proc/net/tcp", AF_INET, address);
    sockets.merge(listening_sockets("/proc/net/tcp6", AF_INET6, address));
    if (sockets.empty()) return std::nullopt;
    std::error_code error;
    for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename().string();
        pid_t pid = 0;
        const auto [last, fault] = std::from_chars(name.data(), name.data() + name.size(), pid);
        const bool is_process = fault == std::errc() && last == name.data() + name.size();
        if (is_process && has_one_of(it->path(), sockets)) return PortHolder{.pid = pid, .name = program_of(pid)};
    }
    return std::nullopt;
}

std::optional<PortHolder> listener_behind(int connected) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return std::nullopt;
    return PortHolder{.pid = peer.pid, .name = program_of(peer.pid)};
}

}  // namespace proxy::command
