#include "proxy/session/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "proxy/observation/often.hpp"
#include "proxy/observation/session_log.hpp"
#include "proxy/upgrade/predecessors.hpp"
#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;
using protocol::Negotiation;

/// How long a client that was refused may take to read why.
constexpr std::chrono::seconds lingering_time{2};
/// How long one that was refused at accept has for everything, the above included.
constexpr std::chrono::seconds refusal_time{5};

/// RFC 8446, 6: a fatal handshake_failure alert in a TLS 1.0 record, which every client
/// understands.
constexpr std::array<std::uint8_t, 7> handshake_failure_alert{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28};

}  // namespace

Session::Session(Services& services, Prewarm& prewarm, Accepted accepted, tls::Socket socket)
    : services_(services),
      prewarm_(prewarm),
      accepted_(std::move(accepted)),
      client_(std::move(socket), tls::Leg::client),
      connector_(services.resolver, services.outages, &services.login_turns),
      deadline_(Clock::now() + time_to_log_in()) {
    record_.session = accepted_.session;
    record_.listener = accepted_.route->settings.name;
    record_.upstream = upstream().settings.name;
    record_.upstream_sslmode = protocol::to_string(upstream().settings.sslmode);
    record_.client_addr = accepted_.address;
    record_.client_port = accepted_.port;
    record_.accepted = Clock::now();
    // Behind a front the process at the other end is never the client's.
    if (!accepted_.behind_front) record_.process = services_.processes.owner_of(client_.socket().native_handle());
    set_options(client_.socket().native_handle(), {.keepalive = accepted_.route->settings.tcp_keepalive,
                                                   .user_timeout = accepted_.route->settings.tcp_user_timeout});
    observer_.emplace(services_.memories, record_);
    if (accepted_.behind_front) return;  // nothing is known of the client yet
    if (accepted_.rejection) observer_->not_admitted();
    if (services_.captures.any()) [[unlikely]]
        watch_from_start();
}

std::chrono::milliseconds Session::time_to_log_in() const {
    if (!accepted_.rejection) return accepted_.login_timeout;
    return std::min<std::chrono::milliseconds>(refusal_time - lingering_time, accepted_.login_timeout);
}

void Session::watch_from_start() {
    if (!services_.captures.join(tap_, record_, true)) return;
    client_.set_tap(tap_->tap());
    connector_.set_tap(tap_->tap());
}

void Session::join_captures() {
    if (!relay_ || !services_.captures.any()) return;
    services_.captures.join(tap_, record_, false);
    if (!tap_) return;
    client_.set_tap(tap_->tap());
    server_->set_tap(tap_->tap());
    tap_->relay_begins([this] { return relay_->is_between_messages(); });
}

tls::Awaitable<bool> Session::log_in(AskToLogIn ask, AskToEnter enter, AskToWait wait) {
    std::optional<Reason> late;
    may_wait_ = &wait;
    try {
        co_await converse(ask, enter);
    } catch (const tls::StreamError& error) {
        if (error.kind() == tls::StreamError::Kind::timed_out)
            late = error.passed() == tls::Deadline::opening ? Reason::opening_timeout : Reason::login_timeout;
        log_about(record_, {}, spdlog::level::debug, "{}", error.what());
    } catch (const std::exception& error) {
        late = Reason::failed;
        log_about(record_, often(Reason::failed, record_.listener), spdlog::level::err, "{}", error.what());
    }
    connector_.end_turn();
    if (late && !aborted_ && phase_ == Phase::login) co_await reject_late(*late);
    observer_.reset();
    may_wait_ = nullptr;
    if (aborted_ && phase_ == Phase::login) record_cut_off();
    co_return phase_ == Phase::established;
}

void Session::relay(RelayMeter& meter, std::function<void()> on_end) {
    server_->clear_deadline();
    relay_.emplace(client_, *server_, boundary_, live_.figures(), &meter);
    join_captures();
    if (tap_) tap_->relay_begins([this] { return relay_->is_between_messages(); });
    relay_->start(accepted_.route->settings.idle_timeout, std::move(on_end));
}

tls::Awaitable<> Session::reject_late(Reason reason) {
    const Rejection why = accepted_.rejection ? *accepted_.rejection : rejection(reason);
    try {
        co_await reject(why);
    } catch (const std::exception& error) {
        log_about(record_, {}, spdlog::level::debug, "{}", error.what());
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
    // What the client has been told is why, whatever would have ended the session a moment later.
    const Reason reason = result.told ? result.end : aborted_.value_or(result.end);
    // As when it crashes, restarts or is demoted: it may be another kind of server by now. Or the
    // client has asked for a transaction that is read-only: so it is no more than a doubt.
    const bool by_server = reason == Reason::server_closed || reason == Reason::server_reset;
    const bool is_no_primary_now =
        record_.upstream_role == protocol::HostRole::primary && relay_->was_refused_to_write();
    if ((by_server && !relay_->client_said_goodbye()) || is_no_primary_now)
        services_.roles.doubt({.upstream = record_.upstream, .host = {}, .address = record_.upstream_addr},
                              RoleSource::ending);
    const std::string told = result.told ? proxy::farewell(reason).sqlstate : "";
    record({.kind = EventKind::disconnected,
            .reason = reason,
            .sqlstate = told,
            .duration = tls::since(record_.accepted)});
    live_.end(reason, told);
}

void Session::end_if_idle(Reason reason) {
    if (relay_ && !relay_->farewell(reason, false)) relay_->dismiss(reason, false);
}

void Session::abort(Reason reason) {
    aborted_ = reason;
    // Whoever waits for a login is told, and who is relayed where it is known where a message ends.
    if (relay_) relay_->farewell(reason, true);
    if (phase_ == Phase::login && client_hears_messages() && within_message_ == 0) {
        if (observer_) observer_->login_denied();
        client_.send(protocol::serialize(rejection(Reason::shutting_down).response));
    }
    client_.close();
    if (server_) server_->close();
    connector_.abort(std::string(sentence(Reason::shutting_down)));
    if (waiting_) waiting_->cancel();
}

tls::Awaitable<> Session::converse(const AskToLogIn& ask, const AskToEnter& enter) {
    // gcc 12 destroys temporaries of a co_await expression twice when it stands inside a condition
    // or among aggregate arguments (gcc 99576 and kin): hence the named values here and below.
    if (accepted_.behind_front) {
        const bool has_entered = co_await hear_front(enter);
        if (!has_entered) co_return;
    }
    const Opening opening = co_await negotiate();
    if (opening == Opening::over) co_return;
    if (opening == Opening::cancel) {
        co_await forward_cancel(negotiation_->cancel_request());
        co_return;
    }
    if (services_.phase >= proxy::Phase::draining && !is_stranger()) {
        accepted_.rejection = std::make_unique<Rejection>(rejection(Reason::shutting_down));
    }
    if (!accepted_.rejection) {
        if (auto refused = ask(login_request())) accepted_.rejection = std::make_unique<Rejection>(std::move(*refused));
    }
    if (accepted_.rejection) {
        co_await wait_for_its_past();
        co_await reject(*accepted_.rejection);
        co_return;
    }
    co_await log_in_upstream();
    if (phase_ != Phase::established) co_return;
    negotiation_.reset();
    from_client_.reset();
}

/// By the names as they came.
LoginRequest Session::login_request() const {
    const protocol::StartupMessage& startup = negotiation_->startup();
    return {.route = *accepted_.route,
            .user = startup.find("user"),
            .database = startup.is_physical_replication() ? std::string_view() : startup.database(),
            .now = Clock::now()};
}

// --- Cancel

tls::Awaitable<> Session::forward_cancel(const protocol::CancelRequest& request) {
    phase_ = Phase::cancel;
    const auto now = Clock::now();
    auto target = services_.cancels.find(request);
    // Nobody guesses a long key; and whose session it is must be able to cancel, whatever else
    // comes from its address: beside an application every client has that of the host.
    const bool certain = target && (!target->can_be_guessed || target->client == accepted_.address_group);
    const bool limited = !certain && !services_.cancel_misses.may_ask(accepted_.address_group, now);
    if (limited) target.reset();
    CancelOutcome elsewhere;
    if (!target && services_.predecessors) {
        CancelQuestion question{.request = request, .from = accepted_.address_group, .limited = limited};
        elsewhere = co_await services_.predecessors->cancel(std::move(question));
    }
    const bool matched = target.has_value() || elsewhere.matched;
    if (!matched && !limited && services_.cancel_misses.missed(accepted_.address_group, now))
        log_about(record_, {}, spdlog::level::warn,
                  "too many cancel requests that match no session: for now only those for sessions of this address are "
                  "obeyed without a limit");
    std::string error;
    if (elsewhere.matched) {
        record_.upstream_addr = elsewhere.address;
        error = std::move(elsewhere.error);
    } else if (target) {
        record_.upstream_addr = target->address;
        error = co_await deliver_cancel(connector_, *target, request, server_);
        if (!error.empty()) {
            log_about(record_, often("cancel", record_.listener), spdlog::level::err,
                      "cancel request not delivered to {}: {}", target->address, error);
        }
    }
    record_end({.kind = EventKind::cancel,
                .message = std::move(error),
                .ssl = client_.encrypted(),
                .matched = matched,
                .limited = limited && !matched});
}

// --- Ends

/// Whatever the reason: sslmode=prefer comes back in clear after any.
tls::Awaitable<> Session::reject(const Rejection& rejection) {
    observer_->login_denied();
    record_end({.kind = EventKind::rejected, .reason = rejection.reason, .sqlstate = rejection.response.sqlstate});
    const std::string hint = record_.looks_like ? foreign_hint(*record_.looks_like, accepted_.route->settings,
                                                               accepted_.address, record_.front != nullptr)
                                                : std::string();
    const std::string& detail = rejection.response.detail;  // which of the limits it was, say
    log_about(record_, often(rejection.reason, record_.listener), spdlog::level::warn, "refused: {}{}{}{}{}",
              rejection.response.message, detail.empty() ? "" : ": ", detail, hint.empty() ? "" : ": ", hint);
    co_await send_error(rejection.response);
}

/// Sends the client an ErrorResponse, or where it cannot hear one an alert.
tls::Awaitable<> Session::send_error(const protocol::ErrorResponse& response) {
    client_.set_deadline(Clock::now() + lingering_time, tls::Deadline::linger);
    if (response.sqlstate.empty() || within_message_ > 0) {
        // Nobody is told: what closes here may take whatever we say for something else.
    } else if (client_hears_messages()) {
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
    // What began during the login does not have it, and is told how it ended.
    if (!relay_ && services_.captures.any()) [[unlikely]]
        services_.captures.join(tap_, record_, false);
    if (tap_) tap_->record(event);
    services_.recorder.record(std::move(event));
}

/// To the server itself it may have TLS, and loses it because of us: nobody would notice.
void Session::warn_of_our_certificate() {
    const std::string certificate = observer_->take_refused_certificate();
    if (certificate.empty()) return;
    const bool certain = std::find(record_.evidence.begin(), record_.evidence.end(),
                                   protocol::Evidence::clear_startup_after_refusal) != record_.evidence.end();
    log_about(
        record_, often("certificate_refused", record_.listener), spdlog::level::warn,
        "{} in clear text just after it refused our certificate {}: it does not trust it. Connected to the "
        "server directly it may have TLS. Give it the CA of that certificate, or set cert_file to one that it trusts",
        certain ? "went on" : "a client came (the same, it seems)", certificate);
}

}  // namespace proxy
