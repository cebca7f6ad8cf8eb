// The relations of the console: what each is made of. Rows are made on the thread that asks.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/admin/relation.hpp"
#include "proxy/record/recorder.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/session/live_sessions.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/login_turns.hpp"

namespace proxy {

/// The configuration that runs, for threads other than the one that changes it.
class RunningConfig {
   public:
    void use(std::shared_ptr<const Snapshot> running) {
        const std::lock_guard lock(mutex_);
        running_ = std::move(running);
    }
    std::shared_ptr<const Snapshot> get() const {
        const std::lock_guard lock(mutex_);
        return running_;
    }

   private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Snapshot> running_;
};

/// What they are about. Each outlives the console.
struct ConsoleSources {
    const LiveSessions& sessions;
    const Recorder& recorder;
    const RunningConfig& config;
    const LoginTurns& login_turns;
    const HostRoles& roles;
    const HostMonitor& monitor;
};

/// pg_stat_activity, pg_stat_ssl, open_sessions, sessions, events, stats, config, and what of
/// pg_catalog psql and drivers look at.
std::vector<Relation> console_relations(const ConsoleSources& sources);

// Its parts.
std::vector<Relation> session_relations(const ConsoleSources& sources);
std::vector<Relation> state_relations(const ConsoleSources& sources);
/// `others`: what pg_class lists.
std::vector<Relation> catalog_relations(const std::vector<Relation>& others);

}  // namespace proxy
