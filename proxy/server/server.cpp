#include "proxy/server/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <random>

#include "proxy/inventory/fleet.hpp"
#include "proxy/server/file_watch.hpp"
#include "proxy/server/log.hpp"
#include "proxy/server/systemd.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

constexpr auto watch_interval = 1s;
constexpr auto drain_poll_interval = 50ms;
/// Refusals in progress: each may cost a TLS handshake and the time that a client takes to hear it,
/// so their number is bounded too.
constexpr unsigned max_refusals = 256;

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

/// A fleet's inventory is a file too: what the database has not got yet is there.
std::unique_ptr<Inventory> open_inventory(const config::Audit& audit, const std::string& state_dir, Probes& probes) {
    if (audit.inventory.empty()) return nullptr;
    const bool shared = PostgresUrl::is_one(audit.inventory);
    const std::string file = shared ? "inventory.db" : audit.inventory;
    const std::string path = file.front() == '/' ? file : state_dir + "/" + file;
    auto inventory = std::make_unique<Inventory>(path, audit.inventory_retention);
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

/// Keys whose new values a reload does not take.
std::vector<std::string> fixed_until_restart(const config::Config& old_config, const config::Config& new_config) {
    std::vector<std::string> keys;
    if (old_config.runtime.threads != new_config.runtime.threads) keys.push_back("runtime.threads");
    if (old_config.runtime.state_dir != new_config.runtime.state_dir) keys.push_back("runtime.state_dir");
    if (old_config.audit.file != new_config.audit.file) keys.push_back("audit.file");
    if (old_config.audit.inventory != new_config.audit.inventory) keys.push_back("audit.inventory");
    if (old_config.audit.process_owner != new_config.audit.process_owner) keys.push_back("audit.process_owner");
    if (old_config.log.file != new_config.log.file) keys.push_back("log.file");
    if (old_config.log.format != new_config.log.format) keys.push_back("log.format");
    return keys;
}

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
            "and at most {} of "
            "them lost by one client in {} h",
            route->settings.name, kinds, probe.fraction * 100,
            probe.window.empty() ? "at any time" : "in the configured windows", probe.max_per_client,
            std::chrono::duration_cast<std::chrono::hours>(probe.cooldown).count());
    }
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
      state_dir_(std::move(state_dir)),
      source_(std::move(source)),
      recorder_(audit_path(snapshot_->config, state_dir_),
                open_inventory(snapshot_->config.audit, state_dir_, probes_)),
      processes_(snapshot_->config.audit.process_owner),
      key_derivations_(derivation_threads()),
      services_{.recorder = recorder_,
                .cancels = cancels_,
                .processes = processes_,
                .memories = {.recent_clients = recent_clients_, .scram_habits = scram_habits_, .probes = probes_},
                .resolver = resolver_,
                .key_derivations = key_derivations_},
      session_prefix_(random_prefix()),
      watch_timer_(io_.get_executor()),
      drain_timer_(io_.get_executor()),
      signals_(io_.get_executor(), SIGTERM, SIGINT, SIGHUP) {
    signals_.add(SIGUSR1);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write, as a full disk is
}

Server::~Server() = default;

void Server::run() {
    const config::Runtime& runtime = snapshot_->config.runtime;
    raise_descriptor_limit(runtime.max_connections);
    bind_all();
    const unsigned threads = thread_count(runtime);
    for (unsigned i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(services_));
    services_.phase = Phase::serving;
    prewarm();
    asio::co_spawn(io_.get_executor(), handle_signals(), asio::detached);
    asio::co_spawn(io_.get_executor(), watch_files(), asio::detached);
    record(EventKind::started, "pgairlock " + version() + ", " + std::to_string(threads) + " threads");
    for (const Bound& bound : bound_) {
        bound.socket->start(
            [this, listener = bound.listener](int fd, const Peer& peer) { accept(listener, fd, peer); });
        const std::string line =
            "listening on " + bound.socket->address() + " -> " + target_text(*snapshot_->listeners[bound.listener]);
        spdlog::info(line);
        if (snapshot_->config.audit.file != "-") std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
    announce_probes(*snapshot_);
    notify_ready("serving");
    unblock_signals();
    io_.run();
    block_signals();
    resolver_.close();
    key_derivations_.close();
    workers_.clear();
    spdlog::info("stopped");
}

// --- Listening

void Server::bind_all() {
    // A socket that systemd holds open for us serves the address it is bound to.
    std::map<std::string, int> activated;
    for (const int fd : activated_sockets()) {
        sockaddr_storage storage{};
        socklen_t size = sizeof storage;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
        activated[to_string(asio::generic::stream_protocol::endpoint(&storage, size))] = fd;
    }
    for (std::size_t i = 0; i < snapshot_->listeners.size(); ++i) {
        for (const config::Address& address : snapshot_->listeners[i]->settings.listen) {
            const auto found = activated.find(config::to_string(address));
            BoundSocket socket;
            if (found != activated.end()) {
                socket = {.fd = found->second, .address = found->first, .unix_path = {}};
                activated.erase(found);
            } else {
                socket = bind_listener(address);
            }
            bound_.push_back({.listener = i, .socket = std::make_unique<Listener>(io_, std::move(socket))});
        }
    }
    for (const auto& [address, fd] : activated) {
        spdlog::warn("socket activation passed {}, which no listener names: closed", address);
        ::close(fd);
    }
}

void Server::accept(std::size_t listener, int fd, const Peer& peer) {
    const config::Runtime& runtime = snapshot_->config.runtime;
    std::shared_ptr<const ListenerRoute> route = snapshot_->listeners[listener];
    auto refusal = admission(*route, peer);
    const bool refused = refusal.has_value();
    if (refused && refusals_ >= max_refusals) {
        report_unheard(*route, peer);
        ::close(fd);
        return;
    }
    ++(refused ? refusals_ : connections_);
    if (!refused) {
        const std::lock_guard lock(per_address_mutex_);
        ++per_address_[peer.address];
    }
    const auto least = std::min_element(workers_.begin(), workers_.end(),
                                        [](const auto& a, const auto& b) { return a->load() < b->load(); });
    (*least)->run_session(fd, peer.family,
                          {.route = std::move(route),
                           .session = next_session(),
                           .address = peer.address,
                           .port = peer.port,
                           .login_timeout = runtime.client_login_timeout,
                           .refusal = refused ? std::make_unique<Refusal>(std::move(*refusal)) : nullptr},
                          [this, address = peer.address, refused] { release(address, refused); });
}

std::optional<Refusal> Server::admission(const ListenerRoute& route, const Peer& peer) {
    const config::Runtime& runtime = snapshot_->config.runtime;
    if (!peer.address.empty() && !route.allows(peer.bytes))
        return address_not_allowed(route.settings.name, peer.address);
    if (connections_ >= runtime.max_connections) return too_many_connections("max_connections");
    if (runtime.max_connections_per_address > 0 && !peer.address.empty()) {
        const std::lock_guard lock(per_address_mutex_);
        const auto found = per_address_.find(peer.address);
        if (found != per_address_.end() && found->second >= runtime.max_connections_per_address) {
            return too_many_connections("max_connections_per_address");
        }
    }
    return std::nullopt;
}

void Server::report_unheard(const ListenerRoute& route, const Peer& peer) {
    spdlog::warn("{}: closed unheard: {} refusals are in progress", peer.address, max_refusals);
    Event event{.kind = EventKind::rejected};
    event.record.session = next_session();
    event.record.listener = route.settings.name;
    event.record.upstream = route.upstream->settings.name;
    event.record.client_addr = peer.address;
    event.record.client_port = peer.port;
    event.reason = Reason::too_many_refusals;
    recorder_.record(std::move(event));
}

void Server::release(const std::string& address, bool refused) {
    if (refused) {
        --refusals_;
        return;
    }
    --connections_;
    const std::lock_guard lock(per_address_mutex_);
    const auto found = per_address_.find(address);
    if (found != per_address_.end() && --found->second == 0) per_address_.erase(found);
}

std::string Server::next_session() { return session_prefix_ + "-" + std::to_string(next_session_++); }

// --- Signals, reload, drain: all on this thread

tls::Awaitable<> Server::handle_signals() {
    for (;;) {
        const auto [error, signal] = co_await signals_.async_wait(tls::returning);
        if (error) co_return;
        switch (signal) {
            case SIGHUP:
                if (services_.phase != Phase::serving) {
                    spdlog::info("SIGHUP while draining: nothing is reloaded");
                    break;
                }
                notify_reloading();
                reload([this] { reload_from_source(); });
                notify_ready("serving");
                break;
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

tls::Awaitable<> Server::watch_files() {
    FileWatch watch(files_of(*snapshot_));
    std::shared_ptr<const Snapshot> watched = snapshot_;
    for (;;) {
        watch_timer_.expires_after(watch_interval);
        const auto [error] = co_await watch_timer_.async_wait(tls::returning);
        if (error || services_.phase != Phase::serving) co_return;
        reload([&] {
            if (watched != snapshot_ && files_of(*watched) != files_of(*snapshot_))
                watch = FileWatch(files_of(*snapshot_));
            watched = snapshot_;
            if (watch.changed()) swap_in(snapshot_->config, "a certificate, key, CA or users file has changed");
        });
    }
}

/// Whatever goes wrong: signals and files are heeded further.
void Server::reload(const std::function<void()>& how) {
    try {
        how();
    } catch (const std::exception& error) {
        report_reload_failure({{{.file = snapshot_->config.file, .line = 0, .column = 0, .key = {}}, error.what()}});
    }
}

void Server::reload_from_source() {
    config::Loaded loaded = source_();
    for (const config::Diagnostic& warning : loaded.warnings) spdlog::warn("{}", to_string(warning));
    if (loaded.config) {
        swap_in(std::move(*loaded.config), "SIGHUP");
    } else {
        report_reload_failure(loaded.errors);
    }
}

void Server::swap_in(config::Config config, const std::string& why) {
    LoadedSnapshot loaded = load_snapshot(std::move(config), state_dir_);
    for (const config::Diagnostic& warning : loaded.warnings) spdlog::warn("{}", to_string(warning));
    if (!loaded.snapshot) return report_reload_failure(loaded.errors);

    // Sockets stay as they are bound, so the listeners must be the same ones, in the same order.
    const auto addresses = [](const Snapshot& snapshot) {
        std::vector<std::vector<std::string>> all;
        for (const auto& route : snapshot.listeners) {
            auto& own = all.emplace_back();
            for (const config::Address& address : route->settings.listen) own.push_back(config::to_string(address));
        }
        return all;
    };
    if (addresses(*loaded.snapshot) != addresses(*snapshot_)) {
        return report_reload_failure(
            {{{.file = loaded.snapshot->config.file, .line = 0, .column = 0, .key = "listener.listen"},
              "listen addresses have changed: that needs a restart; nothing was reloaded"}});
    }
    for (const std::string& key : fixed_until_restart(snapshot_->config, loaded.snapshot->config)) {
        spdlog::warn("{} has changed: that needs a restart; the rest was reloaded", key);
    }
    set_log_level(loaded.snapshot->config.log.level);
    snapshot_ = std::move(loaded.snapshot);
    prewarm();
    announce_probes(*snapshot_);
    spdlog::info("reloaded: {}", why);
    record(EventKind::reloaded, why);
}

void Server::report_reload_failure(const std::vector<config::Diagnostic>& errors) {
    std::string all;
    for (const config::Diagnostic& error : errors) all += (all.empty() ? "" : "; ") + to_string(error);
    spdlog::error("reload failed, the last good configuration goes on: {}", all);
    record(EventKind::reload_failed, all);
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
    for (Bound& bound : bound_) bound.socket->stop();
    watch_timer_.cancel();
    prewarm();
    spdlog::info("draining: {} sessions, at most {} ms", connections_.load(),
                 snapshot_->config.runtime.drain_timeout.count());
    record(EventKind::stopping, "draining " + std::to_string(connections_.load()) + " sessions");
}

tls::Awaitable<> Server::wait_until_drained() {
    const auto deadline = std::chrono::steady_clock::now() + snapshot_->config.runtime.drain_timeout;
    while (connections_ + refusals_ > 0 && std::chrono::steady_clock::now() < deadline) {
        drain_timer_.expires_after(drain_poll_interval);
        co_await drain_timer_.async_wait(tls::returning);
    }
    if (connections_ > 0) spdlog::warn("drain_timeout: ending {} sessions", connections_.load());
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
