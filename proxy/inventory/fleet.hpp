// One inventory for many proxies: a thread copies the SQLite file's rows to PostgreSQL. The file is
// always written first, rows hold totals, and every copy is one transaction, so while the database
// is away nothing is lost and nothing is counted twice.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "proxy/inventory/fleet_pace.hpp"
#include "proxy/inventory/postgres.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/inventory/unwritten.hpp"

namespace proxy {

class Fleet {
   public:
    /// Longer than a restart of the database takes.
    static constexpr std::chrono::seconds patience{10};

    struct Settings {
        std::string url;
        std::string file;                        ///< the inventory's
        std::string instance;                    ///< its name
        std::chrono::milliseconds retention{0};  ///< zero: nothing is forgotten
    };

    /// Throws std::runtime_error when the URL is none; a database that is away is no error.
    explicit Fleet(Settings settings);
    /// Copies what has changed, unless that takes longer than a few seconds.
    ~Fleet();

    /// Rows last seen at or after `since` have changed; 0: all may have, and some are gone. From
    /// any thread.
    void changed(std::int64_t since);

    /// Since when nothing could be sent; nullopt: it could within `patience`, or was tried only
    /// once since. From any thread.
    std::optional<Unshared> unshared();

    /// Another retention, from any thread: taken up with the next copy.
    void retain_for(std::chrono::milliseconds retention) { retention_ = retention; }

   private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::int64_t nothing = std::numeric_limits<std::int64_t>::max();

    void loop();
    bool wait_for_turn(FleetPace::Milliseconds pause);
    FleetPace::Milliseconds look_at_fleet();
    void connect();
    void try_to_copy(std::int64_t since);
    void copy(std::int64_t since);
    bool is_known(Postgres& database);
    void create_or_check(Postgres& database);
    static void take_over(Postgres& database);
    bool rows_are_missing(Sqlite& file);
    void send(Sqlite& file, const std::string& table, std::int64_t since);
    bool is_ours_to_prune();
    void prune();
    void succeeded();
    void failed(std::int64_t since, const std::string& why);
    bool give_up();

    const Settings settings_;
    const PostgresUrl url_;
    std::atomic<std::chrono::milliseconds> retention_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::int64_t changed_since_ = 0;  // all: what a former run has left unsent is not known
    bool stop_ = false;
    bool failed_again_ = false;
    Clock::time_point give_up_at_ = Clock::time_point::max();
    std::optional<Unshared> unshared_;  // since the first failure

    // The thread's own.
    std::unique_ptr<Postgres> database_;
    FleetPace pace_;
    FleetPace::Milliseconds pause_{0};  // before the next copy
    Clock::time_point next_prune_{};
    std::chrono::milliseconds pruned_for_{-1};  // the retention that was last obeyed
    std::int64_t sent_clients_ = 0;             // rows that are ours there
    std::string sent_marks_;
    bool failing_ = false;
    bool told_ = false;  // that it works
    std::thread thread_;
};

}  // namespace proxy
