// Which hosts a cluster has besides those that are configured, by what its instances tell
// (`discover`). What they tell is no proof: a host is used once it has said itself that it is the
// instance of that name, and that the one which told of it is its neighbour. Knows no socket, and
// no clock but its arguments.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "protocol/host_state.hpp"

namespace proxy {

class Discovery {
   public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// What nobody has told of for so long, while servers answered, is not used any more.
    static constexpr std::chrono::seconds memory{300};
    /// A cluster has sixteen instances; twice as many are known while they are replaced. Further
    /// ones are left out.
    static constexpr std::size_t max_hosts = 32;

    /// `domain`: of the names of instances, as config::discovery_domain() has it.
    Discovery(std::string domain, const std::vector<config::Address>& configured);

    /// One answer to the monitor's questions, which is the last one of its server.
    struct Answer {
        std::string host;           ///< that was asked, "orders-1.abc123...:5432"
        std::uint16_t port = 5432;  ///< its own, and so its neighbours'
        std::string address;        ///< "10.0.0.1:5432"
        bool writer = false;        ///< it is not in recovery
        std::string instance;       ///< its own name in Aurora; empty: it is none, or does not say
        std::span<const protocol::AuroraInstance> cluster;
    };
    /// Of all servers that answer now, but not of Aurora's that do not say who they are. Writers
    /// are believed, and readers where no writer answers: after a failover those are behind. Nobody
    /// is whose host has only been told of.
    void take(std::span<const Answer> answers, TimePoint now);
    /// The addresses of one that was found, "10.0.0.1:5432".
    void resolved(const std::string& host, std::set<std::string> addresses);
    /// It is not to be used, whatever it says, until it has other addresses.
    void refuse(const std::string& host);

    /// To be looked at: all that somebody has told of.
    std::vector<config::Address> known() const;
    /// To be used.
    std::vector<config::Address> confirmed() const;
    /// It was found, and is not configured.
    bool knows(const std::string& host) const { return found_.contains(host); }

   private:
    struct Found {
        config::Address host;
        std::string instance;
        std::string told_by;  // an instance
        TimePoint told{};
        std::set<std::string> addresses{};
        bool confirmed = false;
    };
    bool is_trusted(const Answer& answer) const;
    void hear(const Answer& teller, TimePoint now);
    static void judge(Found& found, std::span<const Answer> answers);

    const std::string domain_;
    std::set<std::string> configured_;    // names, in lower case
    std::map<std::string, Found> found_;  // by host
    TimePoint taken_{};
};

}  // namespace proxy
