// Session: the client leg up to its StartupMessage.
#include <spdlog/spdlog.h>

#include <array>

#include "proxy/observation/often.hpp"
#include "proxy/observation/session_log.hpp"
#include "proxy/session/session.hpp"
#include "proxy/upstream/socket_options.hpp"
#include "tls/opening.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Negotiation;

/// What a client that closed has left undone.
std::string expected(const Negotiation& negotiation) {
    return negotiation.next() == Negotiation::Next::peek
               ? "client closed the connection after TLS was declined"
               : "client closed the connection after the TLS handshake, before its StartupMessage";
}

}  // namespace

/// Not on UNIX-domain sockets, where libpq has no TLS and PostgreSQL's hostssl asks for none.
bool Session::requires_tls() const noexcept {
    const bool is_unix = accepted_.address.empty();
    return accepted_.route->settings.tls.mode == config::ClientTlsMode::require && !is_unix;
}

tls::Awaitable<Session::Opening> Session::negotiate() {
    const config::ListenerTls& tls = accepted_.route->settings.tls;
    negotiation_ = std::make_unique<Negotiation>(protocol::NegotiationPolicy{
        .tls = accepted_.route->tls != nullptr, .direct_tls = tls.direct, .tls_required = requires_tls()});
    Negotiation& negotiation = *negotiation_;
    using Stop = tls::Opening::Stop;
    for (;;) {
        begin_step();
        const tls::Opening opening = co_await tls::go_on(client_, negotiation);
        switch (opening.stop) {
            case Stop::declining: observer_->tls_declined(); break;
            case Stop::start_tls: {
                const bool encrypted = co_await start_client_tls(negotiation);
                if (!encrypted) co_return Opening::over;
                break;
            }
            case Stop::started:
                client_.set_deadline(deadline_, tls::Deadline::login);
                took_startup(negotiation);
                co_return Opening::startup;
            case Stop::cancel: observer_->cancel_requested(); co_return Opening::cancel;
            case Stop::reject: {
                record_.negotiation = negotiation.kind();
                note_foreign(negotiation);
                const Rejection why = rejection(reason(negotiation.fault()));
                if (negotiation.fault() == protocol::Fault::tls_required) {
                    took_startup(negotiation);
                    observer_->rejected_in_clear();
                    co_await wait_for_its_past();
                }
                co_await reject(why);
                co_return Opening::over;
            }
            case Stop::closed:
                ended_early(negotiation, opening.error.empty() ? expected(negotiation) : opening.error,
                            Reason::tls_abandoned);
                co_return Opening::over;
        }
    }
}

/// One of those that each have client_opening_timeout, within the time for the whole login.
void Session::begin_step() {
    const auto step = Clock::now() + accepted_.opening_timeout;
    if (step < deadline_) {
        client_.set_deadline(step, tls::Deadline::opening);
    } else {
        client_.set_deadline(deadline_, tls::Deadline::login);
    }
}

void Session::note_foreign(const Negotiation& negotiation) {
    if (negotiation.fault() == protocol::Fault::startup_length) name_foreign(negotiation.packet());
}

/// Another protocol's client is named for what it is. In clear more of it may be waiting than has
/// been asked for.
void Session::name_foreign(protocol::Bytes taken) {
    protocol::Buffer first(taken.begin(), taken.end());
    if (!client_.encrypted() && first.size() < protocol::foreign_size) {
        std::array<std::uint8_t, protocol::foreign_size> waiting{};
        const std::size_t n = client_.peek_waiting(std::span(waiting).first(protocol::foreign_size - first.size()));
        first.insert(first.end(), waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(n));
    }
    record_.looks_like = protocol::foreign_protocol(first);
    if (record_.looks_like) record_.negotiation.clear();
}

tls::Awaitable<bool> Session::start_client_tls(Negotiation& negotiation) {
    record_.negotiation = negotiation.kind();
    observer_->tls_begun();
    co_await wait_for_process();
    shown_ = accepted_.route->tls.get();
    client_.on_client_hello([this] { return shown_ = choose_certificate(); });
    begin_step();
    const auto start = Clock::now();
    tls::SslPtr ssl = shown_->accept();
    const tls::Handshake handshake = co_await client_.handshake(std::move(ssl), negotiation.direct());
    record_.timings.client_tls = tls::since(start);
    take_client_hello();
    if (client_.notes().certificate_sent) {
        observer_->certificate_sent();
        record_.client_tls.certificate_shown = shown_->certificate_shown(client_.ssl());
        record_.client_tls.certificate_id = shown_->certificate_id(client_.ssl());
    }
    if (handshake.end == tls::Handshake::End::complete) {
        acknowledge_now(client_.socket().native_handle());
        record_.ssl = true;
        record_.client_tls = shown_->describe(client_.ssl());
        negotiation.tls_started();
        co_return true;
    }
    if (handshake.end == tls::Handshake::End::timed_out)
        throw tls::StreamError(tls::Leg::client,
                               Clock::now() < deadline_ ? tls::Deadline::opening : tls::Deadline::login);
    const bool we_failed = handshake.end == tls::Handshake::End::failed;
    std::string error = handshake.error;
    if (we_failed && client_.notes().verify.code != X509_V_OK)
        error += ": client certificate: " + client_.notes().verify.reason;
    ended_early(negotiation, error, we_failed ? Reason::tls_failed : Reason::tls_abandoned);
    if (we_failed) co_await lingering_close();
    co_return false;
}

/// A probe is held against a process, so the search for it gets a moment: it takes less for
/// processes that were seen before.
tls::Awaitable<> Session::wait_for_process() {
    if (probes_available() == Probes::Available()) co_return;
    constexpr int patience = 50;
    for (int tries = 0; record_.process && !record_.process->is_done() && tries < patience; ++tries) {
        co_await pause(std::chrono::milliseconds(2));
    }
}

/// A client that is rejected at once may have failed with TLS just before, on a connection that
/// another thread has not finished yet.
tls::Awaitable<> Session::wait_for_its_past() {
    constexpr int patience = 10;
    for (int tries = 0; observer_->is_undecided() && tries < patience; ++tries) {
        co_await pause(std::chrono::milliseconds(2));
    }
}

tls::Awaitable<> Session::pause(std::chrono::milliseconds time) {
    tls::Timer timer(client_.socket().get_executor());
    timer.expires_after(time);
    co_await timer.async_wait(tls::returning());
}

Probes::Available Session::probes_available() const {
    Probes::Available available;
    for (const config::ProbeKind kind : protocol::probe_kinds)
        available[kind] = accepted_.route->probes[kind] != nullptr;
    return available;
}

/// Within the handshake: the ClientHello tells clients of one address apart.
const tls::ListenerContext* Session::choose_certificate() {
    take_client_hello();
    const ListenerRoute& route = *accepted_.route;
    const auto probe = observer_->choose_probe(route.probe, probes_available());
    return probe ? route.probes[*probe].get() : route.tls.get();
}

void Session::take_client_hello() {
    const auto& hello = client_.notes().hello;
    if (!hello || !record_.ja4.empty() || record_.tls_is_of_front()) return;  // a front's tells nothing of the client
    if (!is_stranger()) record_.take_server_name(hello->sni);
    record_.ja4 =
        protocol::ja4(*hello, [](std::string_view text) { return tls::sha256_hex(text.data(), text.size()); });
}

void Session::took_startup(const Negotiation& negotiation) {
    const protocol::StartupMessage& startup = negotiation.startup();
    record_.negotiation = negotiation.kind();
    if (!is_stranger()) record_.take_names(startup);
    record_.protocol = protocol::version_text(startup.version);
    record_.timings.negotiation = tls::since(record_.accepted);
    observer_->startup_received(accepted_.route->settings.tls.trust);
    if (tap_) tap_->named();
}

void Session::ended_early(const Negotiation& negotiation, const std::string& error, Reason reason) {
    const EarlyEnd end{.by_us = aborted_.has_value(),
                       .within_packet = negotiation.next() == Negotiation::Next::read,
                       .client_hello_seen = client_.notes().client_hello_seen,
                       .we_failed = reason == Reason::tls_failed,
                       .alert = client_.notes().alert};
    if (!observer_->ended_early(end)) return;
    record_.negotiation = negotiation.kind();
    record_end({.kind = EventKind::tls_failed, .reason = reason, .message = error, .alert = end.alert});
    log_about(record_, often(reason, record_.listener), spdlog::level::warn, "{}: {}", sentence(reason), error);
}

}  // namespace proxy
