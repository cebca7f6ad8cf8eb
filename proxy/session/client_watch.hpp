// Looks after a client that nobody listens to, as while its server is being reached: takes what it
// says ahead, so that none of it is lost, and notices when it leaves, so that nobody is logged in
// for it.
#pragma once

#include <functional>

#include "protocol/messages.hpp"
#include "tls/stream.hpp"

namespace proxy {

/// How much a client may say ahead, as it may send its password before it is asked. Beyond it the
/// client is not listened to before its turn.
inline constexpr std::size_t max_said_ahead = 64 * 1024;

/// What a client that has ended its data had said before is nothing that a server has to answer.
bool has_nothing_to_ask(const protocol::MessageBuffer& ahead);

class ClientWatch {
   public:
    /// Begins at once. `on_left` is called when the client has left, at most once, and perhaps
    /// before this returns. All that is passed outlives it, and nobody else reads from the client.
    ClientWatch(tls::Stream& client, protocol::MessageBuffer& ahead, std::function<void()> on_left);
    ~ClientWatch() { client_.when_readable({}); }
    ClientWatch(const ClientWatch&) = delete;
    ClientWatch& operator=(const ClientWatch&) = delete;

    bool left() const noexcept { return left_; }

   private:
    void look();
    bool is_here();

    tls::Stream& client_;
    protocol::MessageBuffer& ahead_;
    std::function<void()> on_left_;
    bool left_ = false;
};

}  // namespace proxy
