#include "proxy/upgrade/channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace proxy {
namespace {

/// Room for one descriptor.
struct Control {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

int milliseconds_until(UpgradeChannel::Deadline until) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left + 1, 0, INT_MAX));
}

bool wait(int fd, short events, UpgradeChannel::Deadline until) {
    pollfd one{.fd = fd, .events = events, .revents = 0};
    for (;;) {
        const int ready = ::poll(&one, 1, milliseconds_until(until));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

}  // namespace

std::optional<std::string> UpgradeChannel::Message::after(std::string_view word) const {
    if (text == word) return std::string();
    if (text.size() <= word.size() || !text.starts_with(word) || text[word.size()] != ' ') return std::nullopt;
    return text.substr(word.size() + 1);
}

std::pair<UpgradeChannel, UpgradeChannel> UpgradeChannel::make() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw std::runtime_error(std::string("no sockets for an upgrade: ") + std::strerror(errno));
    return {UpgradeChannel(tls::OwnedDescriptor(ends[0])), UpgradeChannel(tls::OwnedDescriptor(ends[1]))};
}

bool UpgradeChannel::send(std::string_view text, int descriptor) noexcept {
    if (!socket_) return false;
    text = text.substr(0, max_text);
    iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    Control control;
    if (descriptor >= 0) {
        message.msg_control = control.bytes.data();
        message.msg_controllen = control.bytes.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    for (;;) {
        const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        if (sent >= 0) return true;
        if (errno == EINTR) continue;
        if (errno != EAGAIN || !wait(socket_.get(), POLLOUT, until)) return false;
    }
}

std::optional<UpgradeChannel::Message> UpgradeChannel::receive(Deadline until) {
    if (!socket_) return std::nullopt;
    std::vector<char> bytes(max_text);
    for (;;) {
        iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
        Control control;
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.bytes.data();
        message.msg_controllen = control.bytes.size();
        const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN && wait(socket_.get(), POLLIN, until)) continue;
        over_ = got == 0 || (got < 0 && errno != EAGAIN);
        if (got <= 0) return std::nullopt;
        Message received{.text = std::string(bytes.data(), static_cast<std::size_t>(got)), .descriptor = {}};
        const cmsghdr* const header = CMSG_FIRSTHDR(&message);
        if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
            received.descriptor = tls::OwnedDescriptor(fd);
        }
        return received;
    }
}

}  // namespace proxy
