// What inventories say, read and made into texts by a thread of its own: the disk may hang, and a
// report of thousands of clients takes its time. Whoever serves takes what is finished.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/inventory_places.hpp"
#include "proxy/dashboard/json_parts.hpp"
#include "proxy/dashboard/warning.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/route/snapshot.hpp"

namespace proxy::dashboard {

/// What the thread sees of the running proxy, which may end before it.
class RunningProxy {
   public:
    RunningProxy(const LiveSessions& sessions, const Outages& outages) : sessions_(&sessions), outages_(&outages) {}

    void use(std::shared_ptr<const Snapshot> snapshot);
    std::shared_ptr<const Snapshot> snapshot() const;
    /// Nothing once it has ended.
    OpenSessions sessions() const;
    /// Servers that do not serve now. Nothing once it has ended.
    std::vector<Outages::Outage> outages() const;
    /// From now on the sessions and servers are not looked at any more.
    void end();

   private:
    mutable std::mutex mutex_;
    const LiveSessions* sessions_;
    const Outages* outages_;
    std::shared_ptr<const Snapshot> snapshot_;
};

/// A text, and how often it has changed.
struct Versioned {
    Shared text;  ///< nullptr: there was none so far
    std::uint64_t version = 0;
};

/// What one look came to.
struct Findings {
    Versioned clients, certificates, rotation;
    std::optional<Week> week;          ///< nullopt: not known
    bool current = false;              ///< every inventory could be read just now
    boost::json::array proxies;        ///< as in the overview
    std::vector<std::string> unknown;  ///< sentences
    std::vector<Warning> warnings;
    std::string why_none;  ///< why there is no text of clients; empty: there is one
};

/// How often a Survey looks. Tests shorten it.
struct SurveyPace {
    /// How long after somebody asked texts are kept up to date. Later they are freed.
    std::chrono::milliseconds interest{60'000};
    /// Between two looks while somebody asks; more where they take long.
    std::chrono::milliseconds pause{5'000};
    /// Between two counts of clients for metrics; more where they take long.
    std::chrono::milliseconds count_pause{10'000};
    /// Between two counts of the rotation's days, while somebody asks.
    std::chrono::milliseconds rotation_pause{60'000};
    /// A look that takes longer hangs; and numbers are too old when the next look is overdue by so
    /// much.
    std::chrono::milliseconds hanging{180'000};
    /// After one that failed for want of memory or the like.
    std::chrono::milliseconds rest{1'000};
};

class Survey {
   public:
    /// Of the thread's time the dashboard takes a part of so many.
    static constexpr int share = 20;
    /// The end of the process waits for a look under way no longer.
    static constexpr std::chrono::milliseconds patience{200};
    /// More clients are not shown and not counted: their rows, and what is made of them, would take
    /// gigabytes in a process that carries sessions.
    static constexpr std::size_t max_clients = 50'000;
    /// Between two looks at an inventory of more.
    static constexpr std::chrono::hours crowded_pause{1};

    struct Settings {
        std::vector<InventoryPlace> places;     ///< none: there is no inventory
        std::shared_ptr<RunningProxy> running;  ///< nullptr: a fleet
        bool counts = false;                    ///< also when nobody asks, for metrics
        std::size_t max_clients = Survey::max_clients;
        SurveyPace pace{};
    };

    explicit Survey(Settings settings);
    ~Survey();

    /// Somebody asks. When nobody has for long, what was made for others before is none.
    void wanted();
    /// The last one; never nullptr.
    std::shared_ptr<const Findings> findings() const;
    /// Since when a look has been going on; nullopt: none is under way.
    std::optional<SystemTime> looking_since() const;
    /// Clients as they were counted last; nullopt: not known, or too old to be said.
    std::optional<Week> week() const;
    /// Why what is found is old, in a sentence; empty: it is not.
    std::string why_old() const;

   private:
    class Work;

    const std::shared_ptr<Work> work_;  // the thread's as well, which may outlive us
    OwnThread thread_;
};

}  // namespace proxy::dashboard
