// Session: the client leg up to its StartupMessage.
#include <spdlog/spdlog.h>

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

tls::Awaitable<Session::Opening> Session::negotiate() {
    const config::ListenerTls& tls = accepted_.route->settings.tls;
    negotiation_ = std::make_unique<Negotiation>(
        protocol::NegotiationPolicy{.tls = accepted_.route->tls != nullptr,
                                    .direct_tls = tls.direct,
                                    .tls_required = tls.mode == config::ClientTlsMode::require});
    Negotiation& negotiation = *negotiation_;
    using Stop = tls::Opening::Stop;
    for (;;) {
        const tls::Opening opening = co_await tls::go_on(client_, negotiation);
        switch (opening.stop) {
            case Stop::declining: observer_->tls_declined(); break;
            case Stop::start_tls: {
                const bool encrypted = co_await start_client_tls(negotiation);
                if (!encrypted) co_return Opening::over;
                break;
            }
            case Stop::started: took_startup(negotiation); co_return Opening::startup;
            case Stop::cancel: observer_->cancel_requested(); co_return Opening::cancel;
            case Stop::reject: {
                record_.negotiation = negotiation.kind();
                const Rejection why = rejection(reason(negotiation.fault()));
                if (negotiation.fault() == protocol::Fault::tls_required) {
                    took_startup(negotiation);
                    observer_->rejected_in_clear();
                }
                co_await reject(why);
                co_return Opening::over;
            }
            case Stop::closed:
                ended_early(negotiation, opening.error.empty() ? expected(negotiation) : opening.error);
                co_return Opening::over;
        }
    }
}

tls::Awaitable<bool> Session::start_client_tls(Negotiation& negotiation) {
    record_.negotiation = negotiation.kind();
    observer_->tls_begun();
    shown_ = co_await choose_certificate();
    const auto start = Clock::now();
    tls::SslPtr ssl = shown_->accept();
    const tls::Handshake handshake = co_await client_.handshake(std::move(ssl), negotiation.direct());
    record_.timings.client_tls = tls::since(start);
    if (const auto& hello = client_.notes().hello) {
        record_.take_server_name(hello->sni);
        record_.ja4 =
            protocol::ja4(*hello, [](std::string_view text) { return tls::sha256_hex(text.data(), text.size()); });
        // A handshake that we end ourselves is over before a certificate was sent, or not about it.
        if (handshake.end != tls::Handshake::End::failed) {
            record_.client_tls.certificate_shown = shown_->certificate_shown(client_.ssl());
        }
    }
    if (handshake.end == tls::Handshake::End::complete) {
        acknowledge_now(client_.socket().native_handle());
        record_.ssl = true;
        record_.client_tls = shown_->describe(client_.ssl());
        negotiation.tls_started();
        co_return true;
    }
    if (handshake.end == tls::Handshake::End::timed_out) throw tls::StreamError(tls::Leg::client, tls::Deadline::login);
    if (handshake.end != tls::Handshake::End::failed) {
        ended_early(negotiation, handshake.error);
        co_return false;
    }
    std::string error = handshake.error;
    if (client_.notes().verify.code != X509_V_OK) error += ": client certificate: " + client_.notes().verify.reason;
    record_end({.kind = EventKind::tls_failed, .reason = Reason::tls_failed, .message = error});
    spdlog::warn("{} {}: {}: {}", record_.session, record_.client_addr, sentence(Reason::tls_failed), error);
    co_await lingering_close();
    co_return false;
}

/// A probe is held against a process, so the search for it gets a moment: it takes less for
/// processes that were seen before.
tls::Awaitable<const tls::ListenerContext*> Session::choose_certificate() {
    const ListenerRoute& route = *accepted_.route;
    config::PerProbeKind<bool> available;
    for (const config::ProbeKind kind : protocol::probe_kinds) available[kind] = route.probes[kind] != nullptr;
    if (available == config::PerProbeKind<bool>()) co_return route.tls.get();
    constexpr int patience = 50;
    tls::Timer timer(client_.socket().get_executor());
    for (int tries = 0; record_.process && !record_.process->is_done() && tries < patience; ++tries) {
        timer.expires_after(std::chrono::milliseconds(2));
        co_await timer.async_wait(tls::returning);
    }
    const auto probe = observer_->choose_probe(route.probe, available);
    co_return probe ? route.probes[*probe].get() : route.tls.get();
}

void Session::took_startup(const Negotiation& negotiation) {
    const protocol::StartupMessage& startup = negotiation.startup();
    record_.negotiation = negotiation.kind();
    record_.take_names(startup);
    record_.replication = startup.find("replication");
    record_.protocol = protocol::version_text(startup.version);
    record_.timings.negotiation = tls::since(record_.accepted);
    observer_->startup_received(accepted_.route->settings.tls.trust);
}

void Session::ended_early(const Negotiation& negotiation, const std::string& error) {
    const EarlyEnd end{.by_us = aborted_.has_value(),
                       .within_packet = negotiation.next() == Negotiation::Next::read,
                       .client_hello_seen = client_.notes().client_hello_seen,
                       .alert = client_.notes().alert};
    if (!observer_->ended_early(end)) return;
    record_.negotiation = negotiation.kind();
    record_end({.kind = EventKind::tls_failed, .reason = Reason::tls_abandoned, .message = error, .alert = end.alert});
    spdlog::warn("{} {}: {}: {}", record_.session, record_.client_addr, sentence(Reason::tls_abandoned), error);
}

}  // namespace proxy
