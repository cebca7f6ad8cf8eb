// The running proxy: listeners, workers, signals, reload, drain.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "proxy/server/listener.hpp"
#include "proxy/server/worker.hpp"

namespace proxy {

/// SIGTERM, SIGINT, SIGHUP and SIGUSR1 are for the main thread, and only while it serves. To be
/// called before any thread is made: each one inherits this, and a signal that comes while the
/// program starts or ends waits instead of killing it.
void block_signals();

/// How a configuration is obtained again on reload.
using ConfigSource = std::function<config::Loaded()>;

class Server {
   public:
    Server(std::shared_ptr<const Snapshot> snapshot, std::string state_dir, ConfigSource source);
    ~Server();

    /// Binds, serves, drains. Throws std::runtime_error when an address cannot be bound.
    void run();

   private:
    struct Bound {
        std::size_t listener = 0;  // index into the snapshot's listeners
        std::unique_ptr<Listener> socket;
    };

    void bind_all();
    void accept(std::size_t listener, int fd, const Peer& peer);
    std::optional<Refusal> admission(const ListenerRoute& route, const Peer& peer);
    void release(const std::string& address, bool refused);
    void report_unheard(const ListenerRoute& route, const Peer& peer);
    std::string next_session();

    tls::Awaitable<> handle_signals();
    tls::Awaitable<> watch_files();
    void reload(const std::function<void()>& how);
    void reload_from_source();
    void swap_in(config::Config config, const std::string& why);
    void report_reload_failure(const std::vector<config::Diagnostic>& errors);
    void prewarm();
    void begin_drain();
    tls::Awaitable<> wait_until_drained();
    void end();
    void record(EventKind kind, std::string message);

    asio::io_context io_{1};
    std::shared_ptr<const Snapshot> snapshot_;
    const std::string state_dir_;
    const ConfigSource source_;

    Probes probes_;
    Recorder recorder_;
    CancelRegistry cancels_;
    RecentClients recent_clients_;
    ScramHabits scram_habits_;
    ProcessOwners processes_;
    Resolver resolver_;
    Offload key_derivations_;
    Services services_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<Bound> bound_;

    const std::string session_prefix_;
    std::uint64_t next_session_ = 1;
    std::atomic<unsigned> connections_{0};  // those served
    std::atomic<unsigned> refusals_{0};     // those being told that they are not
    std::mutex per_address_mutex_;
    std::map<std::string, unsigned> per_address_;

    tls::Timer watch_timer_;
    tls::Timer drain_timer_;
    asio::basic_signal_set<tls::Executor> signals_;
};

}  // namespace proxy
