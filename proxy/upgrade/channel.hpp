// What two processes say to each other during an upgrade: short texts, each with a descriptor or
// without, over a pair of sockets (SOCK_SEQPACKET) of which the new process inherits one.
//
// The old one says what it hands over ("listen 127.0.0.1:6432", ...), then "all"; the new one
// "hello PID", then "ready VERSION" or "failed WHY". The old one answers "go", and the new one says
// "serving" once it accepts. Whoever is gone is read as the end.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "tls/owned_descriptor.hpp"

namespace proxy {

class UpgradeChannel {
   public:
    using Deadline = std::chrono::steady_clock::time_point;
    static constexpr std::size_t max_text = 16 * 1024;

    struct Message {
        std::string text;
        tls::OwnedDescriptor descriptor{};

        /// What stands behind "`word` "; nullopt: it begins otherwise.
        std::optional<std::string> after(std::string_view word) const;
    };

    UpgradeChannel() = default;
    explicit UpgradeChannel(tls::OwnedDescriptor socket) noexcept : socket_(std::move(socket)) {}
    /// Both ends. Throws std::runtime_error.
    static std::pair<UpgradeChannel, UpgradeChannel> make();

    bool is_open() const noexcept { return bool(socket_); }
    int descriptor() const noexcept { return socket_.get(); }
    /// False: nobody reads any more. Longer texts are cut.
    bool send(std::string_view text, int descriptor = -1) noexcept;
    /// nullopt: the other end is gone, or has said nothing until then.
    std::optional<Message> receive(Deadline until);
    /// After receive() gave nothing: the other end is gone.
    bool is_over() const noexcept { return over_; }
    void close() noexcept { socket_.close(); }

   private:
    tls::OwnedDescriptor socket_;
    bool over_ = false;
};

}  // namespace proxy
