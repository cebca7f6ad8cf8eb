// Metrics, health checks and the dashboard over HTTP ([admin] http), on a thread that serves no
// session. Nothing that is wrong with it keeps the proxy from serving.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/dashboard/dashboard_site.hpp"
#include "proxy/http/http_guard.hpp"
#include "proxy/http/http_server.hpp"
#include "proxy/http/upstream_check.hpp"
#include "proxy/metrics/carried_metrics.hpp"
#include "proxy/server/admission.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/server/listening_sockets.hpp"
#include "proxy/server/metrics_page.hpp"
#include "proxy/server/watchdog.hpp"
#include "proxy/session/phase.hpp"

namespace proxy {

/// Whether threads come round, by being asked now and then.
class Liveness {
   public:
    using Clock = std::chrono::steady_clock;

    /// A thread that has not answered for so long hangs.
    static constexpr std::chrono::seconds patience{30};

    void watch(std::vector<Pulse> pulses);
    /// How many hang. Each call asks those that have answered.
    std::size_t silent(Clock::time_point now);

   private:
    struct Thread {
        Pulse pulse;
        Clock::time_point asked{};
    };
    std::vector<Thread> threads_;
};

class HttpService {
   public:
    /// All of it outlives us.
    struct Sources {
        MetricsPage::Sources metrics;
        const std::atomic<Phase>& phase;
        const Admission& admission;
        Resolver& resolver;
        Outages& outages;
        HostRoles& roles;
        asio::io_context& control;  ///< of the thread that accepts
        const LiveSessions& sessions;
        std::string name;  ///< as in audit lines
        std::string state_dir;
        std::function<CarriedMetrics()> carried{};  ///< what others counted before (an upgrade)
    };

    explicit HttpService(Sources sources);
    ~HttpService() { close(); }

    /// Binds, and answers from then on. What keeps it from that is logged. The workers are there.
    /// `passed`: listens already, if it is what the configuration names; else it is closed.
    void open(std::shared_ptr<const Snapshot> snapshot, ListeningSockets::Passed passed = {}) noexcept;
    /// A copy of what listens, for the process that follows us; without a descriptor: nothing does.
    ListeningSockets::Passed passed_on() const;
    /// The process before us has let go of what it passed to open(), by that name: its path is ours
    /// to remove, and is removed now if it is not ours.
    void take_over(const std::string& passed);
    /// That process has it: no more connections here.
    void leave_to_another();
    /// From now on this configuration is asked about.
    void use(std::shared_ptr<const Snapshot> snapshot);
    /// Every listener accepts.
    void started() noexcept { started_ = true; }
    /// Before the workers end.
    void close();

   private:
    /// What a reload replaces.
    struct State {
        std::shared_ptr<const Snapshot> snapshot;
        HttpGuard guard;
    };

    void run();
    std::shared_ptr<const State> state() const;
    tls::Awaitable<HttpResponse> answer(const HttpRequest& request);
    HttpResponse livez();
    HttpResponse readyz(const State& state) const;
    tls::Awaitable<HttpResponse> upstreamz(std::shared_ptr<const State> state, bool in_detail);
    HttpResponse metrics(const State& state, const HttpRequest& request);
    void open_dashboard();
    void end_dashboard() noexcept;

    Sources sources_;
    MetricsPage page_;
    Liveness liveness_;
    std::atomic<bool> started_{false};
    bool needs_token_ = false;
    mutable std::mutex mutex_;
    std::shared_ptr<const State> state_;
    asio::io_context io_{1};
    UpstreamCheck upstreams_;
    HttpServer server_;
    std::shared_ptr<Listener> socket_;
    std::string configured_;                            // where that is
    std::shared_ptr<dashboard::RunningProxy> running_;  // the dashboard's thread's as well, which may outlive us
    std::unique_ptr<dashboard::DashboardSite> dashboard_;
    std::thread thread_;
};

}  // namespace proxy
