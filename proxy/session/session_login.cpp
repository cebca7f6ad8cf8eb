// Session: the server leg up to ReadyForQuery.
#include <spdlog/spdlog.h>

#include "protocol/utf8.hpp"
#include "proxy/session/session.hpp"
#include "tls/scram_crypto.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;

/// A UNIX-domain socket or loopback: what is said there crosses no network.
bool is_local(const std::string& address) {
    boost::system::error_code not_an_address;
    const auto parsed = asio::ip::make_address(address, not_an_address);
    return address.empty() || (!not_an_address && parsed.is_loopback());
}

}  // namespace

tls::Awaitable<> Session::log_in_upstream() {
    const config::Upstream& settings = upstream().settings;
    Attempts attempts(
        {.sslmode = settings.sslmode, .hosts = settings.hosts.size(), .prewarmed = true, .deadline = deadline_});
    for (bool over = false; !over && !aborted_;) {
        std::optional<VerifiedConnection> connection = prewarmed(attempts);
        if (!connection) {
            Connected connected = co_await connector_.connect(attempts, upstream(), deadline_);
            if (aborted_) co_return;
            if (const auto* failure = std::get_if<UpstreamFailure>(&connected)) {
                co_await report_unreached(*failure);
                co_return;
            }
            connection.emplace(std::move(std::get<VerifiedConnection>(connected)));
        }
        over = co_await log_in_through(std::move(*connection), attempts);
    }
}

std::optional<VerifiedConnection> Session::prewarmed(Attempts& attempts) {
    if (attempts.next() != Attempts::Next::take_prewarmed) return std::nullopt;
    std::optional<VerifiedConnection> ready = prewarm_.take(upstream());
    attempts.took_prewarmed(ready.has_value());
    return ready;
}

/// False: `attempts` goes on with another connection.
tls::Awaitable<bool> Session::log_in_through(VerifiedConnection connection, Attempts& attempts) {
    const Reached& reached = connection.reached;
    server_ = std::move(connection.stream);
    server_->set_deadline(deadline_, tls::Deadline::login);
    note_server(reached);
    protocol::Login login(login_policy(reached));
    const auto start = Clock::now();
    const LoginResult result = co_await exchange(login, reached, attempts.may_retry());
    if (aborted_ && result.end != LoginEnd::established) co_return true;
    if (result.end == LoginEnd::server_closed && !login.answered() && attempts.closed_unanswered(Clock::now()))
        co_return false;
    record_.timings.login = tls::since(start);
    record_.auth_method = login.auth_method();
    record_.auth_bridge = login.auth_bridge();
    record_.gs2_flag = login.channel_binding();
    if (accepted_.route->auth->scram == protocol::ScramMode::automatic) {
        observer_->scram_ended(
            {.left = result.end == LoginEnd::client_closed || login.fault() == protocol::Fault::client_message,
             .was_offered = login.offering_scram(),
             .asked_password = login.asking_password(),
             .gs2_flag = login.channel_binding()});
    }
    if (result.end == LoginEnd::retry) {
        attempts.refused();
        co_return false;
    }
    co_await finish_login(login, result);
    co_return true;
}

void Session::note_server(const Reached& reached) {
    record_.upstream_addr = reached.address;
    record_.upstream_ssl = server_->encrypted();
    record_.upstream_prewarmed = reached.prewarmed;
    record_.upstream_tls = reached.tls;
    record_.timings.resolve = reached.resolve;
    record_.timings.connect = reached.connect;
    record_.timings.upstream_tls = reached.tls_time;
}

/// The login itself. A leg that breaks is one of its ends; only the deadline of the client's leg is
/// not, which ends the session wherever it is.
tls::Awaitable<Session::LoginResult> Session::exchange(protocol::Login& login, const Reached& reached, bool may_retry) {
    // Recorded before the client sees the answer: its next connection may reach another thread
    // before we come back here.
    LoginOptions options{
        .startup = negotiation_->packet(),
        .derive_key = [this](protocol::KeyDerivation derivation) { return derive_key(std::move(derivation)); },
        .may_retry = may_retry,
        .on_key = [this, &reached, &login] { register_key(reached, login); },
        .on_established =
            [this] {
                observer_->logged_in();
                if (record_.ssl)
                    open_session_ = services_.memories.probes.open_sessions().opened(record_.origin(), record_.process);
            },
        .on_denied =
            [this, &login] {
                if (!login.authenticated()) observer_->login_denied();
            }};
    try {
        const LoginEnd end = co_await authenticate(client_, *server_, login, std::move(options));
        co_return LoginResult{end, {}};
    } catch (const tls::StreamError& error) {
        if (error.leg() == tls::Leg::server) co_return LoginResult{LoginEnd::server_closed, error.what()};
        if (error.kind() == tls::StreamError::Kind::timed_out && !aborted_) throw;
        co_return LoginResult{LoginEnd::client_closed, error.what()};
    }
}

/// Records how the login ended and tells the client, where that is ours to do.
tls::Awaitable<> Session::finish_login(const protocol::Login& login, const LoginResult& result) {
    const bool late = Clock::now() >= deadline_;
    switch (result.end) {
        case LoginEnd::retry: break;  // goes on
        case LoginEnd::established: established(login); break;
        case LoginEnd::failed: co_await record_login_fault(login); break;
        case LoginEnd::no_key: {
            const Rejection why = rejection(late ? Reason::login_timeout : Reason::failed);
            co_await reject(why);
            break;
        }
        case LoginEnd::client_closed:
            // Such as psql before it asks for a password, or a client that does not accept the
            // authentication offered.
            record_end({.kind = EventKind::auth_failed,
                        .reason = Reason::client_left,
                        .message = std::string(sentence(Reason::client_left))});
            break;
        case LoginEnd::denied:
            record_end({.kind = EventKind::auth_failed,
                        .reason = Reason::server_denied,
                        .sqlstate = protocol::printable(login.server_error().sqlstate),
                        .message = protocol::printable(login.server_error().message)});
            co_await lingering_close();
            break;
        case LoginEnd::server_closed:
            if (late) {
                const Rejection why = rejection(Reason::login_timeout);
                co_await reject(why);
            } else {
                co_await report_server_closed(result.broken);
            }
    }
}

tls::Awaitable<> Session::report_server_closed(const std::string& how) {
    const std::string state(sqlstate(Reason::server_left));
    const std::string error = std::string(sentence(Reason::server_left)) + (how.empty() ? "" : ": " + how);
    record_end(
        {.kind = EventKind::upstream_failed, .reason = Reason::server_left, .sqlstate = state, .message = error});
    spdlog::error("{} {}: {} during login", record_.session, record_.client_addr, error);
    const protocol::ErrorResponse response{
        .severity = "FATAL", .sqlstate = state, .message = error, .detail = "During login.", .hint = {}};
    co_await send_error(response);
}

tls::Awaitable<> Session::report_unreached(const UpstreamFailure& failure) {
    record_.upstream_addr = failure.address;
    record_end({.kind = EventKind::upstream_failed,
                .reason = failure.reason,
                .sqlstate = failure.response.sqlstate,
                .message = failure.error,
                .verify_error = failure.verify_error});
    spdlog::error("{} {}: {}{}{}", record_.session, record_.client_addr, failure.response.message,
                  failure.response.detail.empty() ? "" : ": ", failure.response.detail);
    co_await send_error(failure.response);
}

/// What this session's login may do about SCRAM. The certificates are those of its own handshakes,
/// whatever a reload does meanwhile.
protocol::LoginPolicy Session::login_policy(const Reached& reached) {
    const AuthRoute& auth = *accepted_.route->auth;
    protocol::LoginPolicy policy;
    policy.scram = auth.scram;
    policy.crypto = tls::scram_crypto();
    policy.password_is_safe = client_.encrypted() || is_local(accepted_.address);
    policy.ask_at_once =
        auth.scram == protocol::ScramMode::automatic && policy.password_is_safe && observer_->wants_password();
    if (reached.tls.leaf) policy.server_end_point = reached.tls.leaf->end_point;
    policy.server_verified = upstream().settings.sslmode == protocol::SslMode::verify_full;
    if (auth.scram == protocol::ScramMode::terminate) {
        if (client_.encrypted()) policy.client_end_point = shown_->end_point(client_.ssl());
        const std::string user(negotiation_->startup().find("user"));  // as it came
        policy.user = auth.find(user);
        policy.user_salt = auth.salt_for(user);
    }
    return policy;
}

/// nullopt: not in time, the session was ended meanwhile, or it failed.
tls::Awaitable<std::optional<protocol::ScramKey>> Session::derive_key(protocol::KeyDerivation derivation) {
    auto work = [derivation = std::move(derivation)] {
        return tls::salted_password(derivation.password, derivation.salt);
    };
    waiting_ = std::make_shared<tls::Timer>(client_.socket().get_executor());
    auto key = co_await services_.key_derivations.run(std::move(work), deadline_, waiting_);
    waiting_.reset();
    co_return std::move(key);
}

tls::Awaitable<> Session::record_login_fault(const protocol::Login& login) {
    const Rejection why = rejection(login.fault(), protocol::printable(negotiation_->startup().find("user")));
    if (!login.authenticated()) observer_->login_denied();
    record_end({.kind = EventKind::auth_failed,
                .reason = why.reason,
                .sqlstate = why.response.sqlstate,
                .message = why.response.message});
    spdlog::warn("{} {}: login refused: {}", record_.session, record_.client_addr, why.response.message);
    server_.reset();
    co_await send_error(why.response);
}

void Session::register_key(const Reached& reached, const protocol::Login& login) {
    registration_ = services_.cancels.add(login.key()->pid, login.key()->key,
                                          {.route = accepted_.route->upstream,
                                           .endpoint = reached.endpoint,
                                           .host = reached.host,
                                           .address = reached.address,
                                           .encryption = server_->encrypted() ? Encryption::tls : Encryption::clear});
}

void Session::established(const protocol::Login& login) {
    phase_ = Phase::established;
    record_.timings.total = tls::since(record_.accepted);
    if (const auto& key = login.key()) record_.backend_pid = key->pid;
    record({.kind = EventKind::connected});
    spdlog::debug("{} {}: {} connected to {} as {} at {}", record_.session, record_.client_addr,
                  record_.ssl ? "TLS" : "clear", record_.datname, record_.usename, record_.upstream_addr);
}

}  // namespace proxy
