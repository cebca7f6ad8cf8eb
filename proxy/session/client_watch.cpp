#include "proxy/session/client_watch.hpp"

#include <algorithm>
#include <array>

namespace proxy {

bool has_nothing_to_ask(const protocol::MessageBuffer& ahead) {
    constexpr std::array<std::uint8_t, 5> terminate{'X', 0, 0, 0, 4};
    const protocol::Bytes said = ahead.rest();
    return said.empty() || std::equal(said.begin(), said.end(), terminate.begin(), terminate.end());
}

ClientWatch::ClientWatch(tls::Stream& client, protocol::MessageBuffer& ahead, std::function<void()> on_left)
    : client_(client), ahead_(ahead), on_left_(std::move(on_left)) {
    look();
}

void ClientWatch::look() {
    left_ = !is_here();
    if (left_) on_left_();
}

bool ClientWatch::is_here() {
    try {
        std::array<std::uint8_t, 4096> chunk;
        while (ahead_.rest().size() < max_said_ahead) {
            const auto n = client_.read_ready(chunk);
            if (!n) {
                client_.when_readable([this] { look(); });
                return true;
            }
            if (*n == 0) return !has_nothing_to_ask(ahead_);
            ahead_.append(protocol::Bytes(chunk).first(*n));
        }
        return true;
    } catch (const tls::StreamError& broken) {
        // Whoever waits for the server has the same deadline.
        return broken.kind() == tls::StreamError::Kind::timed_out;
    }
}

}  // namespace proxy
