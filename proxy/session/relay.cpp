#include "proxy/session/relay.hpp"

#include <spdlog/spdlog.h>

namespace proxy {
namespace {

/// A PostgreSQL server that closed its end says no more and hears no more; a client that goes on
/// holding its own is let go after this.
constexpr std::chrono::seconds linger_after_server{5};
/// How often a pump may find its source full before others get their turn.
constexpr int max_rounds = 4;

}  // namespace

Relay::Relay(tls::Stream& client, tls::Stream& server)
    : client_{client, server_, 0, Reason::client_closed, Reason::client_reset, Reason::client_tls_error},
      server_{server, client_, 0, Reason::server_closed, Reason::server_reset, Reason::server_tls_error},
      timer_(client.socket().get_executor()) {}

void Relay::start(std::chrono::milliseconds idle_timeout, std::function<void()> on_end) {
    on_end_ = std::move(on_end);
    idle_timeout_ = idle_timeout;
    client_.stream.begin_relay();
    server_.stream.begin_relay();
    if (idle_timeout_.count() > 0) set_timer(idle_timeout_);
    take(client_, &Relay::pump);
    take(server_, &Relay::pump);
    end_if_over();
}

RelayResult Relay::result() const noexcept {
    return {.end = end_, .bytes_from_client = client_.bytes, .bytes_from_server = server_.bytes};
}

// --- One direction

/// Everything that `from` has now, then the wait for more. Returns without a wait when this
/// direction is over.
void Relay::pump(Side& from) {
    tls::Stream& to = from.other.stream;
    for (int round = 0; round < max_rounds; ++round) {
        const tls::Stream::Received received = from.stream.receive();
        from.bytes += received.bytes.size();
        bool all_sent = received.bytes.empty() || to.send(received.bytes);
        if (received.end != tls::End::open && !to.send_failed()) {
            pass_on_end(from, received.end);
            all_sent = to.flush();
        }
        if (!all_sent) return wait(from, to, tls::Socket::wait_write, &Relay::flush);
        if (!sent(from)) return;
        if (!received.more) break;
    }
    wait(from, from.stream, tls::Socket::wait_read, &Relay::pump);
}

/// The receiver takes bytes again.
void Relay::flush(Side& from) {
    if (!from.other.stream.flush()) return wait(from, from.other.stream, tls::Socket::wait_write, &Relay::flush);
    if (sent(from)) pump(from);
}

/// Called when everything received from `from` has been sent on. False: this direction has ended.
bool Relay::sent(Side& from) {
    if (from.other.stream.send_failed()) {  // whoever is behind it has gone without a word
        abandon(from.other.reset);
        return false;
    }
    if (from.over && &from == &server_ && !client_.over) {
        lingering_ = true;
        set_timer(linger_after_server);
    }
    return !from.over;
}

void Relay::wait(Side& from, tls::Stream& on, tls::Socket::wait_type type, Step then) {
    ++waits_;
    on.socket().async_wait(type, [this, &from, then](boost::system::error_code error) {
        --waits_;
        if (!error) take(from, then);  // otherwise the stream was closed
        end_if_over();
    });
}

void Relay::take(Side& from, Step step) noexcept {
    try {
        (this->*step)(from);
    } catch (const std::exception& error) {
        spdlog::error("a session's relay ended: {}", error.what());
        abandon(Reason::failed);
    }
}

// --- Ends

/// One direction has ended: passes that on, so that the other may still go on.
void Relay::pass_on_end(Side& from, tls::End how) {
    tls::Stream& to = from.other.stream;
    from.over = true;
    switch (how) {
        case tls::End::reset:
        case tls::End::broken:
            set_end(how == tls::End::reset ? from.reset : from.tls_error);
            to.reset();
            from.stream.close();  // no reset: it would overtake our alert
            break;
        case tls::End::open:
        case tls::End::closed:
        case tls::End::truncated:
            set_end(from.closed);
            to.close_send(how == tls::End::closed);
            break;
    }
}

/// Neither direction can go on.
void Relay::abandon(Reason why) noexcept {
    set_end(why);
    client_.stream.reset();
    server_.stream.reset();
}

void Relay::set_end(Reason why) noexcept {
    if (!std::exchange(ended_, true)) end_ = why;
}

/// Calls on_end when no handler of a socket or timer is pending.
void Relay::end_if_over() {
    if (waits_ > 0) return;
    if (timer_waits_ > 0) {
        timer_.cancel();  // its handler comes here again
    } else if (on_end_) {
        asio::post(timer_.get_executor(), std::exchange(on_end_, nullptr));
    }
}

void Relay::set_timer(std::chrono::milliseconds after) {
    bytes_at_timer_ = client_.bytes + server_.bytes;
    timer_.expires_after(after);
    ++timer_waits_;
    timer_.async_wait([this](boost::system::error_code cancelled) {
        --timer_waits_;
        if (!cancelled && timer_.expiry() <= std::chrono::steady_clock::now())
            timed_out();  // it may have been set anew just then
        end_if_over();
    });
}

void Relay::timed_out() {
    if (lingering_) return client_.stream.close();
    if (bytes_at_timer_ != client_.bytes + server_.bytes) return set_timer(idle_timeout_);
    set_end(Reason::idle_timeout);
    client_.stream.close();
    server_.stream.close();
}

}  // namespace proxy
