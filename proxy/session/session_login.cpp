// Session: the server leg up to ReadyForQuery.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "protocol/utf8.hpp"
#include "proxy/observation/often.hpp"
#include "proxy/observation/session_log.hpp"
#include "proxy/session/client_watch.hpp"
#include "proxy/session/session.hpp"
#include "tls/scram_crypto.hpp"
#include "tls/verify_advice.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;

/// A UNIX-domain socket or loopback: what is said there crosses no network.
bool is_local(const std::string& address) {
    boost::system::error_code not_an_address;
    const auto parsed = asio::ip::make_address(address, not_an_address);
    return address.empty() || (!not_an_address && parsed.is_loopback());
}

/// With TLS 1.3 our handshake is over before the server has looked at our certificate: it refuses
/// it where its first answer was awaited.
tls::Advice login_advice(const tls::Stream& server, const UpstreamRoute& route) {
    if (!server.encrypted()) return {};
    const char* const sent_name = SSL_get_servername(server.ssl(), TLSEXT_NAMETYPE_host_name);
    return tls::advise_alert(server.notes().alert, sent_name ? sent_name : "", route.settings.sslcert.path);
}

}  // namespace

tls::Awaitable<> Session::log_in_upstream() {
    from_client_ = std::make_unique<protocol::MessageBuffer>(protocol::max_client_login_message);
    Tries tries{.began = Clock::now()};
    for (bool goes_on = true; goes_on;) {
        connector_.set_roles(services_.roles, login_as());
        const std::optional<UpstreamFailure> failure = co_await try_hosts(tries);
        if (!failure) co_return;
        goes_on = co_await wait_for_host(*failure);
    }
}

/// A value: no host serves. Otherwise the login is over, well or not.
tls::Awaitable<std::optional<UpstreamFailure>> Session::try_hosts(Tries& tries) {
    const config::Upstream& settings = upstream().settings;
    Attempts attempts({.sslmode = settings.sslmode,
                       .hosts = connector_.take_hosts(upstream()),
                       .prewarmed = true,
                       .wanted = settings.target_session_attrs,
                       .may_wait = settings.wait_for_host,
                       .deadline = reach_by()});
    for (bool over = false; !over && !aborted_;) {
        std::optional<VerifiedConnection> connection = prewarmed(attempts);
        if (!connection) {
            const ClientWatch client(client_, *from_client_,
                                     [this] { connector_.abort(std::string(sentence(Reason::client_left))); });
            // As long as it has a place before the login it may wait for its turn in that.
            const std::function<void()> on_wait = [this] { (*may_wait_)(); };
            Connected connected = co_await connector_.connect(attempts, upstream(), reach_by(), &on_wait);
            if (aborted_) co_return std::nullopt;
            if (client.left()) {
                record_client_left();
                co_return std::nullopt;
            }
            record_.timings.turn = connector_.waited();
            if (auto* failure = std::get_if<UpstreamFailure>(&connected)) {
                tries.failed_attempts += attempts.failed_attempts();
                co_return std::move(*failure);
            }
            connection.emplace(std::move(std::get<VerifiedConnection>(connected)));
        }
        record_.failed_attempts = tries.failed_attempts + attempts.failed_attempts();
        const Reached& reached = connection->reached;
        if (record_.failed_attempts > 0)
            record_.timings.failed_attempts =
                std::max(std::chrono::microseconds(0), tls::since(tries.began) - record_.timings.host_wait -
                                                           connector_.waited() - reached.resolve - reached.connect -
                                                           reached.tls_time);
        over = co_await log_in_through(std::move(*connection), attempts);
    }
    co_return std::nullopt;
}

std::optional<VerifiedConnection> Session::prewarmed(Attempts& attempts) {
    if (attempts.next() != Attempts::Next::take_prewarmed) return std::nullopt;
    std::optional<VerifiedConnection> ready = prewarm_.take(
        upstream(), [this](const Reached& to) { return connector_.may_log_in_at(upstream(), to.configured); });
    attempts.took_prewarmed(ready.has_value());
    return ready;
}

/// False: `attempts` goes on with another connection.
tls::Awaitable<bool> Session::log_in_through(VerifiedConnection connection, Attempts& attempts) {
    const Reached& reached = connection.reached;
    server_ = std::move(connection.stream);
    if (reached.answer_by < deadline_) {
        server_->set_deadline(reached.answer_by, tls::Deadline::connect);
    } else {
        server_->set_deadline(deadline_, tls::Deadline::login);
    }
    note_server(reached);
    protocol::LoginPolicy policy = login_policy(reached, attempts.wanted());
    protocol::Login login =
        answers_ ? protocol::Login(std::move(policy), *answers_) : protocol::Login(std::move(policy));
    const auto start = Clock::now();
    const LoginResult result = co_await exchange(login, reached, attempts);
    if (aborted_ && result.end != LoginEnd::established) co_return true;
    if (result.end == LoginEnd::unwanted) {
        const bool again = co_await leave_unwanted(login, attempts, reached);
        co_return !again;
    }
    if (goes_on(result, login, attempts, reached)) {
        server_.reset();
        co_return false;
    }
    connector_.end_turn();
    record_.timings.login = tls::since(start);
    record_.auth_method = login.auth_method();
    record_.auth_bridge = login.auth_bridge();
    record_.gs2_flag = login.channel_binding();
    record_.upstream_role = login.host_role();
    if (accepted_.route->auth->scram == protocol::ScramMode::automatic) {
        observer_->scram_ended(
            {.left = result.end == LoginEnd::client_closed || login.fault() == protocol::Fault::client_message,
             .was_offered = login.offering_scram(),
             .asked_password = login.asking_password(),
             .gave_password = login.auth_bridge() == protocol::AuthBridge::cleartext && !login.asking_password(),
             .gs2_flag = login.channel_binding()});
    }
    co_await finish_login(login, result);
    co_return true;
}

/// Whether another connection is asked, because of a server that said nothing the client has heard.
bool Session::goes_on(const LoginResult& result, const protocol::Login& login, Attempts& attempts,
                      const Reached& reached) {
    switch (result.end) {
        case LoginEnd::unanswered:
            if (reached.prewarmed) prewarm_.distrust(upstream(), reached.address);
            connector_.unanswered(attempts, upstream(), reached);
            return true;
        case LoginEnd::server_closed: return !login.answered() && attempts.closed_unanswered(Clock::now());
        case LoginEnd::retry: connector_.refused(attempts, login.server_error(), reached); return true;
        default: return false;
    }
}

void Session::note_server(const Reached& reached) {
    if (tap_) {
        server_->set_tap(tap_->tap());  // one that was ready before
        tap_->server_name(reached.host);
    }
    record_.upstream_addr = reached.address;
    record_.upstream_ssl = server_->encrypted();
    record_.upstream_prewarmed = reached.prewarmed;
    record_.upstream_addr_stale = reached.stale;
    record_.upstream_tls = reached.tls;
    record_.timings.resolve = reached.resolve;
    record_.timings.connect = reached.connect;
    record_.timings.upstream_tls = reached.tls_time;
}

/// The login itself. A leg that breaks is one of its ends; only the deadline of the client's leg is
/// not, which ends the session wherever it is.
tls::Awaitable<Session::LoginResult> Session::exchange(protocol::Login& login, const Reached& reached,
                                                       const Attempts& attempts) {
    // Recorded before the client sees the answer: its next connection may reach another thread
    // before we come back here.
    LoginOptions options{
        .startup = negotiation_->packet(),
        .from_client = *from_client_,
        .boundary = boundary_,
        .within_message = within_message_,
        .derive_key = [this](protocol::KeyDerivation derivation) { return derive_key(std::move(derivation)); },
        .may_retry = [&attempts](const auto& refusal) { return attempts.may_retry(refusal.sqlstate); },
        .is_wanted = [this, &reached, &attempts, &login] { return is_wanted(login, reached, attempts); },
        .on_answer = [this, &reached] { take_answer(reached); },
        .on_key = [this, &reached, &login] { register_key(reached, login); },
        .on_left =
            [this] {
                if (waiting_) waiting_->cancel();
            },
        .servers_time = upstream().settings.connect_timeout,
        .on_silence = [this] { connector_.end_turn(); },
        .on_established =
            [this, &reached, &login] {
                learn_role(login, reached);
                connector_.end_turn();
                observer_->logged_in();
                if (record_.ssl)
                    open_session_ = services_.memories.probes.open_sessions().opened(record_.origin(), record_.process);
            },
        .on_denied =
            [this, &login] {
                connector_.end_turn();  // others need not wait until this client has read why
                if (!login.authenticated() && !login.oauth_discovery()) login_denied(login.server_error().sqlstate);
            }};
    try {
        const LoginEnd end = co_await authenticate(client_, *server_, login, std::move(options));
        co_return LoginResult{end, {}};
    } catch (const tls::StreamError& error) {
        const bool unanswered = error.passed() == tls::Deadline::connect;
        if (error.leg() == tls::Leg::server)
            co_return LoginResult{unanswered ? LoginEnd::unanswered : LoginEnd::server_closed, error.what()};
        if (error.kind() == tls::StreamError::Kind::timed_out && !aborted_) throw;
        co_return LoginResult{LoginEnd::client_closed, error.what()};
    }
}

/// The server's first byte: from now on it has as long as the whole login.
void Session::take_answer(const Reached& reached) {
    server_->set_deadline(deadline_, tls::Deadline::login);
    connector_.answered(upstream(), reached);
}

/// Records how the login ended and tells the client, where that is ours to do.
tls::Awaitable<> Session::finish_login(const protocol::Login& login, const LoginResult& result) {
    const bool late = Clock::now() >= deadline_;
    // Whoever has heard that it is let in does not come back in clear when it is not.
    if (login.authenticated() && result.end != LoginEnd::established) observer_->settle();
    switch (result.end) {
        case LoginEnd::retry:
        case LoginEnd::unwanted:
        case LoginEnd::unanswered: break;  // goes on
        case LoginEnd::established: established(login); break;
        case LoginEnd::failed: co_await record_login_fault(login); break;
        case LoginEnd::no_key: {
            const Rejection why = rejection(late ? Reason::login_timeout : Reason::failed);
            co_await reject(why);
            break;
        }
        case LoginEnd::client_closed: record_client_left(); break;
        case LoginEnd::denied:
            record_denied(login);
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

/// Of all reasons only those of class 28 (no such user, password or entry of pg_hba.conf) may be
/// others with TLS. Of an outage or a limit everybody hears who shares the client's names.
void Session::login_denied(std::string_view sqlstate) {
    observer_->login_denied();
    if (sqlstate.starts_with("28")) observer_->rejected_in_clear();
}

/// The server's words, if they are not the client's secret.
void Session::record_denied(const protocol::Login& login) {
    const auto words = [&login](const std::string& text) {
        const std::string shown = protocol::as_utf8(text, protocol::max_peer_text);
        return login.repeats_secret(shown) ? "(not recorded: it repeats what the client sent as its password or token)"
                                           : protocol::printable(shown);
    };
    const protocol::ErrorResponse& error = login.server_error();
    // Of what is none, and might be a piece of anything, nothing is recorded.
    const bool has_sqlstate = protocol::is_sqlstate(error.sqlstate) && !login.is_part_of_secret(error.sqlstate);
    record_end({.kind = login.oauth_discovery() ? EventKind::oauth_discovery : EventKind::auth_failed,
                .reason = Reason::server_denied,
                .sqlstate = has_sqlstate ? error.sqlstate : "",
                .message = words(error.message)});
}

/// Such as psql before it asks for a password, a client that does not accept the authentication
/// offered, or one that does not wait any longer.
void Session::record_client_left() {
    if (record_.front && record_.front->local) {  // a health check: it wanted to see an answer, and has
        phase_ = Phase::over;
        return;
    }
    record_end({.kind = EventKind::auth_failed,
                .reason = Reason::client_left,
                .message = std::string(sentence(Reason::client_left))});
}

tls::Awaitable<> Session::report_server_closed(const std::string& how) {
    observer_->login_denied();
    const std::string state(sqlstate(Reason::server_left));
    const std::string error = std::string(sentence(Reason::server_left)) + (how.empty() ? "" : ": " + how);
    record_end(
        {.kind = EventKind::upstream_failed, .reason = Reason::server_left, .sqlstate = state, .message = error});
    const tls::Advice advice = login_advice(*server_, upstream());
    const std::string more = advice.sentence.empty() ? "" : ". " + advice.sentence + " " + advice.hint;
    log_about(record_, often(Reason::server_left, record_.listener), spdlog::level::err, "{} during login{}", error,
              more);
    const protocol::ErrorResponse response{
        .severity = "FATAL",
        .sqlstate = state,
        .message = error,
        .detail = advice.sentence.empty() ? "During login." : "During login. " + advice.sentence,
        .hint = advice.hint};
    co_await send_error(response);
}

tls::Awaitable<> Session::report_unreached(const UpstreamFailure& failure) {
    connector_.end_turn();  // others need not wait until this client has read why
    if (failure.reason == Reason::login_timeout) {
        const Rejection why{.reason = failure.reason, .response = failure.response};
        co_await reject(why);
        co_return;
    }
    observer_->login_denied();
    record_.upstream_addr = failure.address;
    record_end({.kind = EventKind::upstream_failed,
                .reason = failure.reason,
                .sqlstate = failure.response.sqlstate,
                .message = failure.error,
                .verify_error = failure.verify_error});
    log_about(record_, often(failure.reason, record_.listener), spdlog::level::err, "{}{}{}{}{}",
              failure.response.message, failure.response.detail.empty() ? "" : ": ", failure.response.detail,
              failure.response.hint.empty() ? "" : " Hint: ", failure.response.hint);
    co_await send_error(failure.response);
}

/// Whether a password in clear text would cross no network: on the way to us, nor, where there is a
/// front, on the way to that.
bool Session::password_is_safe() const {
    const Front* const front = record_.front.get();
    if (!front) return client_.encrypted() || is_local(accepted_.address);
    const bool to_front = (front->named_client && is_local(accepted_.address)) || front->ends_tls() || front->local ||
                          (client_.encrypted() && !record_.tls_is_of_front());
    return to_front && (client_.encrypted() || is_local(front->addr));
}

/// What this session's login may do about SCRAM. The certificates are those of its own handshakes,
/// whatever a reload does meanwhile.
protocol::LoginPolicy Session::login_policy(const Reached& reached, TargetSessionAttrs wanted) {
    const AuthRoute& auth = *accepted_.route->auth;
    protocol::LoginPolicy policy;
    policy.scram = auth.scram;
    policy.question = question(wanted);
    policy.crypto = tls::scram_crypto();
    policy.password_is_safe = password_is_safe();
    policy.ask_at_once =
        auth.scram == protocol::ScramMode::automatic && policy.password_is_safe && observer_->wants_password();
    if (reached.tls.leaf) policy.server_end_point = reached.tls.leaf->end_point;
    policy.server_verified = upstream().settings.sslmode == protocol::SslMode::verify_full;
    if (auth.scram == protocol::ScramMode::terminate) {
        // A client whose TLS ends at the front binds to the certificate that it was shown there.
        if (client_.encrypted() && !record_.tls_is_of_front())
            policy.client_end_point = shown_->end_point(client_.ssl());
        const std::string user(negotiation_->startup().find("user"));  // as it came
        policy.user = auth.find(user);
        policy.user_salt = auth.mock_salts.of(user);
    }
    return policy;
}

/// nullopt: not in time, the session was ended meanwhile, or it failed. Nobody waits for a turn at
/// the host because of our processors: derivations have turns of their own.
tls::Awaitable<std::optional<protocol::ScramKey>> Session::derive_key(protocol::KeyDerivation derivation) {
    auto work = [derivation = std::move(derivation)] {
        return tls::salted_password(derivation.password, derivation.salt);
    };
    connector_.leave_turn();
    waiting_ = std::make_shared<tls::Timer>(client_.socket().get_executor());
    const std::string source = source_of_address(accepted_.address);
    Turns::Turn turn = co_await services_.derivation_turns.take(source, deadline_, waiting_);
    std::optional<protocol::ScramKey> key;
    if (turn && !aborted_) {
        auto in_turn = [work = std::move(work), turn = std::move(turn)] { return work(); };
        key = co_await services_.key_derivations.run(std::move(in_turn), deadline_, waiting_);
    }
    waiting_.reset();
    co_return std::move(key);
}

tls::Awaitable<> Session::record_login_fault(const protocol::Login& login) {
    const Rejection why = rejection(
        login.fault(), protocol::printable(protocol::as_utf8(negotiation_->startup().find("user"), max_name)));
    std::string told = why.response.message;
    if (why.reason == Reason::password_failed)
        told += login.knows_user() ? ": wrong password" : ": not in users_file";  // never to the client
    if (!login.authenticated()) login_denied(why.response.sqlstate);
    record_end(
        {.kind = EventKind::auth_failed, .reason = why.reason, .sqlstate = why.response.sqlstate, .message = told});
    const auto kind =
        login.knows_user() ? often(why.reason, record_.listener) : often("unknown_user", record_.listener);
    log_about(record_, kind, spdlog::level::warn, "login refused: {}", told);
    server_.reset();
    if (why.reason == Reason::password_failed) co_await delay_refusal();
    if (aborted_) co_return;
    co_await send_error(why.response);
}

/// The answer to a wrong password comes late when there were others before it.
tls::Awaitable<> Session::delay_refusal() {
    const auto now = Clock::now();
    const auto delay = services_.failed_logins.failed(record_.client_addr, record_.usename, now);
    if (delay.count() == 0) co_return;
    waiting_ = std::make_shared<tls::Timer>(client_.socket().get_executor());
    waiting_->expires_at(std::min(now + delay, deadline_));
    co_await waiting_->async_wait(tls::returning());
    waiting_.reset();
}

void Session::register_key(const Reached& reached, const protocol::Login& login) {
    registration_ = services_.cancels.add(login.key()->pid, login.key()->key,
                                          {.route = accepted_.route->upstream,
                                           .endpoint = reached.endpoint,
                                           .host = reached.host,
                                           .address = reached.address,
                                           .encryption = server_->encrypted() ? Encryption::tls : Encryption::clear,
                                           .client = accepted_.address_group});
}

void Session::established(const protocol::Login& login) {
    phase_ = Phase::established;
    record_.timings.total = tls::since(record_.accepted);
    if (const auto& key = login.key()) record_.backend_pid = key->pid;
    record({.kind = EventKind::connected});
    answers_.reset();
    if (has_waited_) services_.host_news.tell(upstream().settings.name);
    live_ = services_.sessions.add(record_);
    log_about(record_, {}, spdlog::level::debug, "{} connected to {} as {} at {}", record_.ssl ? "TLS" : "clear",
              record_.datname, record_.usename, record_.upstream_addr);
}

}  // namespace proxy
