// Session: which kind of server it has met, and what it does while there is none that it wants.
#include <algorithm>
#include <array>

#include "proxy/session/client_watch.hpp"
#include "proxy/session/session.hpp"

namespace proxy {
namespace {

using Clock = std::chrono::steady_clock;

/// What is left of client_login_timeout, at most, to tell a client that has waited in vain why.
constexpr std::chrono::milliseconds time_to_say_why{500};

constexpr std::array<std::uint8_t, 5> terminate_message{'X', 0, 0, 0, 4};

}  // namespace

/// Servers are tried until then.
Clock::time_point Session::reach_by() const {
    if (!upstream().settings.wait_for_host) return deadline_;
    return deadline_ - std::min(time_to_say_why, accepted_.login_timeout / 10);
}

/// True: it is worth trying again. Otherwise the client has been told.
tls::Awaitable<bool> Session::wait_for_host(const UpstreamFailure& failure) {
    const bool may_pass = failure.reason == Reason::server_not_reached || failure.reason == Reason::no_wanted_host;
    if (!upstream().settings.wait_for_host || !may_pass || Clock::now() >= reach_by() || !(*may_wait_)()) {
        co_await report_unreached(failure);
        co_return false;
    }
    has_waited_ = true;
    const auto start = Clock::now();
    const bool left = co_await client_left_before_news();
    record_.timings.host_wait += tls::since(start);
    if (aborted_) co_return false;
    if (left) {
        record_client_left();
        co_return false;
    }
    if (Clock::now() >= reach_by()) {
        co_await report_unreached(failure);
        co_return false;
    }
    if (services_.phase >= proxy::Phase::draining) {
        const Rejection why = rejection(Reason::shutting_down);
        co_await reject(why);
        co_return false;
    }
    co_return true;
}

/// Until it is worth trying again, or the time is over. Whoever is told something afterwards is not
/// watched any more.
tls::Awaitable<bool> Session::client_left_before_news() {
    waiting_ = std::make_shared<tls::Timer>(client_.socket().get_executor());
    const ClientWatch client(client_, *from_client_, [timer = waiting_] { timer->cancel(); });
    const auto turn = looks() == HostRoles::Looks::first ? HostNews::Turn::of_all : HostNews::Turn::of_the_last;
    if (!client.left()) co_await services_.host_news.wait(upstream().settings.name, reach_by(), waiting_, turn);
    waiting_.reset();
    co_return client.left();
}

/// What decides whether a login can be repeated, as far as it is known before it.
std::string Session::kind_of_login() const {
    return record_.listener + '\0' + record_.usename + '\0' + (client_.encrypted() ? "tls" : "clear");
}

/// A login that cannot be repeated is lost at a server of another kind. Which one will be is known
/// from the last of its kind, or else as SCRAM mostly goes.
HostRoles::Looks Session::looks() const {
    const TargetSessionAttrs wanted = upstream().settings.target_session_attrs;
    const bool refuses = wanted != TargetSessionAttrs::any && wanted != TargetSessionAttrs::prefer_standby;
    if (!upstream().settings.wait_for_host || !refuses || answers_) return HostRoles::Looks::first;
    const protocol::ScramMode scram = accepted_.route->auth->scram;
    const bool is_passed_through =
        scram == protocol::ScramMode::passthrough || (scram == protocol::ScramMode::automatic && !client_.encrypted());
    const auto known = services_.host_news.can_be_repeated(record_.upstream, kind_of_login());
    if (known.value_or(!is_passed_through)) return HostRoles::Looks::first;
    return has_waited_ ? HostRoles::Looks::last : HostRoles::Looks::never;
}

/// Asked before the client hears that it is let in. prefer-standby refuses nobody: a primary will
/// do where nothing else is left, or where the login serves no other server.
bool Session::is_wanted(const protocol::Login& login, const Reached& reached, const Attempts& attempts) {
    learn_role(login, reached);
    if (upstream().settings.wait_for_host)
        services_.host_news.learn_repeatable(record_.upstream, kind_of_login(), login.can_be_repeated());
    const TargetSessionAttrs wanted = attempts.wanted();
    if (fit(wanted, login.host_role(), login.read_only()) == Fit::yes) return true;
    if (wanted != TargetSessionAttrs::prefer_standby) return false;
    return !login.can_be_repeated() || !attempts.has_more();
}

HostRoles::Login Session::login_as() const {
    return {.user = record_.usename,
            .database = record_.datname,
            .may_choose_read_only = negotiation_->startup().may_choose_read_only(),
            .looks = looks(),
            .source = source_of_address(accepted_.address)};
}

void Session::learn_role(const protocol::Login& login, const Reached& reached) {
    const HostRoles::Server server{
        .upstream = upstream().settings.name, .host = reached.configured, .address = reached.address};
    const auto now = Clock::now();
    services_.roles.learn(server, login.host_role(), RoleSource::login, now);
    services_.roles.trust_source(server.upstream, source_of_address(accepted_.address), now);
    // Of a standby that goes without saying, and it ends with the standby.
    if (login.read_only() && login.host_role() != protocol::HostRole::standby)
        services_.roles.learn_read_only(server, login_as(), *login.read_only(), now);
}

/// Leaves it as libpq does. True: the login goes on at another server, and the client knows nothing
/// of this one.
tls::Awaitable<bool> Session::leave_unwanted(protocol::Login& login, Attempts& attempts, const Reached& reached) {
    registration_ = {};
    try {
        co_await server_->write(terminate_message);
    } catch (const tls::StreamError&) {
        // It has left by itself.
    }
    if (auto answers = login.take_answers()) {
        answers_ = std::make_unique<protocol::ClientAnswers>(std::move(*answers));
        connector_.unwanted(attempts, reached);
        server_.reset();
        co_return true;
    }
    connector_.end_turn();
    UpstreamFailure refusal = connector_.refusal(attempts, upstream(), reached);
    if (upstream().settings.wait_for_host) {
        refusal.response.detail =
            "This login has found it out, and a password that was proved to one server cannot "
            "be proved to another.";
        refusal.response.hint = "Try again: the next login waits until there is a host that is wanted.";
    }
    record_.auth_method = login.auth_method();
    record_.auth_bridge = login.auth_bridge();
    record_.gs2_flag = login.channel_binding();
    record_.upstream_role = login.host_role();
    co_await report_unreached(refusal);
    co_return false;
}

}  // namespace proxy
