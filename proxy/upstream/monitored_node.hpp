// One address that HostMonitor asks: the session of our own that is kept to it, and one question
// after the other.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/host_state.hpp"
#include "protocol/session_list.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/own_session.hpp"

namespace proxy {

/// All on one thread.
class MonitoredNode {
   public:
    using Clock = std::chrono::steady_clock;

    struct Target {
        asio::generic::stream_protocol::endpoint endpoint;
        std::string host;                   ///< the name that its certificate is verified against
        std::uint16_t port = 0;             ///< of the name
        bool discovered = false;            ///< it is not configured
        std::string database = "postgres";  ///< every server has it
        std::string application_name = "pgairlock monitor";
        protocol::Buffer password{};
    };
    /// `keys`: of the target's password.
    MonitoredNode(std::shared_ptr<const UpstreamRoute> route, std::shared_ptr<DerivedKeys> keys,
                  HostRoles::Server server, Target target);

    struct Answer {
        std::optional<protocol::OwnFailure> failure;
        bool refused = false;  ///< the failure is a login that was refused, by the server or by us
        bool ended = false;    ///< a session that was there has ended, whatever came after it
        std::string subject;   ///< of the certificate of a new session; empty: none, or no new one
        protocol::HostState state;
        std::vector<protocol::AuroraInstance> cluster;
    };
    /// Through the session that is there, else through a new one, each within connect_timeout.
    tls::Awaitable<Answer> ask(Resolver& resolver, Outages& outages);
    /// What the server lists of its sessions, within list_time. Only between two of the above.
    static constexpr std::chrono::seconds list_time{2};
    struct Listing {
        std::optional<protocol::OwnFailure> failure;
        bool ended = false;  ///< the session that was there has ended, and not because it took too long
        protocol::SessionList list;
    };
    tls::Awaitable<Listing> list_sessions();
    /// It is not being asked, and a refusal is long enough ago.
    bool is_due(Clock::time_point now) const noexcept { return !busy_ && !left_ && now >= not_before_; }
    /// Ends what is under way, and tells the server.
    tls::Awaitable<> leave();
    bool has_left() const noexcept { return left_; }
    bool has_session() const noexcept { return session_ != nullptr; }

    const HostRoles::Server server;
    const Target target;
    MonitoredHost last;                ///< HostMonitor's
    Clock::time_point next_listing{};  ///< likewise
    Clock::time_point asked{};         ///< likewise: when it was asked about its role last
    Clock::time_point seen{};          ///< likewise: when its name led to it last
    bool kept = false;                 ///< likewise: its name led elsewhere when it was looked up last

   private:
    tls::Awaitable<> answer(Answer& answer, Resolver& resolver, Outages& outages);
    tls::Awaitable<std::optional<protocol::OwnFailure>> connect(Answer& answer, Resolver& resolver, Outages& outages);
    tls::Awaitable<std::optional<protocol::OwnFailure>> put_questions(Answer& answer);
    tls::Awaitable<> list_sessions(Listing& listing);
    Clock::time_point deadline() const { return Clock::now() + route_->settings.connect_timeout; }

    const std::shared_ptr<const UpstreamRoute> route_;
    const std::shared_ptr<DerivedKeys> keys_;
    std::unique_ptr<OwnSession> session_;
    Connector* connecting_ = nullptr;
    Clock::time_point not_before_{};
    bool busy_ = false;
    bool left_ = false;
};

}  // namespace proxy
