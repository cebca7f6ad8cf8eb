#include "proxy/server/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdio>
#include <random>

#include "config/inspect.hpp"
#include "proxy/inventory/fleet.hpp"
#include "proxy/server/log.hpp"
#include "proxy/server/systemd.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

constexpr auto drain_poll_interval = 50ms;

std::string random_prefix() {
    std::random_device device;
    char text[20];
    std::snprintf(text, sizeof text, "%08x%04x", device(), device() & 0xffffU);
    return text;
}

std::string audit_path(const config::Config& config, const std::string& state_dir) {
    const std::string& file = config.audit.file;
    if (file.empty() || file == "-" || file.front() == '/') return file;
    return state_dir + "/" + file;
}

std::string proxy_name(const config::Runtime& runtime) {
    if (!runtime.name.empty()) return runtime.name;
    char name[HOST_NAME_MAX + 1] = {};
    return ::gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
}

/// "legacy 127.0.0.1:6432, reporting 10.0.0.1:6432".
std::string listeners_text(const config::Config& config) {
    std::string text;
    for (const config::Listener& listener : config.listeners) {
        for (const config::Address& address : listener.listen)
            text += (text.empty() ? "" : ", ") + listener.name + " " + to_string(address);
    }
    return text;
}

/// A fleet's inventory is a file too: what the database has not got yet is there.
std::unique_ptr<Inventory> open_inventory(const config::Config& config, const std::string& state_dir, Probes& probes) {
    const config::Audit& audit = config.audit;
    if (audit.inventory.empty()) return nullptr;
    const bool shared = PostgresUrl::is_one(audit.inventory);
    const std::string file = shared ? "inventory.db" : audit.inventory;
    const std::string path = file.front() == '/' ? file : state_dir + "/" + file;
    auto inventory =
        std::make_unique<Inventory>(Inventory::Settings{.path = path,
                                                        .retention = audit.inventory_retention,
                                                        .proxy = {.name = proxy_name(config.runtime),
                                                                  .version = version(),
                                                                  .listeners = listeners_text(config),
                                                                  .consistent_after = audit.consistent_after},
                                                        .name_pattern = audit.application_name_pattern});
    inventory->restore(probes);
    if (shared) {
        inventory->share(std::make_unique<Fleet>(Fleet::Settings{.url = audit.inventory,
                                                                 .file = path,
                                                                 .instance = inventory->instance(),
                                                                 .retention = audit.inventory_retention}));
    }
    return inventory;
}

/// Two descriptors a session; the soft limit of 1024 that most shells give would end at 500.
void raise_descriptor_limit(unsigned max_connections) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t needed = rlim_t{max_connections} * 2 + 64;
    if (limit.rlim_cur < needed) {
        spdlog::warn(
            "max_connections = {} needs {} file descriptors, but the limit is {}: raise LimitNOFILE or ulimit -n",
            max_connections, needed, limit.rlim_cur);
    }
}

unsigned thread_count(const config::Runtime& runtime) {
    return runtime.threads > 0 ? runtime.threads : std::max(1U, std::thread::hardware_concurrency());
}

/// A wave of logins that need PBKDF2 leaves half of the machine to the sessions.
unsigned derivation_threads() { return std::max(1U, std::thread::hardware_concurrency() / 2); }

/// Probes cost clients connections: nobody should have to guess why.
void announce_probes(const Snapshot& snapshot) {
    const config::Probe& probe = snapshot.config.audit.probe;
    if (!probe.enabled) return;
    for (const auto& route : snapshot.listeners) {
        std::string kinds;
        for (const config::ProbeKind kind : protocol::probe_kinds) {
            if (!route->probes[kind]) continue;
            kinds += (kinds.empty() ? "" : ", ") + std::string(config::to_string(kind));
        }
        if (kinds.empty()) continue;
        spdlog::warn(
            "certificate probes are on for listener \"{}\" ({}): up to {:.0f}% of each client's TLS connections {}, "
            "and at most {} of them lost by one client in {} h, {} by all clients in an hour",
            route->settings.name, kinds, probe.fraction * 100,
            probe.window.empty() ? "at any time" : "in the configured windows", probe.max_per_client,
            std::chrono::duration_cast<std::chrono::hours>(probe.cooldown).count(),
            probe.max_per_hour > 0 ? "at most " + std::to_string(probe.max_per_hour) : "any number");
    }
}

/// Clients that cannot be told apart are judged together, and probed less.
void announce_hidden_processes(const config::Audit& audit) {
    if (!audit.process_owner) return;
    const std::string why = processes_hidden_because();
    if (why.empty()) return;
    spdlog::warn(
        "process_owner: executables of clients of other users on this host cannot be found: {}. Those clients are "
        "told apart by user alone (deploy/pgairlock.service.d/process-owner.conf)",
        why);
}

sigset_t our_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
    return signals;
}

void unblock_signals() {
    const sigset_t signals = our_signals();
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace

void block_signals() {
    const sigset_t signals = our_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Server::Server(std::shared_ptr<const Snapshot> snapshot, std::string state_dir, ConfigSource source)
    : snapshot_(std::move(snapshot)),
      began_with_(snapshot_->config),
      state_dir_(std::move(state_dir)),
      recorder_({.path = audit_path(began_with_, state_dir_),
                 .chained = began_with_.audit.chain ? Chained::yes : Chained::no,
                 .proxy = proxy_name(began_with_.runtime)},
                open_inventory(began_with_, state_dir_, probes_)),
      processes_(began_with_.audit.process_owner),
      key_derivations_(derivation_threads()),
      services_{.recorder = recorder_,
                .cancels = cancels_,
                .processes = processes_,
                .memories = {.recent_clients = recent_clients_, .scram_habits = scram_habits_, .probes = probes_},
                .resolver = resolver_,
                .key_derivations = key_derivations_},
      sockets_(
          io_, [this](const auto& route, int fd, const Peer& peer) { accept(route, fd, peer); }, activated_sockets()),
      reload_(io_.get_executor(), services_.phase,
              {.source = std::move(source),
               .state_dir = state_dir_,
               .take = [this](std::shared_ptr<const Snapshot> next) { take(std::move(next)); },
               .record = [this](EventKind kind, std::string message) { record(kind, std::move(message)); }}),
      session_prefix_(random_prefix()),
      drain_timer_(io_.get_executor()),
      signals_(io_.get_executor(), SIGTERM, SIGINT, SIGHUP) {
    signals_.add(SIGUSR1);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write, as a full disk is
}

Server::~Server() = default;

void Server::run() {
    const config::Runtime& runtime = began_with_.runtime;
    raise_descriptor_limit(runtime.max_connections);
    reload_.begin(snapshot_);
    auto sockets = sockets_.prepare(*snapshot_);
    const unsigned threads = thread_count(runtime);
    for (unsigned i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(services_));
    services_.phase = Phase::serving;
    prewarm();
    asio::co_spawn(io_.get_executor(), handle_signals(), asio::detached);
    asio::co_spawn(io_.get_executor(), reload_.run(), asio::detached);
    unblock_signals();  // every thread has been made; and whoever hears that we serve may send one
    record(EventKind::started, "pgairlock " + version() + ", " + std::to_string(threads) + " threads");
    announce(sockets_.use(std::move(sockets)));
    announce_probes(*snapshot_);
    announce_hidden_processes(began_with_.audit);
    notify_ready("serving");
    io_.run();
    block_signals();
    resolver_.close();
    key_derivations_.close();
    workers_.clear();
    spdlog::info("stopped");
}

void Server::announce(const ListeningSockets::Prepared& opened) {
    for (const auto& open : opened) {
        const std::string line = "listening on " + open->socket->address() + " -> " + target_text(*open->route);
        spdlog::info(line);
        if (began_with_.audit.file != "-") std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
}

void Server::accept(const std::shared_ptr<const ListenerRoute>& route, int fd, const Peer& peer) {
    const config::Runtime& runtime = snapshot_->config.runtime;
    auto answer = admission_.ask(*route, runtime, peer);
    if (!answer) {
        record_unheard(*route, peer);
        ::close(fd);
        return;
    }
    const auto least = std::min_element(workers_.begin(), workers_.end(),
                                        [](const auto& a, const auto& b) { return a->load() < b->load(); });
    (*least)->run_session(fd, peer.family,
                          {.route = route,
                           .session = next_session(),
                           .address = peer.address,
                           .port = peer.port,
                           .login_timeout = runtime.client_login_timeout,
                           .rejection = std::move(answer->rejection)},
                          std::move(answer->place));
}

void Server::record_unheard(const ListenerRoute& route, const Peer& peer) {
    spdlog::warn("{}: closed unheard: {} refusals are in progress", peer.address, Admission::max_rejections);
    Event event{.kind = EventKind::rejected};
    event.record.session = next_session();
    event.record.listener = route.settings.name;
    event.record.upstream = route.upstream->settings.name;
    event.record.client_addr = peer.address;
    event.record.client_port = peer.port;
    event.reason = Reason::too_many_refusals;
    recorder_.record(std::move(event));
}

std::string Server::next_session() { return session_prefix_ + "-" + std::to_string(next_session_++); }

// --- Signals, reload, drain: all on this thread

tls::Awaitable<> Server::handle_signals() {
    for (;;) {
        const auto [error, signal] = co_await signals_.async_wait(tls::returning);
        if (error) co_return;
        switch (signal) {
            case SIGHUP: reload_.request(); break;
            case SIGUSR1:
                reopen_log();
                recorder_.reopen();
                break;
            default:
                if (services_.phase != Phase::serving) {
                    spdlog::warn("second signal: ending every session now");
                    end();
                    co_return;
                }
                begin_drain();
                asio::co_spawn(io_.get_executor(), wait_until_drained(), asio::detached);
        }
    }
}

/// From now on `next` is what new clients meet. What can fail comes first, and undoes itself.
void Server::take(std::shared_ptr<const Snapshot> next) {
    auto sockets = sockets_.prepare(*next);
    const config::Config& config = next->config;
    change_log(config.log);
    for (const std::string& key : changes_for_restart(began_with_, config)) {
        spdlog::warn("{} has changed: that needs a restart; the rest was reloaded", key);
    }
    if (config.runtime.max_connections != snapshot_->config.runtime.max_connections)
        raise_descriptor_limit(config.runtime.max_connections);
    snapshot_ = std::move(next);
    recorder_.retain_for(config.audit.inventory_retention);
    announce(sockets_.use(std::move(sockets)));
    prewarm();
    announce_probes(*snapshot_);
}

/// Keeps connections ready for the upstreams that clients may come for: for none once they may not.
void Server::prewarm() {
    const bool wanted = services_.phase == Phase::serving;
    for (const auto& worker : workers_) {
        worker->prewarm(wanted ? snapshot_->upstreams : std::vector<std::shared_ptr<const UpstreamRoute>>{});
    }
}

void Server::begin_drain() {
    services_.phase = Phase::draining;
    notify_stopping();
    sockets_.stop();
    reload_.wake();
    prewarm();
    spdlog::info("draining: {} sessions, at most {} ms", admission_.served(),
                 snapshot_->config.runtime.drain_timeout.count());
    record(EventKind::stopping, "draining " + std::to_string(admission_.served()) + " sessions");
}

tls::Awaitable<> Server::wait_until_drained() {
    const auto deadline = std::chrono::steady_clock::now() + snapshot_->config.runtime.drain_timeout;
    while (admission_.present() > 0 && std::chrono::steady_clock::now() < deadline) {
        drain_timer_.expires_after(drain_poll_interval);
        co_await drain_timer_.async_wait(tls::returning);
    }
    if (admission_.served() > 0) spdlog::warn("drain_timeout: ending {} sessions", admission_.served());
    end();
}

/// run() goes on: it ends the workers, and with them what sessions are left.
void Server::end() {
    services_.phase = Phase::ending;
    io_.stop();
}

void Server::record(EventKind kind, std::string message) {
    recorder_.record({.kind = kind, .message = std::move(message)});
}

}  // namespace proxy
