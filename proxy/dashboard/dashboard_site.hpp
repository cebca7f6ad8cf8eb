// The dashboard: which path is answered by what. Of the running proxy, or of inventories alone.
// Everything on the server's thread, which waits for nothing: what takes time is made by a Survey.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proxy/dashboard/event_streams.hpp"
#include "proxy/dashboard/live_source.hpp"
#include "proxy/dashboard/now_history.hpp"
#include "proxy/dashboard/survey.hpp"
#include "proxy/http/http_message.hpp"

namespace proxy::dashboard {

class DashboardSite {
   public:
    /// Between two looks for events, while somebody reads them.
    static constexpr std::chrono::milliseconds event_interval{500};
    /// Between two overviews of a fleet.
    static constexpr std::chrono::seconds fleet_interval{10};
    static constexpr std::chrono::seconds keep_alive_interval{15};
    /// Audit events that whoever connects is told first.
    static constexpr std::size_t first_events = 100;
    /// And at most at once later: what is more, is left out, and that is told.
    static constexpr std::size_t max_events = 200;
    /// Nor are they told at once in more bytes than this: half of what may wait for a reader.
    static constexpr std::size_t max_event_bytes = HttpStream::max_waiting / 2;
    /// An answer about sessions serves all who ask within so long.
    static constexpr std::chrono::seconds sessions_age{1};
    /// Nobody has asked for it within so long: it may be 10 MB.
    static constexpr std::chrono::seconds sessions_kept{10};
    /// Whether inventories answer is waited for no longer, where that is known soon.
    static constexpr std::chrono::seconds readiness_wait{3};

    /// `live`: nullptr: a fleet.
    DashboardSite(tls::Executor executor, std::shared_ptr<Survey> survey, std::unique_ptr<LiveSource> live);

    /// From now on it is counted what happens.
    void begin();
    void close();

    /// nullopt: no path of ours.
    tls::Awaitable<std::optional<HttpResponse>> answer(const HttpRequest& request);
    /// /readyz of a fleet: whether inventories answer. Nobody is told which they are.
    tls::Awaitable<HttpResponse> readyz();
    /// What metrics are told of clients; nullopt: not known now.
    std::optional<Week> week() const;

   private:
    using Clock = std::chrono::steady_clock;

    tls::Awaitable<> run();
    void tick();
    void say_events();
    void say_versions();
    std::optional<HttpResponse> page(const std::string& path) const;
    boost::json::object overview(bool whole_history);
    std::string overview_text(bool whole_history);
    std::vector<std::string> unknown(const Findings& findings) const;
    boost::json::object versions();
    HttpResponse surveyed(const Versioned Findings::*which);
    tls::Awaitable<HttpResponse> sessions(std::size_t most);
    HttpResponse events(const HttpRequest& request);
    /// The last `most` of the events behind that number, as text, and the number of the last one.
    std::string events_behind(std::uint64_t number, std::size_t most, std::uint64_t& last) const;

    tls::Executor executor_;
    const std::shared_ptr<Survey> survey_;
    const std::unique_ptr<LiveSource> live_;
    NowHistory history_;
    EventStreams streams_;
    tls::Timer timer_;
    bool closed_ = false;
    Clock::time_point sampled_{}, said_{}, kept_alive_{}, compared_{};

    std::uint64_t last_event_ = 0;      // that was said
    const std::uint64_t first_number_;  // of events: no process before us has had a higher one
    std::string hosts_said_, versions_said_;
    std::uint64_t hosts_version_ = 0;

    Shared sessions_text_;  // nullptr: none, or freed
    std::size_t sessions_most_ = 0;
    Clock::time_point sessions_made_{};
    /// Of the coroutine's as well, which is destroyed with its io_context, after us.
    const std::shared_ptr<bool> making_sessions_ = std::make_shared<bool>(false);
};

}  // namespace proxy::dashboard
