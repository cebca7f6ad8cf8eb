#include "proxy/session.hpp"

#include <spdlog/spdlog.h>

#include <array>

#include "proxy/relay.hpp"
#include "proxy/socket_options.hpp"
#include "tls/scram_crypto.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Evidence;
using protocol::Negotiation;

/// How long a client that was refused may take to read why.
constexpr std::chrono::seconds farewell_time{2};

/// RFC 8446, 6: a fatal handshake_failure alert in a TLS 1.0 record, which every client understands.
constexpr std::array<std::uint8_t, 7> handshake_failure_alert{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28};

std::chrono::microseconds since(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
}

/// Alerts by which a client says that it does not accept our certificate (RFC 8446, 6.2), and not that it cannot speak our TLS.
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

/// Waits for the peer's close; whatever it still says is of no interest, and neither is a flood of it.
tls::Awaitable<> read_to_end(tls::Stream& stream) {
    constexpr int max_reads = 64;
    std::array<std::uint8_t, 1024> ignored{};
    for (int reads = 0; reads < max_reads; ++reads) {
        const std::size_t n = co_await stream.read_some(ignored);
        if (n == 0) co_return;
    }
}

/// A UNIX-domain socket or loopback: what is said there crosses no network.
bool is_local(const std::string& address) {
    boost::system::error_code not_an_address;
    const auto parsed = asio::ip::make_address(address, not_an_address);
    return address.empty() || (!not_an_address && parsed.is_loopback());
}

std::string replace_control_characters(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    return text;
}

}  // namespace

Session::Session(Services& services, Accepted accepted, tls::Socket socket)
    : services_(services), accepted_(std::move(accepted)), client_(std::move(socket)), deadline_(Clock::now() + accepted_.login_timeout) {
    record_.session = accepted_.session;
    record_.listener = accepted_.route->settings.name;
    record_.upstream = upstream().settings.name;
    record_.upstream_sslmode = protocol::to_string(upstream().settings.sslmode);
    record_.client_addr = accepted_.address;
    record_.client_port = accepted_.port;
    record_.accepted = Clock::now();
    set_options(client_.socket().native_handle(), {.keepalive = accepted_.route->settings.tcp_keepalive});
    client_.set_deadline(deadline_);
}

tls::Awaitable<> Session::run() {
    bool timed_out = false;
    try {
        co_await converse();
    } catch (const tls::StreamError& error) {
        timed_out = error.kind() == tls::StreamError::Kind::timed_out;
        spdlog::debug("{} {}: {}", record_.session, record_.client_addr, error.what());
    } catch (const std::exception& error) {
        spdlog::error("{} {}: {}", record_.session, record_.client_addr, error.what());
    }
    if (timed_out && aborted_.empty()) {
        try {
            const Refusal why = login_timeout();
            co_await refuse(why);
        } catch (const std::exception& error) {
            spdlog::debug("{} {}: {}", record_.session, record_.client_addr, error.what());
        }
    }
    settle_tls();
    if (!aborted_.empty() && !established_) {
        Event e = event(EventKind::rejected);
        e.reason = aborted_;
        e.sqlstate = "57P01";
        services_.audit.report(std::move(e));
    }
}

/// TLS that was begun has come to a login now, or never will.
void Session::settle_tls() {
    if (!std::exchange(tls_began_, false)) return;
    const bool cancelled = negotiation_ && negotiation_->next() == Negotiation::Next::cancel;
    services_.sources.tls_ended(record_.client_addr, !established_ && !cancelled, Clock::now());
}

void Session::abort(std::string reason) {
    aborted_ = std::move(reason);
    // Whoever waits for a login is told; within a relayed session nobody knows where a message would end.
    if (!established_ && can_hear_) client_.send(protocol::serialize(shutting_down().response));
    client_.close();
    if (server_) server_->close();
}

tls::Awaitable<> Session::converse() {
    // gcc 12 destroys temporaries of a co_await expression twice when it stands inside a condition or among aggregate arguments
    // (gcc 99576 and kin): hence the named values here and below.
    const Opening opening = co_await negotiate();
    if (opening == Opening::over) co_return;
    if (opening == Opening::cancel) {
        co_await forward_cancel(negotiation_->cancel_request());
        co_return;
    }
    if (services_.draining) accepted_.refusal = shutting_down();
    if (accepted_.refusal) {
        co_await refuse(*accepted_.refusal);
        co_return;
    }
    co_await log_in(*negotiation_);
    if (!established_) co_return;
    negotiation_.reset();
    co_await relay_until_end();
}

// --- The client leg up to its StartupMessage

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
                const auto byte = co_await client_.peek();
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
            case Negotiation::Next::cancel: co_return Opening::cancel;
            case Negotiation::Next::refuse: {
                record_.negotiation = negotiation.kind();
                can_hear_ = !negotiation.client_hello_seen();
                const Refusal why = refusal(negotiation.fault());
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
    const auto start = Clock::now();
    tls::SslPtr ssl = accepted_.route->tls->accept();
    const tls::Handshake handshake = co_await client_.handshake(std::move(ssl), negotiation.direct());
    record_.timings.client_tls = since(start);
    if (const auto& hello = client_.record().hello) {
        record_.sni = hello->sni;
        record_.ja4 = protocol::ja4(*hello, [](std::string_view text) { return tls::sha256_hex(text.data(), text.size()); });
        // A handshake that we end ourselves is over before a certificate was sent, or not about it.
        if (handshake.end != tls::Handshake::End::failed) {
            record_.client_tls.certificate_shown = accepted_.route->tls->certificate_shown(client_.ssl());
        }
    }
    if (handshake.end == tls::Handshake::End::complete) {
        acknowledge_now(client_.socket().native_handle());
        record_.ssl = true;
        record_.client_tls = accepted_.route->tls->describe(client_.ssl());
        can_hear_ = true;
        negotiation.tls_started();
        co_return true;
    }
    if (handshake.end == tls::Handshake::End::timed_out) throw tls::StreamError(tls::StreamError::Kind::timed_out, handshake.error);
    if (handshake.end != tls::Handshake::End::failed) {
        judge_closed_client(negotiation, handshake.error);
        co_return false;
    }
    std::string error = handshake.error;
    if (client_.record().verify.code != X509_V_OK) error += ": client certificate: " + client_.record().verify.reason;
    Event e = event(EventKind::tls_failed);
    e.message = error;
    services_.audit.report(std::move(e));
    spdlog::warn("{} {}: TLS handshake with the client failed: {}", record_.session, record_.client_addr, error);
    co_await say_goodbye();
    co_return false;
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
    record_.timings.negotiation = since(record_.accepted);
    if (!negotiation.encrypted()) return judge_clear_client(negotiation);

    const bool undistributed = accepted_.route->settings.tls.trust == config::Trust::undistributed;
    record_.evidence.push_back(undistributed ? Evidence::tls_startup_undistributed : Evidence::tls_startup);
    if (!record_.client_tls.client_dn.empty()) record_.evidence.push_back(Evidence::client_certificate);
    if (services_.sources.clear_was_refused(identity(), Clock::now())) record_.evidence.push_back(Evidence::tls_after_clear_refused);
}

void Session::judge_clear_client(const Negotiation& negotiation) {
    const auto now = Clock::now();
    if (negotiation.ssl_requested()) {
        record_.evidence.push_back(Evidence::clear_startup_after_no);
    } else if (services_.sources.login_was_refused_over_tls(identity(), now)) {
        record_.evidence.push_back(Evidence::clear_startup_after_tls_login);
    } else if (services_.sources.tls_was_refused(record_.client_addr, now)) {
        record_.evidence.push_back(Evidence::clear_startup_after_tls);
    } else {
        record_.evidence.push_back(Evidence::clear_startup);
    }
}

/// The client closed before its StartupMessage. In clear that is a port check and no news; around TLS it tells something.
void Session::judge_closed_client(const Negotiation& negotiation, const std::string& error) {
    if (!negotiation.ssl_requested() && !negotiation.direct()) return;
    const int alert = record_.ssl || client_.encrypted() ? client_.record().alert : -1;
    if (negotiation.next() == Negotiation::Next::peek) {
        record_.negotiation = negotiation.kind();
        record_.evidence.push_back(Evidence::closed_after_no);
    } else if (!client_.record().client_hello_seen) {
        record_.evidence.push_back(Evidence::no_client_hello);
    } else if (is_certificate_alert(alert)) {
        record_.evidence.push_back(Evidence::tls_refused);
    } else if (alert < 0) {
        record_.evidence.push_back(Evidence::tls_refused_silently);
    }
    Event e = event(EventKind::tls_failed);
    e.alert = alert;
    e.message = error;
    services_.audit.report(std::move(e));
    spdlog::warn("{} {}: the client did not go on with TLS: {}", record_.session, record_.client_addr, error);
}

// --- Cancel

tls::Awaitable<> Session::forward_cancel(const protocol::CancelRequest& request) {
    const auto target = services_.cancels.find(request);
    Event e = event(EventKind::cancel);
    e.ssl = client_.encrypted();
    e.matched = target.has_value();
    if (target) {
        e.record.upstream_addr = target->address;
        UpstreamConnection connection = co_await connect_address(*target->route, target->endpoint, target->host, target->tls);
        if (connection.failure) {
            e.message = connection.failure->error;
            spdlog::error("{} {}: cancel request not delivered to {}: {}", record_.session, record_.client_addr, target->address,
                          connection.failure->error);
        } else {
            connection.stream->set_deadline(Clock::now() + target->route->settings.connect_timeout);
            const protocol::Buffer packet = protocol::serialize(request);
            co_await connection.stream->write(packet);
            // The server closes once it has acted; a client may take our own close as that sign.
            co_await read_to_end(*connection.stream);
        }
    }
    services_.audit.report(std::move(e));
}

// --- The server leg up to ReadyForQuery

tls::Awaitable<> Session::log_in(const Negotiation& negotiation) {
    const auto attempts = encryption_attempts(upstream().settings.sslmode);
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const bool last = i + 1 == attempts.size();
        UpstreamConnection connection = co_await connect_upstream(services_.resolver, upstream(), attempts[i], deadline_);
        if (!connection.failure) {
            // A server that answered 'N' has given us clear text already: nothing else is left to try.
            const bool may_retry = !last && connection.stream->encrypted() == attempts[i];
            const bool over = co_await log_in_through(connection, negotiation, may_retry);
            if (over) co_return;
            continue;
        }
        if (!last && attempts[i] && connection.failure->may_try_clear) continue;
        record_.upstream_addr = connection.failure->address;
        Event e = event(EventKind::upstream_failed);
        e.message = connection.failure->error;
        e.verify_error = connection.failure->verify_error;
        e.sqlstate = connection.failure->response.sqlstate;
        services_.audit.report(std::move(e));
        spdlog::error("{} {}: {}{}{}", record_.session, record_.client_addr, connection.failure->response.message,
                      connection.failure->response.detail.empty() ? "" : ": ", connection.failure->response.detail);
        co_await tell(connection.failure->response);
        co_return;
    }
}

/// False: the server refused this way of connecting, and another is left.
tls::Awaitable<bool> Session::log_in_through(UpstreamConnection& connection, const Negotiation& negotiation, bool may_retry) {
    record_.upstream_addr = connection.address;
    record_.upstream_ssl = connection.stream->encrypted();
    record_.upstream_tls = connection.tls;
    record_.timings.resolve = connection.resolve;
    record_.timings.connect = connection.connect;
    record_.timings.upstream_tls = connection.tls_time;
    server_ = std::move(connection.stream);
    server_->set_deadline(deadline_);
    protocol::Login login(login_policy(connection));
    const auto start = Clock::now();
    LoginEnd end{};
    std::string broken;
    try {
        // Noted before the client hears of it: its fallback may arrive within the millisecond.
        const LoginOptions options{.startup = negotiation.packet(),
                                   .derive_key = [this](protocol::KeyDerivation derivation) { return derive_key(std::move(derivation)); },
                                   .may_retry = may_retry,
                                   .on_key = [this, &connection, &login] { register_key(connection, login); },
                                   .on_refused = [this, &login] {
                                       if (client_.encrypted() && !login.authenticated()) {
                                           services_.sources.login_refused_over_tls(identity(), Clock::now());
                                       }
                                   }};
        end = co_await authenticate(client_, *server_, login, options);
    } catch (const ServerLegError& error) {
        end = LoginEnd::server_closed;
        broken = error.what();
    } catch (const tls::StreamError& error) {
        if (error.kind() == tls::StreamError::Kind::timed_out || !aborted_.empty()) throw;
        end = LoginEnd::client_closed;
    }
    record_.timings.login = since(start);
    record_.auth_method = login.auth_method();
    record_.auth_bridge = login.auth_bridge();
    record_.gs2_flag = login.channel_binding();
    remember_scram(login, end == LoginEnd::client_closed || login.fault() == protocol::Fault::client_message);
    switch (end) {
        case LoginEnd::retry: co_return false;
        case LoginEnd::established: established(login); co_return true;
        case LoginEnd::failed: co_await report_login_fault(login); co_return true;
        case LoginEnd::client_closed: {
            // Such as psql before it asks for a password, or a client that does not accept the authentication offered.
            Event e = event(EventKind::auth_failed);
            e.message = "client closed the connection during login";
            services_.audit.report(std::move(e));
            co_return true;
        }
        case LoginEnd::refused: {
            Event e = event(EventKind::auth_failed);
            e.sqlstate = replace_control_characters(login.server_error().sqlstate);
            e.message = replace_control_characters(login.server_error().message);
            services_.audit.report(std::move(e));
            co_await say_goodbye();
            co_return true;
        }
        case LoginEnd::server_closed: {
            if (Clock::now() >= deadline_) throw tls::StreamError(tls::StreamError::Kind::timed_out, "timeout expired");
            const std::string error = "server closed the connection unexpectedly" + (broken.empty() ? "" : ": " + broken);
            Event e = event(EventKind::upstream_failed);
            e.message = error;
            e.sqlstate = "08006";
            services_.audit.report(std::move(e));
            spdlog::error("{} {}: {} during login", record_.session, record_.client_addr, error);
            const protocol::ErrorResponse response{
                .severity = "FATAL", .sqlstate = "08006", .message = error, .detail = "During login.", .hint = {}};
            co_await tell(response);
            co_return true;
        }
    }
    co_return true;
}

/// What this session's login may do about SCRAM. The certificates are those of its own handshakes, whatever a reload does meanwhile.
protocol::LoginPolicy Session::login_policy(const UpstreamConnection& connection) {
    const AuthRoute& auth = *accepted_.route->auth;
    protocol::LoginPolicy policy;
    policy.scram = auth.scram;
    policy.crypto = tls::scram_crypto();
    policy.password_is_safe = client_.encrypted() || is_local(accepted_.address);
    policy.ask_at_once = auth.scram == protocol::ScramMode::automatic && policy.password_is_safe &&
                         services_.sources.scram_was_declined(identity(), Clock::now());
    if (connection.tls.leaf) policy.server_end_point = connection.tls.leaf->end_point;
    if (auth.scram == protocol::ScramMode::terminate) {
        if (client_.encrypted()) policy.client_end_point = accepted_.route->tls->end_point(client_.ssl());
        policy.user = auth.find(record_.usename);
        policy.user_salt = auth.salt_for(record_.usename);
    }
    return policy;
}

tls::Awaitable<protocol::ScramKey> Session::derive_key(protocol::KeyDerivation derivation) {
    auto work = [derivation = std::move(derivation)] { return tls::salted_password(derivation.password, derivation.salt); };
    const auto key = co_await services_.key_derivations.run(std::move(work), deadline_);
    if (!key && Clock::now() >= deadline_) throw tls::StreamError(tls::StreamError::Kind::timed_out, "timeout expired");
    if (!key) throw std::runtime_error("key derivation failed");
    co_return *key;
}

/// A client that leaves instead of answering our offer may not know SCRAM, and is asked for its password at once when it comes back. One that
/// leaves then as well had another reason, such as no password.
void Session::remember_scram(const protocol::Login& login, bool left) {
    if (accepted_.route->auth->scram != protocol::ScramMode::automatic) return;
    Sources& sources = services_.sources;
    const auto now = Clock::now();
    if (left && login.asking_password()) {
        // After its own first SCRAM message it would not switch: then it gets the question first the next time.
        return login.channel_binding() == 0 ? sources.password_declined(identity()) : sources.scram_declined(identity(), now);
    }
    if (left && login.offering_scram()) return sources.scram_declined(identity(), now);
    if (login.channel_binding() != 0) sources.scram_spoken(identity(), now);
}

tls::Awaitable<> Session::report_login_fault(const protocol::Login& login) {
    const Refusal why = refusal(login.fault(), replace_control_characters(record_.usename));
    Event e = event(EventKind::auth_failed);
    e.sqlstate = why.response.sqlstate;
    e.message = why.response.message;
    services_.audit.report(std::move(e));
    if (client_.encrypted()) services_.sources.login_refused_over_tls(identity(), Clock::now());
    spdlog::warn("{} {}: login refused: {}", record_.session, record_.client_addr, why.response.message);
    server_.reset();
    co_await tell(why.response);
}

void Session::register_key(const UpstreamConnection& connection, const protocol::Login& login) {
    lease_ = services_.cancels.add(login.key()->pid, login.key()->key,
                                   {.route = accepted_.route->upstream,
                                    .endpoint = connection.endpoint,
                                    .host = connection.host,
                                    .address = connection.address,
                                    .tls = server_->encrypted()});
}

void Session::established(const protocol::Login& login) {
    established_ = true;
    settle_tls();
    record_.timings.total = since(record_.accepted);
    if (const auto& key = login.key()) record_.backend_pid = key->pid;
    services_.audit.report(event(EventKind::connected));
    spdlog::debug("{} {}: {} connected to {} as {} at {}", record_.session, record_.client_addr, record_.ssl ? "TLS" : "clear",
                  replace_control_characters(record_.datname), replace_control_characters(record_.usename), record_.upstream_addr);
}

// --- The relay, and ends

tls::Awaitable<> Session::relay_until_end() {
    server_->clear_deadline();
    const RelayResult result = co_await relay(client_, *server_, accepted_.route->settings.idle_timeout);
    record_.bytes_from_client = result.bytes_from_client;
    record_.bytes_from_server = result.bytes_from_server;
    Event e = event(EventKind::disconnected);
    e.reason = aborted_.empty() ? label(result.end) : aborted_;
    e.duration = since(record_.accepted);
    services_.audit.report(std::move(e));
}

tls::Awaitable<> Session::refuse(const Refusal& refusal) {
    if (refusal.reason == protocol::label(protocol::Fault::tls_required)) services_.sources.clear_refused(identity(), Clock::now());
    Event e = event(EventKind::rejected);
    e.reason = refusal.reason;
    e.sqlstate = refusal.response.sqlstate;
    services_.audit.report(std::move(e));
    spdlog::warn("{} {}: refused: {}", record_.session, record_.client_addr, refusal.response.message);
    co_await tell(refusal.response);
}

/// Sends the client an ErrorResponse, or where it cannot hear one an alert.
tls::Awaitable<> Session::tell(const protocol::ErrorResponse& response) {
    client_.set_deadline(Clock::now() + farewell_time);
    if (can_hear_) {
        const protocol::Buffer message = protocol::serialize(response);
        co_await client_.write(message);
    } else if (!client_.encrypted()) {
        co_await client_.write(handshake_failure_alert);
    } else {
        co_return;
    }
    co_await say_goodbye();
}

/// Closes our side and waits for the client's close: with its bytes still unread, a close would send a reset, which overtakes what was said.
tls::Awaitable<> Session::say_goodbye() {
    client_.set_deadline(Clock::now() + farewell_time);
    client_.close_send(true);
    try {
        co_await read_to_end(client_);
    } catch (const tls::StreamError&) {
        // Gone already, or not willing to go: closed now either way.
    }
}

Event Session::event(EventKind kind) const {
    Event e{.kind = kind};
    e.record = record_;
    return e;
}

Sources::Identity Session::identity() const {
    return {.listener = record_.listener,
            .address = record_.client_addr,
            .usename = record_.usename,
            .datname = record_.datname,
            .application_name = record_.application_name};
}

}  // namespace proxy
