// What a session's two streams tell, given to every capture that the session is in. On the
// session's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/capture/session_capture.hpp"

namespace proxy {

class SessionTap {
   public:
    /// `proxy`: its name in audit lines.
    SessionTap(SessionCapture::Session session, std::string proxy);
    SessionTap(const SessionTap&) = delete;
    SessionTap& operator=(const SessionTap&) = delete;

    /// For both streams, which go before we do.
    tls::Tap tap() noexcept;
    /// `from_start`: nothing has been said so far.
    void join(std::shared_ptr<Capture> capture, bool from_start);
    /// The highest id of those that were asked whether they are about this session.
    std::uint64_t asked_up_to() const noexcept { return asked_up_to_; }
    void asked(std::uint64_t id) noexcept { asked_up_to_ = id; }

    /// The startup packet has come.
    void named() noexcept;
    /// The server has a name.
    void server_name(const std::string& host) noexcept;
    /// Something is recorded of the session: how its login ended, or its end.
    void record(const Event& event) noexcept;
    /// From now on both legs say the same. `between_messages`: whether the session is.
    void relay_begins(std::function<bool()> between_messages) noexcept;
    /// Captures that wait enter, if the session is between two messages.
    void let_in() noexcept;

   private:
    using Sender = SessionCapture::Sender;
    using Time = SessionCapture::Time;

    static void tell(void* self, tls::Stream& stream, tls::Tap::What what, protocol::Bytes bytes) noexcept;
    void take(tls::Stream& stream, tls::Tap::What what, protocol::Bytes bytes);
    void received(tls::Leg leg, protocol::Bytes bytes, Time now);
    void sent(tls::Leg leg, protocol::Bytes bytes, Time now);
    LegEnds ends_of(tls::Stream& stream) const;
    template <class Action>
    void each(Action action) noexcept;

    const SessionCapture::Session session_;
    const std::string proxy_;
    std::vector<std::unique_ptr<SessionCapture>> captures_;
    std::uint64_t asked_up_to_ = 0;
    std::array<LegEnds, 2> ends_;
    std::function<bool()> between_messages_;  // empty: the relay has not begun
    struct Passing {
        const std::uint8_t* bytes = nullptr;  // what came last, and is about to be passed on
        std::size_t size = 0;
        tls::Leg from{};
    };
    Passing passing_;
    std::string server_name_;
};

}  // namespace proxy
