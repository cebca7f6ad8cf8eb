// What inventories say, read and made into texts by a thread of its own: the disk may hang, and a
// report of thousands of clients takes its time. Whoever serves takes what is finished.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/dashboard/findings.hpp"
#include "proxy/dashboard/survey_schedule.hpp"
#include "proxy/record/own_thread.hpp"

namespace proxy::dashboard {

class Survey {
   public:
    /// The end of the process waits for a look under way no longer.
    static constexpr std::chrono::milliseconds patience{200};
    /// More clients and certificates of servers together are not shown and not counted: their rows,
    /// and what is made of them, would take gigabytes in a process that carries sessions.
    static constexpr std::size_t max_rows = 50'000;

    struct Settings {
        std::vector<InventoryPlace> places;     ///< none: there is no inventory
        std::shared_ptr<RunningProxy> running;  ///< nullptr: a fleet
        bool counts = false;                    ///< also when nobody asks, for metrics
        std::size_t max_rows = Survey::max_rows;
        SurveyPace pace{};
    };

    explicit Survey(Settings settings);
    ~Survey();

    /// Somebody asks. When nobody has for long, what was made for others before is none.
    void wanted();
    struct Readiness {
        std::string why_not;    ///< a sentence without names; empty: every inventory answered
        bool is_at_it = false;  ///< more is known soon
    };
    /// Whether inventories answer, by the last look. Who asks keeps looks going, as wanted() does,
    /// but for texts.
    Readiness check();

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
