// Session: the server leg up to ReadyForQuery.
#include <spdlog/spdlog.h>

#include "proxy/session/session.hpp"
#include "tls/scram_crypto.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Negotiation;

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

tls::Awaitable<> Session::log_in_upstream(const Negotiation& negotiation) {
    if (auto ready = prewarm_.take(upstream())) {
        const bool over = co_await log_in_through(*ready, negotiation, false);
        if (over) co_return;
    }
    const auto attempts = encryption_attempts(upstream().settings.sslmode);
    for (std::size_t i = 0; i < attempts.size(); ++i) {
        const bool last = i + 1 == attempts.size();
        UpstreamConnection connection = co_await connector_.connect(upstream(), attempts[i], deadline_);
        if (!connection.failure) {
            // A server that answered 'N' has given us clear text already: nothing else is left to
            // try.
            const bool may_retry = !last && connection.stream->encrypted() == attempts[i];
            const bool over = co_await log_in_through(connection, negotiation, may_retry);
            if (over) co_return;
            continue;
        }
        if (aborted_) co_return;
        if (!last && attempts[i] && connection.failure->may_try_clear) continue;
        record_.upstream_addr = connection.failure->address;
        record_end({.kind = EventKind::upstream_failed,
                    .reason = connection.failure->reason,
                    .sqlstate = connection.failure->response.sqlstate,
                    .message = connection.failure->error,
                    .verify_error = connection.failure->verify_error});
        spdlog::error("{} {}: {}{}{}", record_.session, record_.client_addr, connection.failure->response.message,
                      connection.failure->response.detail.empty() ? "" : ": ", connection.failure->response.detail);
        co_await tell(connection.failure->response);
        co_return;
    }
}

/// False: the server refused this way of connecting, and another is left; or it had left before it
/// was asked.
tls::Awaitable<bool> Session::log_in_through(UpstreamConnection& connection, const Negotiation& negotiation,
                                             bool may_retry) {
    record_.upstream_addr = connection.address;
    record_.upstream_ssl = connection.stream->encrypted();
    record_.upstream_prewarmed = connection.prewarmed;
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
        // Noted before the client hears of it: its next connection may arrive within the
        // millisecond, be it a fallback or none.
        const LoginOptions options{
            .startup = negotiation.packet(),
            .derive_key = [this](protocol::KeyDerivation derivation) { return derive_key(std::move(derivation)); },
            .may_retry = may_retry,
            .on_key = [this, &connection, &login] { register_key(connection, login); },
            .on_established = [this] { observer_->logged_in(); },
            .on_refused =
                [this, &login] {
                    if (!login.authenticated()) observer_->login_denied();
                }};
        end = co_await authenticate(client_, *server_, login, options);
    } catch (const ServerLegError& error) {
        if (aborted_)
            throw tls::StreamError(tls::StreamError::Kind::reset,
                                   std::string(label(*aborted_)));  // it was us who closed
        end = LoginEnd::server_closed;
        broken = error.what();
    } catch (const tls::StreamError& error) {
        if (error.kind() == tls::StreamError::Kind::timed_out || aborted_) throw;
        end = LoginEnd::client_closed;
    }
    if (aborted_ && end != LoginEnd::established)
        throw tls::StreamError(tls::StreamError::Kind::reset, std::string(label(*aborted_)));
    if (end == LoginEnd::server_closed && connection.prewarmed && !login.answered() && Clock::now() < deadline_)
        co_return false;
    record_.timings.login = tls::since(start);
    record_.auth_method = login.auth_method();
    record_.auth_bridge = login.auth_bridge();
    record_.gs2_flag = login.channel_binding();
    if (accepted_.route->auth->scram == protocol::ScramMode::automatic) {
        observer_->scram_ended(
            {.left = end == LoginEnd::client_closed || login.fault() == protocol::Fault::client_message,
             .was_offered = login.offering_scram(),
             .asked_password = login.asking_password(),
             .gs2_flag = login.channel_binding()});
    }
    switch (end) {
        case LoginEnd::retry: co_return false;
        case LoginEnd::established: established(login); co_return true;
        case LoginEnd::failed: co_await report_login_fault(login); co_return true;
        case LoginEnd::client_closed:
            // Such as psql before it asks for a password, or a client that does not accept the
            // authentication offered.
            record_end({.kind = EventKind::auth_failed,
                        .reason = Reason::client_left,
                        .message = std::string(sentence(Reason::client_left))});
            co_return true;
        case LoginEnd::refused:
            record_end({.kind = EventKind::auth_failed,
                        .reason = Reason::server_denied,
                        .sqlstate = replace_control_characters(login.server_error().sqlstate),
                        .message = replace_control_characters(login.server_error().message)});
            co_await say_goodbye();
            co_return true;
        case LoginEnd::server_closed: {
            if (Clock::now() >= deadline_) throw tls::StreamError(tls::StreamError::Kind::timed_out, "timeout expired");
            const std::string error =
                std::string(sentence(Reason::server_left)) + (broken.empty() ? "" : ": " + broken);
            record_end({.kind = EventKind::upstream_failed,
                        .reason = Reason::server_left,
                        .sqlstate = std::string(sqlstate(Reason::server_left)),
                        .message = error});
            spdlog::error("{} {}: {} during login", record_.session, record_.client_addr, error);
            const protocol::ErrorResponse response{.severity = "FATAL",
                                                   .sqlstate = std::string(sqlstate(Reason::server_left)),
                                                   .message = error,
                                                   .detail = "During login.",
                                                   .hint = {}};
            co_await tell(response);
            co_return true;
        }
    }
    co_return true;
}

/// What this session's login may do about SCRAM. The certificates are those of its own handshakes,
/// whatever a reload does meanwhile.
protocol::LoginPolicy Session::login_policy(const UpstreamConnection& connection) {
    const AuthRoute& auth = *accepted_.route->auth;
    protocol::LoginPolicy policy;
    policy.scram = auth.scram;
    policy.crypto = tls::scram_crypto();
    policy.password_is_safe = client_.encrypted() || is_local(accepted_.address);
    policy.ask_at_once =
        auth.scram == protocol::ScramMode::automatic && policy.password_is_safe && observer_->wants_password();
    if (connection.tls.leaf) policy.server_end_point = connection.tls.leaf->end_point;
    policy.server_verified = upstream().settings.sslmode == protocol::SslMode::verify_full;
    if (auth.scram == protocol::ScramMode::terminate) {
        if (client_.encrypted()) policy.client_end_point = shown_->end_point(client_.ssl());
        const std::string user(negotiation_->startup().find("user"));  // as it came
        policy.user = auth.find(user);
        policy.user_salt = auth.salt_for(user);
    }
    return policy;
}

tls::Awaitable<protocol::ScramKey> Session::derive_key(protocol::KeyDerivation derivation) {
    auto work = [derivation = std::move(derivation)] {
        return tls::salted_password(derivation.password, derivation.salt);
    };
    waiting_ = std::make_shared<tls::Timer>(client_.socket().get_executor());
    const auto key = co_await services_.key_derivations.run(std::move(work), deadline_, waiting_);
    waiting_.reset();
    if (aborted_) throw tls::StreamError(tls::StreamError::Kind::reset, std::string(label(*aborted_)));
    if (!key && Clock::now() >= deadline_) throw tls::StreamError(tls::StreamError::Kind::timed_out, "timeout expired");
    if (!key) throw std::runtime_error("key derivation failed");
    co_return *key;
}

tls::Awaitable<> Session::report_login_fault(const protocol::Login& login) {
    const Refusal why =
        refusal(login.fault(), replace_control_characters(std::string(negotiation_->startup().find("user"))));
    record_end({.kind = EventKind::auth_failed,
                .reason = why.reason,
                .sqlstate = why.response.sqlstate,
                .message = why.response.message});
    if (!login.authenticated()) observer_->login_denied();
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
    phase_ = Phase::established;
    record_.timings.total = tls::since(record_.accepted);
    if (const auto& key = login.key()) record_.backend_pid = key->pid;
    record({.kind = EventKind::connected});
    spdlog::debug("{} {}: {} connected to {} as {} at {}", record_.session, record_.client_addr,
                  record_.ssl ? "TLS" : "clear", replace_control_characters(record_.datname),
                  replace_control_characters(record_.usename), record_.upstream_addr);
}

}  // namespace proxy
