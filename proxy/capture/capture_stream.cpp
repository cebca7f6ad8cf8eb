#include "proxy/capture/capture_stream.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "protocol/messages.hpp"

namespace proxy {
namespace {

/// A message's length is 31 bits; a reader takes each as a whole.
constexpr std::size_t max_copy_data = 1024 * 1024;

protocol::Buffer copy_message(char type, protocol::Bytes body) {
    protocol::Buffer out;
    out.reserve(protocol::message_header_size + body.size());
    protocol::Writer writer(out);
    writer.u8(static_cast<std::uint8_t>(type));
    const std::size_t length = writer.begin_length();
    writer.bytes(body);
    writer.end_length(length);
    return out;
}

}  // namespace

CaptureStream::CaptureStream(int fd, std::chrono::milliseconds patience_of_tests)
    : fd_(fd), patience_(patience_of_tests) {}

CaptureStream::~CaptureStream() {
    if (fd_ >= 0) ::close(fd_);
}

/// The console has the connection as well, so that it is not over by our closing it, and the client
/// would wait for the rest of a message.
void CaptureStream::close() noexcept {
    if (fd_ < 0) return;
    finish();
    if (broken_) ::shutdown(fd_, SHUT_RDWR);
    ::close(std::exchange(fd_, -1));
}

void CaptureStream::write(protocol::Bytes blocks) {
    while (!blocks.empty()) {
        const protocol::Bytes part = blocks.first(std::min(blocks.size(), max_copy_data));
        send(copy_message('d', part));
        written_ += part.size();
        blocks = blocks.subspan(part.size());
    }
}

void CaptureStream::send(protocol::Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(n));
            continue;
        }
        broken_ = true;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            throw CaptureOver(CaptureEnd::client, std::string("its client has gone: ") + ::strerrordesc_np(errno));
        pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
        const int ready = ::poll(&room, 1, static_cast<int>(patience_.count()));
        if (ready == 0) throw CaptureOver(CaptureEnd::client, "its client takes nothing");
        broken_ = false;
    }
}

/// What it says meanwhile is the console's to read.
void CaptureStream::look() {
    pollfd client{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    if (::poll(&client, 1, 0) <= 0) return;
    broken_ = true;
    throw CaptureOver(CaptureEnd::client, "its client has gone");
}

void CaptureStream::finish() noexcept {
    if (broken_) return;
    broken_ = true;
    try {
        send(copy_message('c', {}));
        send(copy_message('C', protocol::as_bytes(std::string_view("COPY\0", 5))));
        send(copy_message('Z', protocol::as_bytes("I")));
        broken_ = false;
    } catch (const std::exception&) {
        // It has all of the capture that it took.
    }
}

}  // namespace proxy
