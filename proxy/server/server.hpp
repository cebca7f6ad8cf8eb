// The running proxy from start to end: what is made, what signals do, and the drain.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/relations.hpp"
#include "proxy/alert/alerts.hpp"
#include "proxy/server/admission.hpp"
#include "proxy/server/console_socket.hpp"
#include "proxy/server/demotions.hpp"
#include "proxy/server/expiry_watch.hpp"
#include "proxy/server/http_service.hpp"
#include "proxy/server/listening_sockets.hpp"
#include "proxy/server/private_socket.hpp"
#include "proxy/server/reload.hpp"
#include "proxy/server/systemd.hpp"
#include "proxy/server/watchdog.hpp"
#include "proxy/server/worker.hpp"
#include "proxy/upgrade/inheritance.hpp"
#include "proxy/upgrade/predecessors.hpp"
#include "proxy/upgrade/state_lock.hpp"
#include "proxy/upgrade/successor.hpp"
#include "proxy/upstream/host_monitor.hpp"
#include "proxy/upstream/host_roles.hpp"
#include "proxy/upstream/host_watch.hpp"

namespace proxy {

/// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are for the main thread, and only while it serves.
/// To be called before any thread is made: each one inherits this, and a signal that comes while
/// the program starts or ends waits instead of killing it.
void block_signals();

class Server {
   public:
    /// `lock`: of the state directory. `inheritance`: of the process whose place is taken, if any.
    Server(std::shared_ptr<const Snapshot> snapshot, std::string state_dir, ConfigSource source, StateLock lock,
           Inheritance& inheritance);
    ~Server();

    /// Binds, serves, drains. Throws std::runtime_error when an address cannot be bound.
    void run();
    /// After run(), instead of the destructor, where work was left behind that uses what belongs to
    /// us (Offload): what is recorded is written down, and we stay as long as the process.
    void abandon() { recorder_.end_within(Recorder::farewell); }

   private:
    void record_start();
    void announce(const ListeningSockets::Prepared& opened);
    void accept(const std::shared_ptr<const ListenerRoute>& route, int fd, const Peer& peer);
    void record_unheard(const ListenerRoute& route, const Peer& peer);
    std::string next_session();

    tls::Awaitable<> handle_signals();
    std::shared_ptr<LogWriter> take(std::shared_ptr<const Snapshot> next, std::unique_ptr<LogWriter> log);
    void serve_upstreams();
    void name_in_metrics();
    ConsoleServices console_services();
    ProcessControl process_control();
    ReloadOutcome reload_and_wait();
    tls::Awaitable<> watch_primaries();
    tls::Awaitable<> leave(bool at_once);
    void drain();
    void begin_drain();
    tls::Awaitable<> wait_until_drained(Phase phase, std::chrono::milliseconds timeout);

    // server_upgrade.cpp
    using UpgradeOutcome = std::function<void(const std::string& why)>;
    void take_place();
    void take_over();
    MetricsPage::Sources metrics_sources();
    std::vector<SessionsElsewhere> sessions_elsewhere() const;
    PrivateSocket::Uses private_uses();
    void upgrade(UpgradeOutcome told);
    std::string upgrade_and_wait();
    std::string why_no_upgrade() const;
    tls::Awaitable<> begin_upgrade();
    void take_roles();
    Successor::Given handed_on() const;
    void let_go(const std::string& version);
    void handed_over(pid_t pid);
    void upgrade_failed(const std::string& why);
    void tell_upgrade(const std::string& why);
    tls::Awaitable<> retire(std::chrono::milliseconds rest);
    void tell_last_numbers();
    void end_successor();
    void end();
    void record(EventKind kind, std::string message);
    void record(const HostRoles::Change& change);
    void join_captures();

    asio::io_context io_{1};
    Inheritance& inheritance_;
    ServiceManager manager_;
    std::shared_ptr<const Snapshot> snapshot_;
    const config::Config began_with_;  // what keys that only a restart takes up go by
    const std::string state_dir_;

    const std::shared_ptr<Probes> probes_ = std::make_shared<Probes>();  // the recorder's as well, which may hang
    const std::shared_ptr<Alerts> alerts_;                               // likewise
    const std::shared_ptr<ExpiryWatch> expiry_ = std::make_shared<ExpiryWatch>();  // likewise
    Recorder recorder_;
    Captures captures_;
    CancelRegistry cancels_;
    CancelMisses cancel_misses_;
    LiveSessions sessions_;
    RecentClients recent_clients_;
    ScramHabits scram_habits_;
    FailedLogins failed_logins_;
    ProcessOwners processes_;
    Resolver resolver_;
    Outages outages_;
    HostRoles roles_;
    HostNews host_news_;
    HostRoles::Subscription role_changes_;  // which host_news_ tells of
    HostRoles::Subscription told_roles_;    // in the audit
    HostMonitor host_monitor_{resolver_, outages_, roles_};
    HostWatch host_watch_{io_.get_executor(), resolver_, outages_};
    Offload key_derivations_;
    Turns derivation_turns_;
    LoginTurns login_turns_;
    Services services_;
    Admission admission_;
    std::vector<std::unique_ptr<Worker>> workers_;
    Demotions demotions_{io_.get_executor(), roles_, host_monitor_,
                         [this](const std::string& upstream, const std::string& address) {
                             for (const auto& worker : workers_) worker->end_idle_at(upstream, address);
                         }};
    Watchdog watchdog_{io_.get_executor(), manager_, workers_};
    ListeningSockets sockets_;
    Reload reload_;
    RunningConfig running_config_;
    std::vector<Relation> relations_;  // what is asked of on the console
    ConsoleSocket console_;
    HttpService http_;
    StateLock state_lock_;
    std::optional<Predecessors> predecessors_;  // set before there are sessions
    MetricsPage own_metrics_;                   // for whoever takes our place
    PrivateSocket private_socket_;
    bool was_ordered_to_drain_ = false;
    std::unique_ptr<Successor> successor_;  // nullptr: no upgrade is under way
    std::string successor_version_;
    bool upgrading_ = false;
    std::atomic<bool> is_replaced_ = false;  // by a process that serves: for good
    std::atomic<bool> has_let_go_ = false;   // of what only one of two processes can have
    std::vector<UpgradeOutcome> upgrade_told_;

    const std::string session_prefix_;
    std::uint64_t next_session_ = 1;
    tls::Timer drain_timer_;
    asio::basic_signal_set<tls::Executor> signals_;
};

}  // namespace proxy
