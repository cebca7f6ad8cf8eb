#include "proxy/upstream/monitored_node.hpp"

#include <algorithm>

#include "proxy/upstream/outages.hpp"

namespace proxy {
namespace {

using protocol::OwnFailure;

}  // namespace

MonitoredNode::MonitoredNode(std::shared_ptr<const UpstreamRoute> route, std::shared_ptr<DerivedKeys> keys,
                             HostRoles::Server s, Target t)
    : server(std::move(s)), target(std::move(t)), route_(std::move(route)), keys_(std::move(keys)) {}

tls::Awaitable<MonitoredNode::Answer> MonitoredNode::ask(Resolver& resolver, Outages& outages) {
    Answer answer;
    busy_ = true;
    try {
        co_await this->answer(answer, resolver, outages);
    } catch (const std::exception& ours) {
        connecting_ = nullptr;  // it is gone
        session_.reset();
        answer.failure = OwnFailure{.sqlstate = {}, .text = ours.what()};
    }
    busy_ = false;
    if (left_ && session_) co_await session_->leave();
    not_before_ = answer.refused ? Clock::now() + HostMonitor::refused_interval : Clock::time_point{};
    co_return std::move(answer);
}

tls::Awaitable<> MonitoredNode::answer(Answer& answer, Resolver& resolver, Outages& outages) {
    if (session_) {
        answer.failure = co_await put_questions(answer);
        if (session_->is_open()) co_return;
        session_.reset();
        answer.ended = true;
        if (left_) co_return;
    }
    answer.failure = co_await connect(answer, resolver, outages);
    if (answer.failure || left_) co_return;
    answer.failure = co_await put_questions(answer);
    if (!session_->is_open()) session_.reset();
}

/// To a session that is logged in, as sslmode has it: where TLS is not accepted, clear text only if
/// that may be.
tls::Awaitable<std::optional<OwnFailure>> MonitoredNode::connect(Answer& answer, Resolver& resolver, Outages& outages) {
    const config::Upstream& settings = route_->settings;
    std::optional<OwnFailure> failure;
    for (const Encryption encryption : encryption_order(settings.sslmode)) {
        answer.refused = false;  // of the last attempt alone: what came before it was refused for its encryption
        const auto began = Clock::now();
        const auto until = deadline();
        Connector connector(resolver, outages);
        connecting_ = &connector;
        Connected connected = co_await connector.connect_address(*route_, target.endpoint, target.host, encryption);
        connecting_ = nullptr;
        if (left_) co_return OwnFailure{};
        if (const auto* unreached = std::get_if<UpstreamFailure>(&connected)) {
            failure =
                OwnFailure{.sqlstate = {},
                           .text = unreached->verify_error.empty() ? unreached->error
                                                                   : "certificate refused: " + unreached->verify_error};
            if (unreached->reason != Reason::server_not_reached) continue;
            if (!unreached->is_ours && !kept)
                outages.failed({.key = server.address,
                                .upstream = server.upstream,
                                .host = server.host,
                                .error = unreached->error},
                               Clock::now());
            co_return std::move(failure);
        }
        outages.answered(server.address, std::chrono::ceil<std::chrono::microseconds>(Clock::now() - began));
        session_ = std::make_unique<OwnSession>(std::move(std::get<VerifiedConnection>(connected)));
        // With a name: gcc 12 destroys what stands among a co_await's arguments twice (gcc 99576).
        OwnCredentials who{.user = settings.monitor_user,
                           .database = target.database,
                           .application_name = target.application_name,
                           .password = target.password};
        failure = co_await session_->log_in(std::move(who), settings.sslmode, until, keys_.get());
        if (!failure) {
            if (session_->reached().tls.leaf) answer.subject = session_->reached().tls.leaf->subject;
            co_return std::nullopt;
        }
        session_.reset();
        // Whoever may not come in now may not in a second either.
        answer.refused = failure->sqlstate.starts_with("28");
        if (answer.refused) continue;
        if (failure->sqlstate.empty() && Clock::now() >= until && !kept)
            outages.failed({.key = server.address,
                            .upstream = server.upstream,
                            .host = server.host,
                            .error = "timeout expired: no answer to a login",
                            .seen = Outages::Seen::logging_in},
                           Clock::now());
        break;
    }
    co_return std::move(failure);
}

tls::Awaitable<std::optional<OwnFailure>> MonitoredNode::put_questions(Answer& answer) {
    constexpr protocol::AnswerBounds one_row{.rows = 1};
    constexpr protocol::AnswerBounds cluster{.rows = protocol::max_aurora_instances};
    OwnSession::Answer said = co_await session_->ask(protocol::host_state_query, one_row, deadline());
    if (said.failure) co_return std::move(said.failure);
    const auto state = protocol::host_state(said.rows);
    if (!state) co_return OwnFailure{.sqlstate = "08P01", .text = "the server's answer is none that is known"};
    answer.state = *state;
    if (!state->is_aurora) co_return std::nullopt;
    // What it tells of its neighbours is of no weight for what it is itself.
    OwnSession::Answer told = co_await session_->ask(protocol::aurora_query, cluster, deadline());
    if (!told.failure) answer.cluster = protocol::aurora_instances(told.rows).value_or(answer.cluster);
    co_return std::nullopt;
}

tls::Awaitable<MonitoredNode::Listing> MonitoredNode::list_sessions() {
    Listing listing;
    busy_ = true;
    try {
        co_await list_sessions(listing);
    } catch (const std::exception& ours) {
        session_.reset();
        listing.failure = OwnFailure{.sqlstate = {}, .text = ours.what()};
    }
    busy_ = false;
    if (left_ && session_) co_await session_->leave();
    co_return std::move(listing);
}

tls::Awaitable<> MonitoredNode::list_sessions(Listing& listing) {
    if (!session_) {
        listing.failure = OwnFailure{.sqlstate = {}, .text = "there is no session"};
        co_return;
    }
    // Questions about its role wait for this one: not for as long as they may take themselves.
    const auto until = std::min(deadline(), Clock::now() + list_time);
    OwnSession::Answer said =
        co_await session_->ask(protocol::session_list_query, protocol::session_list_bounds, until);
    listing.failure = std::move(said.failure);
    if (!listing.failure) {
        auto list = protocol::session_list(said.rows);
        if (list) listing.list = std::move(*list);
        if (!list) listing.failure = OwnFailure{.sqlstate = "08P01", .text = "the list of its sessions is none"};
    }
    if (session_->is_open()) co_return;
    session_.reset();
    listing.ended = Clock::now() < until;
}

tls::Awaitable<> MonitoredNode::leave() {
    left_ = true;
    if (connecting_) connecting_->abort("not wanted any more");
    if (busy_ && session_) session_->close();
    if (!busy_ && session_) co_await session_->leave();
}

}  // namespace proxy
