// Session: the client leg up to its StartupMessage.
#include <spdlog/spdlog.h>

#include "proxy/session/session.hpp"
#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Evidence;
using protocol::Negotiation;

/// Alerts by which a client says that it does not accept our certificate (RFC 8446, 6.2), and not
/// that it cannot speak our TLS.
bool is_certificate_alert(int alert) {
    switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA: return true;
        default: return false;
    }
}

Evidence accepted(config::ProbeKind kind) {
    switch (kind) {
        case config::ProbeKind::untrusted: return Evidence::untrusted_accepted;
        case config::ProbeKind::wrong_name: return Evidence::wrong_name_accepted;
        case config::ProbeKind::candidate: break;
    }
    return Evidence::candidate_accepted;
}

Evidence refused(config::ProbeKind kind) {
    switch (kind) {
        case config::ProbeKind::untrusted: return Evidence::untrusted_refused;
        case config::ProbeKind::wrong_name: return Evidence::wrong_name_refused;
        case config::ProbeKind::candidate: break;
    }
    return Evidence::candidate_refused;
}

Evidence refused_silently(config::ProbeKind kind) {
    switch (kind) {
        case config::ProbeKind::untrusted: return Evidence::untrusted_refused_silently;
        case config::ProbeKind::wrong_name: return Evidence::wrong_name_refused_silently;
        case config::ProbeKind::candidate: break;
    }
    return Evidence::candidate_refused_silently;
}

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
                    judge_closed_client(negotiation, "client closed the connection after TLS was declined");
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
                if (answer == 'N' && negotiation.ssl_requested())
                    services_.sources.tls_declined(record_.client_addr, Clock::now());
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
            case Negotiation::Next::cancel: settle_probe(Probes::Outcome::accepted); co_return Opening::cancel;
            case Negotiation::Next::refuse: {
                record_.negotiation = negotiation.kind();
                can_hear_ = !negotiation.client_hello_seen();
                const Refusal why = refusal(reason(negotiation.fault()));
                if (negotiation.fault() == protocol::Fault::tls_required) took_startup(negotiation);
                co_await refuse(why);
                co_return Opening::over;
            }
        }
    }
}

tls::Awaitable<bool> Session::start_client_tls(Negotiation& negotiation) {
    record_.negotiation = negotiation.kind();
    can_hear_ = false;
    tls_began_ = true;
    services_.sources.tls_began(record_.client_addr);
    record_.probe = co_await choose_probe();
    shown_ = record_.probe ? accepted_.route->probes[static_cast<std::size_t>(*record_.probe)].get()
                           : accepted_.route->tls.get();
    const auto start = Clock::now();
    tls::SslPtr ssl = shown_->accept();
    const tls::Handshake handshake = co_await client_.handshake(std::move(ssl), negotiation.direct());
    record_.timings.client_tls = tls::since(start);
    if (const auto& hello = client_.record().hello) {
        record_.sni = hello->sni;
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
    if (handshake.end == tls::Handshake::End::timed_out)
        throw tls::StreamError(tls::StreamError::Kind::timed_out, handshake.error);
    if (handshake.end != tls::Handshake::End::failed) {
        judge_closed_client(negotiation, handshake.error);
        co_return false;
    }
    std::string error = handshake.error;
    if (client_.record().verify.code != X509_V_OK) error += ": client certificate: " + client_.record().verify.reason;
    record_end({.kind = EventKind::tls_failed, .reason = Reason::tls_failed, .message = error});
    spdlog::warn("{} {}: {}: {}", record_.session, record_.client_addr, sentence(Reason::tls_failed), error);
    co_await say_goodbye();
    co_return false;
}

/// A probe is held against a process, so the search for it gets a moment: it takes less for
/// processes that were seen before.
tls::Awaitable<std::optional<config::ProbeKind>> Session::choose_probe() {
    const ListenerRoute& route = *accepted_.route;
    std::array<bool, 3> available{};
    for (std::size_t kind = 0; kind < available.size(); ++kind) available[kind] = route.probes[kind] != nullptr;
    if (available == std::array<bool, 3>{}) co_return std::nullopt;
    constexpr int patience = 50;
    tls::Timer timer(client_.socket().get_executor());
    for (int tries = 0; record_.process && !record_.process->settled() && tries < patience; ++tries) {
        timer.expires_after(std::chrono::milliseconds(2));
        co_await timer.async_wait(tls::returning);
    }
    probed_ = probe_source();
    probe_open_ = true;
    co_return services_.probes.choose(route.probe, available, probed_, std::chrono::system_clock::now());
}

void Session::settle_probe(Probes::Outcome outcome) {
    if (!std::exchange(probe_open_, false)) return;
    const std::string client =
        record_.usename.empty() ? "" : record_.usename + '\n' + record_.datname + '\n' + record_.application_name;
    services_.probes.ended(probed_, record_.probe, outcome, client, std::chrono::system_clock::now());
}

Probes::Source Session::probe_source() const {
    Probes::Source source{.upstream = record_.upstream, .address = record_.client_addr, .exe = {}};
    if (record_.process) source.exe = record_.process->get(std::chrono::milliseconds(0)).exe;
    return source;
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
    judge_closed_client(negotiation, error);
    co_return false;
}

void Session::took_startup(const Negotiation& negotiation) {
    const protocol::StartupMessage& startup = negotiation.startup();
    record_.negotiation = negotiation.kind();
    record_.usename = startup.find("user");
    record_.datname = startup.database();
    record_.application_name = startup.find("application_name");
    record_.replication = startup.find("replication");
    record_.protocol = protocol::version_text(startup.version);
    record_.timings.negotiation = tls::since(record_.accepted);
    if (!negotiation.encrypted()) {
        services_.probes.came_in_clear(probe_source(), std::chrono::system_clock::now());
        return judge_clear_client(negotiation);
    }
    settle_probe(Probes::Outcome::accepted);
    const bool undistributed = accepted_.route->settings.tls.trust == config::Trust::undistributed;
    record_.evidence.push_back(record_.probe   ? accepted(*record_.probe)
                               : undistributed ? Evidence::tls_startup_undistributed
                                               : Evidence::tls_startup);
    if (!record_.client_tls.client_dn.empty()) record_.evidence.push_back(Evidence::client_certificate);
    if (services_.sources.clear_was_refused(identity(), Clock::now()))
        record_.evidence.push_back(Evidence::tls_after_clear_refused);
}

void Session::judge_clear_client(const Negotiation& negotiation) {
    const auto now = Clock::now();
    if (negotiation.ssl_requested()) {
        record_.evidence.push_back(Evidence::clear_startup_after_no);
    } else if (services_.sources.login_was_refused_over_tls(identity(), now)) {
        record_.evidence.push_back(Evidence::clear_startup_after_tls_login);
    } else if (services_.sources.tls_was_refused(record_.client_addr, now)) {
        record_.evidence.push_back(Evidence::clear_startup_after_tls);
    } else if (services_.sources.tls_was_declined(record_.client_addr, now)) {
        record_.evidence.push_back(Evidence::clear_startup_after_declined);
    } else {
        record_.evidence.push_back(Evidence::clear_startup);
    }
}

/// The client closed before its StartupMessage. In clear that is a port check and no news; around
/// TLS it tells something.
void Session::judge_closed_client(const Negotiation& negotiation, const std::string& error) {
    if (aborted_) return;  // it was us who closed
    if (!negotiation.ssl_requested() && !negotiation.direct()) return;
    const int alert = record_.ssl || client_.encrypted() ? client_.record().alert : -1;
    if (negotiation.next() == Negotiation::Next::peek) {
        record_.negotiation = negotiation.kind();
        record_.evidence.push_back(Evidence::closed_after_no);
    } else if (!client_.record().client_hello_seen) {
        record_.evidence.push_back(Evidence::no_client_hello);
    } else if (is_certificate_alert(alert)) {
        record_.evidence.push_back(record_.probe ? refused(*record_.probe) : Evidence::tls_refused);
        settle_probe(Probes::Outcome::refused);
    } else if (alert < 0) {
        record_.evidence.push_back(record_.probe ? refused_silently(*record_.probe) : Evidence::tls_refused_silently);
        settle_probe(Probes::Outcome::left);
    }
    record_end({.kind = EventKind::tls_failed, .reason = Reason::tls_abandoned, .message = error, .alert = alert});
    spdlog::warn("{} {}: {}: {}", record_.session, record_.client_addr, sentence(Reason::tls_abandoned), error);
}

}  // namespace proxy
