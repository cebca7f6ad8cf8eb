// Whether servers answer, for /upstreamz: by what logins have seen lately; where there were none,
// or the last one failed, by a connection of our own, one in half a minute at most, whoever and how
// many ask. The newest outcome counts. Where a certain kind of server is wanted
// (target_session_attrs), one that is known to be another serves nobody, however well it answers.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/outages.hpp"
#include "proxy/upstream/resolver.hpp"
#include "proxy/upstream/target_session.hpp"
#include "tls/asio.hpp"

namespace proxy {

/// All on one thread.
class UpstreamCheck {
   public:
    using Clock = std::chrono::system_clock;

    /// How old an answer may be, and how far apart connections of ours are.
    static constexpr std::chrono::seconds interval{30};
    /// For one connection, all addresses together.
    static constexpr std::chrono::seconds patience{10};
    /// Who may wait for that. Others wait for a second, and as many as HttpServer has places; the
    /// next are told at once what is known.
    static constexpr std::size_t max_waiting = 32;
    static constexpr std::size_t max_waiting_shortly = 64;

    /// What the logins of an upstream have come to.
    struct Logins {
        std::optional<Clock::time_point> served{};  ///< nullopt: never, or not as its sslmode demands now
        std::optional<Clock::time_point> failed{};  ///< the last that found no server; nullopt: none did
        std::string error{};                        ///< of that one
    };
    using AskLogins = std::function<Logins(const UpstreamRoute& upstream)>;

    /// `roles`: nullptr where nobody knows any.
    UpstreamCheck(tls::Executor executor, Resolver& resolver, Outages& outages, AskLogins logins,
                  HostRoles* roles = nullptr);
    ~UpstreamCheck() { close(); }

    struct Result {
        std::string upstream;
        bool ok = false;
        std::string text;  ///< for people: why, or why not
    };
    tls::Awaitable<std::vector<Result>> ask(std::vector<std::shared_ptr<const UpstreamRoute>> upstreams);
    /// Connections under way are given up.
    void close();

   private:
    struct Visit;

    std::shared_ptr<Visit> visit(const std::shared_ptr<const UpstreamRoute>& upstream);
    static tls::Awaitable<> connect(std::shared_ptr<Visit> visit);
    Result result(const UpstreamRoute& upstream) const;
    bool is_fresh(const UpstreamRoute& upstream) const;
    Fit fit_of(const Visit& visit) const;
    bool is_learnt_since(const UpstreamRoute& upstream, Clock::time_point when) const;

    tls::Executor executor_;
    Resolver& resolver_;
    Outages& outages_;
    AskLogins logins_;
    HostRoles* const roles_;
    const std::shared_ptr<std::size_t> waiting_ = std::make_shared<std::size_t>(0);
    std::map<std::string, std::shared_ptr<Visit>> visits_;  // the last one of each upstream
};

}  // namespace proxy
