// Session: which kind of server it has met, and what it does while there is none that it wants.
#include <algorithm>
#include <array>
#include <utility>

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

/// A value: it is worth trying again. Otherwise the client has been told.
tls::Awaitable<std::optional<HostNews::Woken>> Session::wait_for_host(const UpstreamFailure& failure, bool reserved) {
    const bool may_pass = failure.reason == Reason::server_not_reached || failure.reason == Reason::no_wanted_host;
    if (!upstream().settings.wait_for_host || !may_pass || Clock::now() >= reach_by()) {
        co_await report_unreached(failure);
        co_return std::nullopt;
    }
    has_waited_ = true;
    const bool in_vain = !failure.address.empty();  // what was promising was tried
    const std::optional<HostNews::Woken> woken = co_await wait_for_news(reserved, in_vain);
    if (aborted_) co_return std::nullopt;
    if (!woken) {
        record_client_left();
        co_return std::nullopt;
    }
    if (Clock::now() >= reach_by()) {
        co_await report_unreached(failure);
        co_return std::nullopt;
    }
    co_return woken;
}

/// Until it is worth trying again, or the time is over; nullopt: the client left. Whoever is told
/// something afterwards is not watched any more. `in_vain`: what is known has just been of no use,
/// and is not believed at once again.
tls::Awaitable<std::optional<HostNews::Woken>> Session::wait_for_news(bool reserved, bool in_vain) {
    waiting_ = std::make_shared<tls::Timer>(client_.socket().get_executor());
    const ClientWatch client(client_, *from_client_, [timer = waiting_] { timer->cancel(); });
    HostNews::Woken woken = HostNews::Woken::by_news;
    HostNews::Reserved rules;
    if (reserved) {
        rules.is_promising = [this, doubts = in_vain]() mutable {
            return !std::exchange(doubts, false) && is_promising();
        };
        rules.others_ask = [this] { return monitor_answers(); };
    }
    if (!client.left())
        woken = co_await services_.host_news.wait(upstream().settings.name, reach_by(), waiting_, std::move(rules));
    waiting_.reset();
    if (client.left()) co_return std::nullopt;
    co_return woken;
}

/// What decides whether a login can be repeated, as far as it is known before it.
std::string Session::kind_of_login() const {
    return upstream().settings.name + '\0' + record_.listener + '\0' + record_.usename + '\0' +
           (client_.encrypted() ? "tls" : "clear");
}

/// It would probably be lost at a server of another kind than is wanted, because it cannot be
/// repeated at the next one: by what others of its kind did, or else as SCRAM mostly goes.
bool Session::is_reserved() const {
    const TargetSessionAttrs wanted = upstream().settings.target_session_attrs;
    const bool refuses = wanted != TargetSessionAttrs::any && wanted != TargetSessionAttrs::prefer_standby;
    if (!upstream().settings.wait_for_host || !refuses || answers_) return false;
    if (const auto known = services_.host_news.can_be_repeated(kind_of_login())) return !*known;
    const protocol::ScramMode scram = accepted_.route->auth->scram;
    return scram == protocol::ScramMode::passthrough ||
           (scram == protocol::ScramMode::automatic && !client_.encrypted());
}

/// There is a host that answers, as far as is known, and is what is wanted or may be. Of one that
/// is doubtful, one caller at a time hears that.
bool Session::is_promising() {
    const config::Upstream& settings = upstream().settings;
    const auto now = Clock::now();
    for (const config::Address& host : settings.hosts) {
        const std::string key = config::to_string(host);
        const bool is_new = services_.roles.of(settings.name, key).seen == std::chrono::system_clock::time_point{};
        if (is_new && !services_.outages.unreached(key, settings.name)) return true;
    }
    for (const auto& [address, known] : services_.roles.addresses(settings.name)) {
        if (services_.outages.unreached(address, settings.name)) continue;
        const auto read_only = services_.roles.read_only(settings.name, address, login_as(), now);
        if (likely_fit(settings.target_session_attrs, known.role, read_only) != Fit::yes) continue;
        if (!known.doubtful || services_.roles.may_ask(settings.name, address, now)) return true;
    }
    return false;
}

/// So that no client need be lost to find out.
bool Session::monitor_answers() const {
    const config::Upstream& settings = upstream().settings;
    if (settings.monitor_user.empty()) return false;
    const auto lately = std::chrono::system_clock::now() - 3 * settings.monitor_interval - std::chrono::seconds(1);
    const auto known = services_.roles.addresses(settings.name);
    return std::any_of(known.begin(), known.end(), [&](const auto& one) {
        return one.second.source == RoleSource::monitor && one.second.seen > lately;
    });
}

/// What a client is told whose time is over before it was worth a login.
UpstreamFailure Session::no_host_yet() const {
    const config::Upstream& settings = upstream().settings;
    UpstreamFailure failure;
    failure.reason = Reason::no_wanted_host;
    failure.error = std::string(why_unfit(settings.target_session_attrs)) + ", wherever one answers";
    failure.response = {
        .severity = "FATAL",
        .sqlstate = std::string(sqlstate(failure.reason)),
        .message = std::string(sentence(failure.reason)) + " \"" + settings.name + "\": " + failure.error,
        .detail = {},
        .hint = {}};
    return failure;
}

/// Asked before the client hears that it is let in. prefer-standby refuses nobody: a primary will
/// do where nothing else is left, or where the login serves no other server.
bool Session::is_wanted(const protocol::Login& login, const Reached& reached, const Attempts& attempts) {
    learn_role(login, reached);
    if (upstream().settings.wait_for_host)
        services_.host_news.learn_repeatable(kind_of_login(), login.can_be_repeated());
    const TargetSessionAttrs wanted = attempts.wanted();
    if (fit(wanted, login.host_role(), login.read_only()) == Fit::yes) return true;
    if (wanted != TargetSessionAttrs::prefer_standby) return false;
    return !login.can_be_repeated() || !attempts.has_more();
}

HostRoles::Login Session::login_as() const {
    return {.user = record_.usename,
            .database = record_.datname,
            .may_choose_read_only = negotiation_->startup().may_choose_read_only(),
            .source = source_of_address(accepted_.address)};
}

void Session::learn_role(const protocol::Login& login, const Reached& reached) {
    const HostRoles::Server server{
        .upstream = upstream().settings.name, .host = reached.configured, .address = reached.address};
    const auto now = Clock::now();
    services_.roles.learn(server, login.host_role(), RoleSource::login, now);
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
            "pgairlock waits for a host that is what target_session_attrs wants, and has found "
            "out by this login that this one is not. A password that was proved to one server "
            "cannot be proved to another.";
        refusal.response.hint = "Try again: the next login waits.";
    }
    record_.auth_method = login.auth_method();
    record_.auth_bridge = login.auth_bridge();
    record_.gs2_flag = login.channel_binding();
    record_.upstream_role = login.host_role();
    co_await report_unreached(refusal);
    co_return false;
}

}  // namespace proxy
