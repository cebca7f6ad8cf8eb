// Session: the client leg up to its StartupMessage.
#include <spdlog/spdlog.h>

#include "proxy/session/session.hpp"
#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Negotiation;

}  // namespace

tls::Awaitable<Session::Opening> Session::negotiate() {
    const config::ListenerTls& tls = accepted_.route->settings.tls;
    negotiation_ = std::make_unique<Negotiation>(
        protocol::NegotiationPolicy{.tls = accepted_.route->tls != nullptr,
                                    .direct_tls = tls.direct,
                                    .tls_required = tls.mode == config::ClientTlsMode::require});
    Negotiation& negotiation = *negotiation_;
    for (;;) {
        switch (negotiation.next()) {
            case Negotiation::Next::peek: {
                const std::optional<std::uint8_t> byte = co_await peek_opening();
                if (!byte) {
                    ended_early(negotiation, "client closed the connection after TLS was declined");
                    co_return Opening::over;
                }
                negotiation.peeked(*byte);
                break;
            }
            case Negotiation::Next::read: {
                const bool whole = co_await read_opening(negotiation);
                if (!whole) co_return Opening::over;
                break;
            }
            case Negotiation::Next::answer_no:
            case Negotiation::Next::answer_yes: {
                if (client_.has_unread()) {
                    negotiation.surplus();
                    break;
                }
                const std::uint8_t answer = negotiation.next() == Negotiation::Next::answer_yes ? 'S' : 'N';
                if (answer == 'N' && negotiation.ssl_requested()) observer_->tls_declined();
                const protocol::Bytes one(&answer, 1);
                co_await client_.write(one);
                negotiation.answered();
                break;
            }
            case Negotiation::Next::start_tls: {
                const bool encrypted = co_await start_client_tls(negotiation);
                if (!encrypted) co_return Opening::over;
                break;
            }
            case Negotiation::Next::started: took_startup(negotiation); co_return Opening::startup;
            case Negotiation::Next::cancel: observer_->cancel_requested(); co_return Opening::cancel;
            case Negotiation::Next::refuse: {
                record_.negotiation = negotiation.kind();
                can_hear_ = !negotiation.client_hello_seen();
                const Refusal why = refusal(reason(negotiation.fault()));
                if (negotiation.fault() == protocol::Fault::tls_required) {
                    took_startup(negotiation);
                    observer_->rejected_in_clear();
                }
                co_await refuse(why);
                co_return Opening::over;
            }
        }
    }
}

tls::Awaitable<bool> Session::start_client_tls(Negotiation& negotiation) {
    record_.negotiation = negotiation.kind();
    can_hear_ = false;
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
        can_hear_ = true;
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

/// nullopt: the client went away first. A reset tells no less than a close.
tls::Awaitable<std::optional<std::uint8_t>> Session::peek_opening() {
    try {
        const auto byte = co_await client_.peek();
        co_return byte;
    } catch (const tls::StreamError& broken) {
        if (broken.kind() == tls::StreamError::Kind::timed_out) throw;
    }
    co_return std::nullopt;
}

/// False: the client went away first.
tls::Awaitable<bool> Session::read_opening(Negotiation& negotiation) {
    protocol::Buffer bytes(negotiation.wanted());
    bool whole = false;
    std::string error = "client closed the connection after the TLS handshake, before its StartupMessage";
    try {
        whole = co_await client_.read_exactly(bytes);
    } catch (const tls::StreamError& broken) {
        if (broken.kind() == tls::StreamError::Kind::timed_out) throw;
        error = broken.what();
    }
    if (whole) {
        negotiation.feed(bytes);
        co_return true;
    }
    ended_early(negotiation, error);
    co_return false;
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
