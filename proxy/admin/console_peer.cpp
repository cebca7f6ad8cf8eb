#include "proxy/admin/console_peer.hpp"

#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "protocol/utf8.hpp"

namespace proxy {

std::optional<uid_t> peer_uid(int fd) noexcept {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) return std::nullopt;
    return peer.uid;
}

ConsoleRight right_of(uid_t uid, const config::Admin& admin) noexcept {
    const auto is_in = [uid](const std::vector<unsigned>& uids) {
        return std::find(uids.begin(), uids.end(), uid) != uids.end();
    };
    if (uid == 0 || uid == ::geteuid() || is_in(admin.console_uids)) return ConsoleRight::command;
    return is_in(admin.console_readers) ? ConsoleRight::read : ConsoleRight::none;
}

std::string user_text(uid_t uid) {
    std::string text = "uid " + std::to_string(uid);
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 16384> memory{};
    if (::getpwuid_r(uid, &entry, memory.data(), memory.size(), &found) != 0 || !found) return text;
    return text + " (" + protocol::printable(found->pw_name) + ")";
}

}  // namespace proxy
