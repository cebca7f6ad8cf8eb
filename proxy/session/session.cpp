#include "proxy/session/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Negotiation;

/// How long a client that was refused may take to read why.
constexpr std::chrono::seconds lingering_time{2};

/// RFC 8446, 6: a fatal handshake_failure alert in a TLS 1.0 record, which every client
/// understands.
constexpr std::array<std::uint8_t, 7> handshake_failure_alert{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28};

}  // namespace

Session::Session(Services& services, Prewarm& prewarm, Accepted accepted, tls::Socket socket)
    : services_(services),
      prewarm_(prewarm),
      accepted_(std::move(accepted)),
      client_(std::move(socket), tls::Leg::client),
      connector_(services.resolver),
      deadline_(Clock::now() + accepted_.login_timeout) {
    record_.session = accepted_.session;
    record_.listener = accepted_.route->settings.name;
    record_.upstream = upstream().settings.name;
    record_.upstream_sslmode = protocol::to_string(upstream().settings.sslmode);
    record_.client_addr = accepted_.address;
    record_.client_port = accepted_.port;
    record_.accepted = Clock::now();
    record_.process = services_.processes.owner_of(client_.socket().native_handle());
    set_options(client_.socket().native_handle(), {.keepalive = accepted_.route->settings.tcp_keepalive});
    observer_.emplace(services_.memories, record_);
    if (accepted_.rejection) observer_->not_admitted();
    client_.set_deadline(deadline_, tls::Deadline::login);
}

tls::Awaitable<bool> Session::log_in() {
    std::optional<Reason> late;
    try {
        co_await converse();
    } catch (const tls::StreamError& error) {
        if (error.kind() == tls::StreamError::Kind::timed_out) late = Reason::login_timeout;
        spdlog::debug("{} {}: {}", record_.session, record_.client_addr, error.what());
    } catch (const std::exception& error) {
        late = Reason::failed;
        spdlog::error("{} {}: {}", record_.session, record_.client_addr, error.what());
    }
    if (late && !aborted_ && phase_ == Phase::login) co_await reject_late(*late);
    observer_.reset();
    if (aborted_ && phase_ == Phase::login) record_cut_off();
    co_return phase_ == Phase::established;
}

void Session::relay(std::function<void()> on_end) {
    server_->clear_deadline();
    relay_.emplace(client_, *server_);
    relay_->start(accepted_.route->settings.idle_timeout, std::move(on_end));
}

tls::Awaitable<> Session::reject_late(Reason reason) {
    const Rejection why = rejection(reason);
    try {
        co_await reject(why);
    } catch (const std::exception& error) {
        spdlog::debug("{} {}: {}", record_.session, record_.client_addr, error.what());
    }
}

void Session::record_cut_off() {
    record_end({.kind = EventKind::rejected, .reason = *aborted_, .sqlstate = std::string(sqlstate(*aborted_))});
}

/// Every way to end before ReadyForQuery leaves exactly one event, whatever comes after it.
void Session::record_end(Event event) {
    phase_ = Phase::over;
    record(std::move(event));
}

void Session::record_disconnected() {
    const RelayResult result = relay_->result();
    record_.bytes_from_client = result.bytes_from_client;
    record_.bytes_from_server = result.bytes_from_server;
    record({.kind = EventKind::disconnected,
            .reason = aborted_.value_or(result.end),
            .duration = tls::since(record_.accepted)});
}

void Session::abort(Reason reason) {
    aborted_ = reason;
    // Whoever waits for a login is told; within a relayed session nobody knows where a message
    // would end.
    if (phase_ == Phase::login && client_hears_messages()) {
        client_.send(protocol::serialize(rejection(Reason::shutting_down).response));
    }
    client_.close();
    if (server_) server_->close();
    connector_.abort(std::string(sentence(Reason::shutting_down)));
    if (waiting_) waiting_->cancel();
}

tls::Awaitable<> Session::converse() {
    // gcc 12 destroys temporaries of a co_await expression twice when it stands inside a condition
    // or among aggregate arguments (gcc 99576 and kin): hence the named values here and below.
    const Opening opening = co_await negotiate();
    if (opening == Opening::over) co_return;
    if (opening == Opening::cancel) {
        co_await forward_cancel(negotiation_->cancel_request());
        co_return;
    }
    if (services_.phase >= proxy::Phase::draining) {
        accepted_.rejection = std::make_unique<Rejection>(rejection(Reason::shutting_down));
    }
    if (accepted_.rejection) {
        co_await reject(*accepted_.rejection);
        co_return;
    }
    co_await log_in_upstream();
    if (phase_ != Phase::established) co_return;
    negotiation_.reset();
}

// --- Cancel

tls::Awaitable<> Session::forward_cancel(const protocol::CancelRequest& request) {
    phase_ = Phase::cancel;
    const auto target = services_.cancels.find(request);
    std::string error;
    if (target) {
        record_.upstream_addr = target->address;
        error = co_await deliver_cancel(connector_, *target, request, server_);
        if (!error.empty()) {
            spdlog::error("{} {}: cancel request not delivered to {}: {}", record_.session, record_.client_addr,
                          target->address, error);
        }
    }
    record_end({.kind = EventKind::cancel,
                .message = std::move(error),
                .ssl = client_.encrypted(),
                .matched = target.has_value()});
}

// --- Ends

tls::Awaitable<> Session::reject(const Rejection& rejection) {
    record_end({.kind = EventKind::rejected, .reason = rejection.reason, .sqlstate = rejection.response.sqlstate});
    spdlog::warn("{} {}: refused: {}", record_.session, record_.client_addr, rejection.response.message);
    co_await send_error(rejection.response);
}

/// Sends the client an ErrorResponse, or where it cannot hear one an alert.
tls::Awaitable<> Session::send_error(const protocol::ErrorResponse& response) {
    client_.set_deadline(Clock::now() + lingering_time, tls::Deadline::linger);
    if (client_hears_messages()) {
        const protocol::Buffer message = protocol::serialize(response);
        co_await client_.write(message);
    } else if (!client_.encrypted()) {
        co_await client_.write(handshake_failure_alert);
    } else {
        co_return;
    }
    co_await lingering_close();
}

/// Closes our side and waits for the client's close: with its bytes still unread, a close would
/// send a reset, which overtakes what was said.
tls::Awaitable<> Session::lingering_close() {
    client_.set_deadline(Clock::now() + lingering_time, tls::Deadline::linger);
    client_.close_send(true);
    try {
        co_await client_.ignore_rest();
    } catch (const tls::StreamError&) {
        // Gone already, or not willing to go: closed now either way.
    }
}

void Session::record(Event event) {
    if (observer_) {
        observer_->settle();
        warn_of_our_certificate();
    }
    event.record = record_;
    services_.recorder.record(std::move(event));
}

/// To the server itself it may have TLS, and loses it because of us: nobody would notice.
void Session::warn_of_our_certificate() {
    const std::string certificate = observer_->take_refused_certificate();
    if (certificate.empty()) return;
    const bool certain = std::find(record_.evidence.begin(), record_.evidence.end(),
                                   protocol::Evidence::clear_startup_after_refusal) != record_.evidence.end();
    spdlog::warn(
        "{} {}: {} in clear text just after it refused our certificate {}: it does not trust it. Connected to the "
        "server directly it may have TLS. Give it the CA of that certificate, or set cert_file to one that it trusts",
        record_.session, record_.client_addr, certain ? "went on" : "a client came (the same, it seems)", certificate);
}

}  // namespace proxy
