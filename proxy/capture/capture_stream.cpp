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

CaptureStream::CaptureStream(OwnedDescriptor client, std::function<Clock::time_point()> until,
                             std::chrono::milliseconds patience_of_tests)
    : client_(std::move(client)), until_(std::move(until)), patience_(patience_of_tests) {}

/// The console has the connection as well, so that it is not over by our closing it, and the client
/// would wait for the rest of a message.
void CaptureStream::close() noexcept {
    if (!client_) return;
    finish();
    if (broken_) ::shutdown(client_.get(), SHUT_RDWR);
    client_.close();
}

void CaptureStream::write(protocol::Bytes blocks) {
    while (!blocks.empty()) {
        const protocol::Bytes part = blocks.first(std::min(blocks.size(), max_copy_data));
        send(copy_message('d', part), Clock::time_point::min());
        written_ += part.size();
        blocks = blocks.subspan(part.size());
    }
}

/// `at_least`: it is not given up before.
void CaptureStream::send(protocol::Bytes bytes, Clock::time_point at_least) {
    if (broken_) throw CaptureOver(CaptureEnd::client, "its client has gone");
    broken_ = true;  // until all of it is sent
    for (auto moved = Clock::now(); !bytes.empty();) {
        const ssize_t n = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(n));
            moved = Clock::now();
        } else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            throw CaptureOver(CaptureEnd::client, std::string("its client has gone: ") + ::strerrordesc_np(errno));
        } else {
            wait_for_room(moved, at_least);
        }
    }
    broken_ = false;
}

/// In short turns, for the end may be asked for meanwhile.
void CaptureStream::wait_for_room(Clock::time_point moved, Clock::time_point at_least) {
    constexpr std::chrono::milliseconds turn{100};
    const auto now = Clock::now(), given_up = std::max(until_(), at_least), silent = moved + patience_;
    if (now >= given_up) throw CaptureOver(CaptureEnd::client, "its client is too slow to take the rest");
    if (now >= silent) throw CaptureOver(CaptureEnd::client, "its client takes nothing");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::min(given_up, silent) - now);
    pollfd room{.fd = client_.get(), .events = POLLOUT, .revents = 0};
    ::poll(&room, 1, static_cast<int>(std::min(left, turn).count()));
}

/// What it says meanwhile is the console's to read.
void CaptureStream::look() {
    pollfd client{.fd = client_.get(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&client, 1, 0) <= 0) return;
    broken_ = true;
    throw CaptureOver(CaptureEnd::client, "its client has gone");
}

void CaptureStream::finish() noexcept {
    try {
        const auto at_least = Clock::now() + farewell;
        send(copy_message('c', {}), at_least);
        send(copy_message('C', protocol::as_bytes(std::string_view("COPY\0", 5))), at_least);
        send(copy_message('Z', protocol::as_bytes("I")), at_least);
    } catch (const std::exception&) {
        broken_ = true;  // it has all of the capture that it took
    }
}

}  // namespace proxy
