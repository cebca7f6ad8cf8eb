#include "proxy/session/relay.hpp"

#include <spdlog/spdlog.h>

#include <array>

#include "proxy/session/rejection.hpp"

namespace proxy {
namespace {

/// A PostgreSQL server that closed its end says no more and hears no more; a client that goes on
/// holding its own is let go after this.
constexpr std::chrono::seconds linger_after_server{5};
/// How often it is looked whether a client that is behind takes anything.
constexpr std::chrono::seconds look_interval{1};
/// How often a pump may find its source full before others get their turn.
constexpr int max_rounds = 4;
/// Terminate: the server need not wonder about a client that went without a word.
constexpr std::array<std::uint8_t, 5> terminate{'X', 0, 0, 0, 4};

}  // namespace

/// A client that does not take what the server sent, and what was seen of it a moment ago.
struct Relay::Behind {
    explicit Behind(const tls::Executor& executor) : timer(executor) {}

    /// A server that has closed is not waiting for the client any more. A client that goes on
    /// taking what it is owed may go on; one that takes nothing is let go as if it had it all.
    bool in_vain(const tls::Stream& client, const Side& server) {
        const bool takes = count(server) != received || client.untaken() < untaken;
        const bool server_left = server.over || server.stream.peer_has_left();
        looks_in_vain = takes || !server_left ? 0 : looks_in_vain + 1;
        return looks_in_vain * look_interval >= linger_after_server;
    }

    tls::Timer timer;
    bool watching = false;
    std::uint64_t received = 0;  // from the server
    std::size_t untaken = 0;     // by the client
    int looks_in_vain = 0;
};

Relay::Relay(tls::Stream& client, tls::Stream& server, const protocol::Boundary& boundary,
             std::shared_ptr<RelayFigures> figures, RelayMeter* meter)
    : figures_(figures ? std::move(figures) : std::make_shared<RelayFigures>()),
      client_{client,
              server_,
              figures_->from_client,
              Reason::client_closed,
              Reason::client_reset,
              Reason::client_tls_error},
      server_{server,
              client_,
              figures_->from_server,
              Reason::server_closed,
              Reason::server_reset,
              Reason::server_tls_error},
      meter_(meter),
      timer_(client.socket().get_executor()),
      boundary_(boundary) {}

Relay::~Relay() = default;

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
    return {.end = end_, .bytes_from_client = count(client_), .bytes_from_server = count(server_), .told = told_};
}

// --- One direction

/// Everything that `from` has now, then the wait for more. Returns without a wait when this
/// direction is over.
void Relay::pump(Side& from) {
    tls::Stream& to = from.other.stream;
    for (int round = 0; round < max_rounds; ++round) {
        const tls::Stream::Received received = from.stream.receive();
        bool all_sent = pass_on(from, received.bytes);
        if (received.end != tls::End::open && (told_ || !to.send_failed())) {
            pass_on_end(from, received.end);
            all_sent = to.flush();
        }
        if (!all_sent) return wait(from, to, tls::Socket::wait_write, &Relay::flush);
        if (!sent(from)) return;
        if (!received.more) break;
    }
    wait(from, from.stream, tls::Socket::wait_read, &Relay::pump);
}

bool Relay::pass_on(Side& from, protocol::Bytes bytes) {
    if (&from == &client_ && dismissed_) return true;                         // behind Terminate nobody reads it
    from.bytes.store(count(from) + bytes.size(), std::memory_order_relaxed);  // nobody else adds to it
    if (meter_) RelayMeter::add(&from == &client_ ? meter_->from_client : meter_->from_server, bytes.size());
    if (&from == &server_) {
        boundary_.from_server(bytes);
    } else {
        boundary_.from_client(bytes);
    }
    figures_->status.store(boundary_.status(), std::memory_order_relaxed);
    return bytes.empty() || from.other.stream.send(bytes);
}

/// The receiver takes bytes again.
void Relay::flush(Side& from) {
    if (&from == &server_) client_behind_ = false;
    if (!from.other.stream.flush()) return wait(from, from.other.stream, tls::Socket::wait_write, &Relay::flush);
    if (sent(from)) pump(from);
}

/// Called when everything received from `from` has been sent on. False: this direction has ended.
bool Relay::sent(Side& from) {
    if (from.other.stream.send_failed() && !told_) {  // whoever is behind it has gone without a word
        abandon(from.other.reset);
        return false;
    }
    if (from.over && &from == &server_ && !client_.over) linger();
    return !from.over;
}

void Relay::wait(Side& from, tls::Stream& on, tls::Socket::wait_type type, Step then) {
    if (&on == &client_.stream && type == tls::Socket::wait_write) client_is_behind();
    on.socket().async_wait(type, [this, &from, then](boost::system::error_code error) {
        --waits_;
        if (!error) take(from, then);  // otherwise the stream was closed
        end_if_over();
    });
    ++waits_;  // not before: without memory there is no wait, and the end would never come
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
            if (&from == &server_ && dismissed_ && !ended_ && boundary_.apparent_status() != '\0')
                return tell(*dismissed_);
            set_end(from.closed);
            to.close_send(how == tls::End::closed);
            break;
    }
}

bool Relay::farewell(Reason why, bool in_transactions) {
    const char status = boundary_.status();
    const bool there = status != '\0' && (status == 'I' || in_transactions);
    if (!there || ended_ || client_.stream.has_unsent() || server_.stream.has_unsent()) return false;
    server_.over = true;
    server_.stream.send(terminate);
    server_.stream.close();
    tell(why);
    linger();
    return true;
}

bool Relay::dismiss(Reason why, bool in_transactions) {
    const char status = boundary_.apparent_status();
    const bool there = status == 'I' || (in_transactions && status != '\0');
    if (!there || ended_ || dismissed_ || client_.stream.has_unsent() || server_.stream.has_unsent()) return false;
    server_.stream.send(terminate);
    dismissed_ = why;
    return true;
}

void Relay::tell(Reason why) {
    client_.stream.send(protocol::serialize(proxy::farewell(why)));
    client_.stream.close_send(true);
    set_end(why);
    told_ = true;
}

/// The client may have asked something just then: a close over its unread bytes would be a reset,
/// which overtakes what was said.
void Relay::linger() {
    lingering_ = true;
    set_timer(linger_after_server);
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
        timer_.cancel();  // their handlers come here again
        if (behind_) behind_->timer.cancel();
    } else if (on_end_) {
        asio::post(timer_.get_executor(), std::exchange(on_end_, nullptr));
    }
}

void Relay::set_timer(std::chrono::milliseconds after) {
    bytes_at_timer_ = count(client_) + count(server_);
    timer_.expires_after(after);
    timer_.async_wait([this](boost::system::error_code cancelled) {
        --timer_waits_;
        if (!cancelled && timer_.expiry() <= std::chrono::steady_clock::now())
            take(client_, &Relay::timed_out);  // it may have been set anew just then
        end_if_over();
    });
    ++timer_waits_;  // not before: without memory there is no wait
}

void Relay::timed_out(Side& client) {
    if (lingering_) return client.stream.close();
    const bool moved = bytes_at_timer_ != count(client_) + count(server_);
    if (moved) return set_timer(dismissed_ ? linger_after_server : idle_timeout_);
    if (told_) return set_timer(linger_after_server);  // it has yet to take what came before
    if (farewell(Reason::idle_timeout, true)) return;
    if (dismiss(Reason::idle_timeout, true)) return set_timer(linger_after_server);
    set_end(Reason::idle_timeout);
    client.stream.close();
    server_.stream.close();
}

// --- A client that is behind

/// While it is, nothing is read from the server, and the server's end would not be seen. So it is
/// looked for, once a second: no timer is set per wait.
void Relay::client_is_behind() {
    client_behind_ = true;
    if (!behind_) behind_ = std::make_unique<Behind>(timer_.get_executor());
    if (behind_->watching) return;
    behind_->looks_in_vain = 0;
    watch_client();
}

void Relay::watch_client() {
    behind_->watching = true;
    behind_->received = count(server_);
    behind_->untaken = client_.stream.untaken();
    behind_->timer.expires_after(look_interval);
    behind_->timer.async_wait([this](boost::system::error_code cancelled) {
        --timer_waits_;
        behind_->watching = false;
        if (!cancelled && client_behind_) {
            if (behind_->in_vain(client_.stream, server_)) {
                set_end(server_.closed);
                client_.stream.close();
                server_.stream.close();
            } else {
                watch_client();
            }
        }
        end_if_over();
    });
    ++timer_waits_;
}

}  // namespace proxy
