#include "proxy/server/server.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>
#include <set>

#include "config/inspect.hpp"
#include "proxy/inventory/fleet.hpp"
#include "proxy/observation/often.hpp"
#include "proxy/observation/random_name.hpp"
#include "proxy/route/proxy_name.hpp"
#include "proxy/server/log.hpp"
#include "proxy/server/several_primaries.hpp"
#include "proxy/upstream/lasting.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

constexpr auto drain_poll_interval = 50ms;
/// Between an order on the console to leave and obeying it.
constexpr auto time_to_tell = 100ms;
/// Of whoever ordered a reload on the console.
constexpr auto reload_patience = 10s;
constexpr auto phase_poll_interval = 100ms;
/// For a new process that is ended with us.
constexpr auto upgrade_farewell = 3s;
/// In the last fifth of drain_timeout sessions are ended as soon as they are idle, so that few are
/// left to be cut off in their work.
constexpr int last_call_part = 5;

/// Both streams go to one place, where each line would stand twice.
bool has_one_output() {
    struct stat out {
    }, err{};
    return ::fstat(STDOUT_FILENO, &out) == 0 && ::fstat(STDERR_FILENO, &err) == 0 && out.st_dev == err.st_dev &&
           out.st_ino == err.st_ino;
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
std::unique_ptr<Inventory> open_inventory(const config::Config& config, const std::string& path, bool goes_on) {
    const config::Audit& audit = config.audit;
    auto inventory =
        std::make_unique<Inventory>(Inventory::Settings{.path = path,
                                                        .retention = audit.inventory_retention,
                                                        .proxy = {.name = proxy_name(config.runtime),
                                                                  .version = version(),
                                                                  .listeners = listeners_text(config),
                                                                  .consistent_after = audit.consistent_after,
                                                                  .goes_on = goes_on},
                                                        .name_pattern = audit.application_name_pattern});
    if (PostgresUrl::is_one(audit.inventory)) {
        inventory->share(std::make_unique<Fleet>(Fleet::Settings{.url = audit.inventory,
                                                                 .file = path,
                                                                 .instance = inventory->instance(),
                                                                 .retention = audit.inventory_retention}));
    }
    return inventory;
}

/// One that cannot be read is a mistake in the configuration, and no database that is away.
void check_url(const std::string& url) try { const PostgresUrl readable(url); } catch (const PostgresError& error) {
    throw std::runtime_error(std::string("audit.inventory: ") + error.what());
}

/// By whatever way it is named.
std::filesystem::path plain(const std::string& path) {
    std::error_code error;
    return std::filesystem::weakly_canonical(path, error);
}

std::unique_ptr<InventoryKeeper> keep_inventory(const config::Config& config, const std::string& state_dir,
                                                const std::shared_ptr<Probes>& probes, bool goes_on) {
    const std::string& wanted = config.audit.inventory;
    if (wanted.empty()) return nullptr;
    const bool shared = PostgresUrl::is_one(wanted);
    if (shared) check_url(wanted);
    const std::string file = shared ? config::Audit{}.inventory : wanted;
    const std::string path = file.front() == '/' ? file : state_dir + "/" + file;
    return std::make_unique<InventoryKeeper>(InventoryKeeper::Settings{
        .path = path,
        .ours = plain(path) == plain(state_dir + "/" + config::Audit{}.inventory),
        .goes_on = goes_on,
        // Opened anew after a fault, it goes on with nobody's.
        .open = [config, path,
                 goes_on]() mutable { return open_inventory(config, path, std::exchange(goes_on, false)); },
        .use =
            [probes](Inventory* inventory) {
                if (inventory) inventory->restore(*probes);
                probes->hold_back(inventory == nullptr);
            }});
}

/// Two for a session, one for a client that has not come so far.
rlim_t needed_descriptors(const config::Runtime& runtime) {
    constexpr rlim_t refused = Admission::max_rejections + Admission::max_strangers;
    constexpr rlim_t console = Console::max_sessions * 2 + Console::max_refusals;
    constexpr rlim_t private_socket = PrivateSocket::max_connections * 2;  // each may be a cancel
    constexpr rlim_t ours = 64 + HostWatch::max_connections + HostMonitor::max_addresses + console +
                            HttpServer::max_connections + private_socket;
    return rlim_t{runtime.max_connections} * 2 + runtime.max_connections_before_login + refused + ours;
}

/// The soft limit of 1024 that most shells give would end at 500 sessions.
void raise_descriptor_limit(const config::Runtime& runtime) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t needed = needed_descriptors(runtime);
    if (limit.rlim_cur < needed) {
        spdlog::warn(
            "max_connections = {} needs {} file descriptors, but the limit is {}: raise LimitNOFILE or ulimit -n",
            runtime.max_connections, needed, limit.rlim_cur);
    }
}

unsigned thread_count(const config::Runtime& runtime) {
    return runtime.threads > 0 ? runtime.threads : std::max(1U, std::thread::hardware_concurrency());
}

/// A wave of logins that need PBKDF2 leaves half of the machine to the sessions.
unsigned derivation_threads() { return std::max(1U, std::thread::hardware_concurrency() / 2); }

/// Probes cost clients connections: nobody should have to guess why.
void announce_certificates(const Snapshot& snapshot) {
    for (const tls::Bundle& bundle : bundles_of(snapshot)) spdlog::info("certificates in {}", to_string(bundle));
}

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

Captures::Settings capture_settings(const config::Config& config, const std::string& state_dir) {
    Captures::Settings settings{.config = config.capture, .state_dir = state_dir, .listeners = {}};
    for (const config::Listener& listener : config.listeners) settings.listeners.push_back(listener.name);
    return settings;
}

/// What processes that write one audit tell each other by.
std::string audit_share(const config::Audit& audit, const std::string& state_dir) {
    const std::string path = audit_path(audit, state_dir);
    if (path.empty()) return {};
    std::error_code error;
    const bool is_file =
        path != "-" && (!std::filesystem::exists(path, error) || std::filesystem::is_regular_file(path, error));
    return is_file ? AuditShare::path_beside(path) : state_dir + "/.audit.lock";
}

std::vector<int> all_activated(Inheritance& inheritance) {
    std::vector<int> sockets = activated_sockets();
    for (Inheritance::Socket& one : inheritance.activated) {
        const int fd = ::fcntl(one.descriptor.get(), F_DUPFD_CLOEXEC, 0);
        if (fd >= 0) sockets.push_back(fd);
    }
    inheritance.activated.clear();
    return sockets;
}

std::vector<ListeningSockets::Passed> passed_sockets(Inheritance& inheritance) {
    std::vector<ListeningSockets::Passed> passed;
    for (Inheritance::Socket& one : inheritance.listening)
        passed.push_back({std::move(one.name), std::move(one.descriptor)});
    inheritance.listening.clear();
    return passed;
}

sigset_t our_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&signals, signal);
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

Server::Server(std::shared_ptr<const Snapshot> snapshot, std::string state_dir, ConfigSource source, StateLock lock,
               Inheritance& inheritance)
    : inheritance_(inheritance),
      snapshot_(std::move(snapshot)),
      began_with_(snapshot_->config),
      state_dir_(std::move(state_dir)),
      alerts_(std::make_shared<Alerts>(state_dir_ + "/alerts", proxy_name(began_with_.runtime))),
      recorder_({.path = audit_path(began_with_.audit, state_dir_),
                 .chained = began_with_.audit.chain ? Chained::yes : Chained::no,
                 .proxy = proxy_name(began_with_.runtime),
                 .share = audit_share(began_with_.audit, state_dir_),
                 .goes_on = inheritance_.is_one()},
                keep_inventory(began_with_, state_dir_, probes_, inheritance_.is_one()), Recorder::max_queued_bytes,
                [alerts = alerts_, expiry = expiry_](const Event& event) {
                    alerts->notice(event);
                    expiry->notice(event);
                }),
      captures_(capture_settings(began_with_, state_dir_),
                {.record = [this](Event&& event) { recorder_.record(std::move(event)); },
                 .started = [this] { join_captures(); }},
                proxy_name(began_with_.runtime)),
      processes_(began_with_.audit.process_owner),
      key_derivations_(derivation_threads()),
      derivation_turns_(derivation_threads()),
      services_{.recorder = recorder_,
                .cancels = cancels_,
                .cancel_misses = cancel_misses_,
                .sessions = sessions_,
                .processes = processes_,
                .memories = {.recent_clients = recent_clients_, .scram_habits = scram_habits_, .probes = *probes_},
                .failed_logins = failed_logins_,
                .resolver = resolver_,
                .outages = outages_,
                .login_turns = login_turns_,
                .roles = roles_,
                .host_news = host_news_,
                .key_derivations = key_derivations_,
                .derivation_turns = derivation_turns_,
                .captures = captures_},
      sockets_(
          io_, [this](const auto& route, int fd, const Peer& peer) { accept(route, fd, peer); },
          all_activated(inheritance_), passed_sockets(inheritance_)),
      reload_(io_.get_executor(), services_.phase,
              {.source = std::move(source),
               .state_dir = state_dir_,
               .take = [this](auto next, auto log) { return take(std::move(next), std::move(log)); },
               .record = [this](EventKind kind, std::string message) { record(kind, std::move(message)); },
               .manager = manager_}),
      relations_(console_relations({.sessions = sessions_,
                                    .recorder = recorder_,
                                    .config = running_config_,
                                    .login_turns = login_turns_,
                                    .roles = roles_,
                                    .monitor = host_monitor_})),
      console_(io_, console_services()),
      http_({.metrics = metrics_sources(),
             .phase = services_.phase,
             .admission = admission_,
             .resolver = resolver_,
             .outages = outages_,
             .roles = roles_,
             .control = io_,
             .sessions = sessions_,
             .name = proxy_name(began_with_.runtime),
             .state_dir = state_dir_,
             .carried = [this] { return predecessors_ ? predecessors_->metrics() : CarriedMetrics(); }}),
      state_lock_(std::move(lock)),
      own_metrics_(metrics_sources()),
      private_socket_(io_, private_uses()),
      session_prefix_(random_name().substr(0, 12)),
      drain_timer_(io_.get_executor()),
      signals_(io_.get_executor(), SIGTERM, SIGINT, SIGHUP) {
    running_config_.use(snapshot_);
    role_changes_ = roles_.subscribe([this](const auto& change) {
        if (!change.doubtful) host_news_.tell(change.server.upstream);
    });
    outages_.on_recovery([this](const std::string& upstream) { host_news_.tell(upstream); });
    outages_.on_failure([this](const std::string& address) {
        const HostRoles::Server server{.upstream = {}, .host = {}, .address = address};
        roles_.doubt(server, RoleSource::outage);
    });
    // What two processes of one proxy have between them, neither can call somebody else's.
    if (!recorder_.inventory_path().empty())
        host_monitor_.sample({.ours = &cancels_.backends(),
                              .is_alone = [this] { return !predecessors_ || predecessors_->alive().empty(); },
                              .looks = [this] { return !has_let_go_; },
                              .tell = [this](ServerLook look) { recorder_.looked(std::move(look)); }});
    told_roles_ = roles_.subscribe([this](const HostRoles::Change& change) { record(change); });
    // What a former process has not sent is that one's as long as it serves.
    if (!inheritance_.is_one()) alerts_->use(snapshot_->alerts, alerts_->prepare(snapshot_->alerts));
    signals_.add(SIGUSR1);
    signals_.add(SIGUSR2);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write, as a full disk is
}

/// What tells of it goes before what writes it down.
Server::~Server() { expiry_->end(); }

void Server::run() {
    const config::Runtime& runtime = began_with_.runtime;
    raise_descriptor_limit(runtime);
    reload_.begin(snapshot_);
    auto sockets = sockets_.prepare(*snapshot_);
    for (unsigned i = thread_count(runtime); i > 0; --i) workers_.push_back(std::make_unique<Worker>(services_));
    services_.phase = Phase::serving;
    name_in_metrics();
    const bool follows = inheritance_.is_one();
    if (follows) take_place();
    http_.open(snapshot_, {inheritance_.http.name, std::move(inheritance_.http.descriptor)});
    serve_upstreams();
    spawn_lasting(io_.get_executor(), [this] { return host_watch_.run(); });
    spawn_lasting(io_.get_executor(), [this] { return demotions_.run(); });
    spawn_lasting(io_.get_executor(), [this] { return watch_primaries(); });
    spawn_lasting(io_.get_executor(), [this] { return handle_signals(); });
    spawn_lasting(io_.get_executor(), [this] { return reload_.run(); });
    expiry_->begin(state_dir_ + "/expiry-told", [this](Event&& event) { recorder_.record(std::move(event)); });
    unblock_signals();  // every thread has been made; and whoever hears that we serve may send one
    if (!follows) record_start();
    console_.open(began_with_.admin, state_dir_);  // whoever hears that we serve may ask
    announce(sockets_.use(std::move(sockets)));
    host_monitor_.listening(sockets_.addresses());
    http_.started();
    announce_certificates(*snapshot_);
    announce_probes(*snapshot_);
    announce_hidden_processes(began_with_.audit);
    expiry_->use(snapshot_);
    spawn_lasting(io_.get_executor(), [this] { return watchdog_.run(); });
    captures_.begin();
    inheritance_.serving();
    if (follows) take_over();
    manager_.ready("serving");
    io_.run();
    block_signals();
    if (successor_) {
        successor_->give_up("the process that was to be replaced ends");
        successor_->end_within(upgrade_farewell);
    }
    expiry_->end();
    console_.close();
    http_.close();
    resolver_.close();  // whose answers go to those that wait for them, such as the monitor
    host_monitor_.close();
    key_derivations_.close();
    derivation_turns_.close();
    login_turns_.close();
    host_news_.close();
    captures_.stop_windows();
    tell_last_numbers();
    workers_.clear();
    captures_.end();
    private_socket_.close();
    if (predecessors_) predecessors_->end();
    spdlog::info("stopped");
}

void Server::record_start() {
    record(EventKind::started, "pgairlock " + version() + ", " + std::to_string(workers_.size()) + " threads");
}

void Server::announce(const ListeningSockets::Prepared& opened) {
    for (const auto& open : opened) {
        const std::string line = "listening on " + open->socket->address() + " -> " + target_text(*open->route);
        const bool is_printed = began_with_.audit.file != "-";
        const bool is_in_log = !is_printed || !snapshot_->config.log.file.empty() || !has_one_output();
        if (is_in_log) spdlog::info(line);
        if (is_printed) print_line(LogLine::To::standard_output, line);
    }
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
                           .address_group = address_group(peer.bytes),
                           .behind_front = route->has_front() && !peer.address.empty() && route->trusts(peer.bytes),
                           .opening_timeout = runtime.client_opening_timeout,
                           .login_timeout = runtime.client_login_timeout,
                           .rejection = std::move(answer->rejection)},
                          std::move(answer->place));
}

void Server::record_unheard(const ListenerRoute& route, const Peer& peer) {
    spdlog::log(often(Reason::too_many_refusals, route.settings.name), spdlog::level::warn,
                "{}: closed unheard: too many refusals are in progress", peer.address);
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
        const auto [error, signal] = co_await signals_.async_wait(tls::returning());
        if (error) co_return;
        switch (signal) {
            case SIGHUP: reload_.request("SIGHUP"); break;
            case SIGUSR1:
                reopen_log();
                recorder_.reopen();
                if (predecessors_) predecessors_->order("reopen");
                break;
            case SIGUSR2: upgrade({}); break;
            default:
                if (std::exchange(was_ordered_to_drain_, false)) break;  // the same order once more
                if (services_.phase >= Phase::draining) {
                    spdlog::warn("second signal: ending every session now");
                    end();
                    co_return;
                }
                drain();
        }
    }
}

void Server::drain() {
    if (successor_) successor_->give_up("the process that was to be replaced was told to end");
    if (successor_ && successor_->serves()) {
        sockets_.leave_to_another();  // it has them, and their paths
        http_.leave_to_another();
    }
    try {
        begin_drain();
    } catch (const std::bad_alloc& lack) {
        spdlog::error("draining: {}", lack.what());  // what was not told is not told
    }
    spawn_lasting(io_.get_executor(),
                  [this] { return wait_until_drained(Phase::draining, snapshot_->config.runtime.drain_timeout); });
}

// --- What the console asks for, on threads of its own

ConsoleServices Server::console_services() {
    return {.captures = {.start =
                             [this](CaptureOrder order, OwnedDescriptor client) {
                                 return captures_.start(std::move(order), std::move(client));
                             },
                         .stop = [this](std::uint64_t id, const std::string& by) { return captures_.stop(id, by); },
                         .status = [this] { return captures_.status(); }},
            .process = process_control(),
            .sessions = &sessions_,
            .sql = std::make_shared<const SqlDatabase>(relations_, recorder_.inventory_path()),
            .elsewhere = [this] { return sessions_elsewhere(); }};
}

ProcessControl Server::process_control() {
    return {
        .reload = [this] { return reload_and_wait(); },
        .upgrade = [this] { return upgrade_and_wait(); },
        .drain =
            [this] { asio::post(io_, [this] { spawn_lasting(io_.get_executor(), [this] { return leave(false); }); }); },
        .shutdown =
            [this] { asio::post(io_, [this] { spawn_lasting(io_.get_executor(), [this] { return leave(true); }); }); },
        .kill =
            [this](const std::string& session) {
                asio::post(io_, [this, session] {
                    for (const auto& worker : workers_) worker->end_session(session, Reason::killed);
                });
            },
        .record = [this](Event&& event) { recorder_.record(std::move(event)); },
        .phase = [this] { return services_.phase.load(); }};
}

/// On the thread of whoever asked. What comes later than that is in the log.
ReloadOutcome Server::reload_and_wait() {
    const auto outcome = std::make_shared<std::promise<ReloadOutcome>>();
    auto answer = outcome->get_future();
    asio::post(io_, [this, outcome] {
        reload_.request("the console's RELOAD", [this, outcome](const std::string& why) {
            ReloadOutcome told{.why = why};
            if (why.empty()) told.not_taken = changes_for_restart(began_with_, snapshot_->config);
            outcome->set_value(std::move(told));
        });
    });
    const auto deadline = std::chrono::steady_clock::now() + reload_patience;
    while (answer.wait_for(phase_poll_interval) != std::future_status::ready) {
        if (services_.phase == Phase::handed_over)
            return {.why = "another process has taken over, which reads the configuration"};
        if (services_.phase != Phase::serving) return {.why = "the process drains"};
        if (std::chrono::steady_clock::now() >= deadline)
            return {.why = "it takes longer than 10 s; the log says how it ends"};
    }
    return answer.get();
}

/// As long as nobody else tells of roles.
tls::Awaitable<> Server::watch_primaries() {
    SeveralPrimaries primaries;
    tls::Timer pause(io_.get_executor());
    for (;;) {
        pause.expires_after(SeveralPrimaries::look_interval);
        co_await pause.async_wait(tls::returning());
        if (is_replaced_) co_return;
        std::set<std::string> upstreams;
        for (const auto& route : snapshot_->upstreams) {
            if (route->settings.target_session_attrs != config::TargetSessionAttrs::any)
                upstreams.insert(route->settings.name);
        }
        if (upstreams.empty()) continue;
        for (const std::string& line : primaries.look(roles_.all(), upstreams)) spdlog::warn("{}", line);
    }
}

/// Whoever ordered it is told so first.
tls::Awaitable<> Server::leave(bool at_once) {
    tls::Timer told(io_.get_executor());
    told.expires_after(time_to_tell);
    co_await told.async_wait(tls::returning());
    if (services_.phase < Phase::draining) drain();
    if (at_once) end();
}

/// From now on `next` is what new clients meet. What can fail comes first, and undoes itself.
std::shared_ptr<LogWriter> Server::take(std::shared_ptr<const Snapshot> next, std::unique_ptr<LogWriter> log) {
    auto sockets = sockets_.prepare(*next);
    auto alert_senders = alerts_->prepare(next->alerts);
    const config::Config& config = next->config;
    std::shared_ptr<LogWriter> replaced = change_log(config.log, std::move(log));
    for (const std::string& key : changes_for_restart(began_with_, config)) {
        spdlog::warn("{} has changed: that needs a restart; the rest was reloaded", key);
    }
    if (needed_descriptors(config.runtime) != needed_descriptors(snapshot_->config.runtime))
        raise_descriptor_limit(config.runtime);
    snapshot_ = std::move(next);
    running_config_.use(snapshot_);
    recorder_.retain_for(config.audit.inventory_retention);
    alerts_->use(snapshot_->alerts, std::move(alert_senders));
    captures_.use(capture_settings(config, state_dir_));
    console_.allow(config.admin);
    name_in_metrics();
    http_.use(snapshot_);
    announce(sockets_.use(std::move(sockets)));
    host_monitor_.listening(sockets_.addresses());
    serve_upstreams();
    announce_certificates(*snapshot_);
    announce_probes(*snapshot_);
    expiry_->use(snapshot_);
    return replaced;
}

/// Keeps connections ready for the upstreams that clients may come for, and looks after hosts that
/// failed: for none once clients may not come.
void Server::serve_upstreams() {
    std::vector<std::shared_ptr<const UpstreamRoute>> wanted;
    if (services_.phase == Phase::serving) wanted = snapshot_->upstreams;
    for (const auto& worker : workers_) worker->prewarm(wanted);
    host_watch_.serve(wanted);
    // Sessions go on while the process drains. Where another one serves, that one asks for
    // everybody, and we for what may end our own sessions alone.
    std::vector<std::shared_ptr<const UpstreamRoute>> watched = snapshot_->upstreams;
    if (is_replaced_)
        std::erase_if(watched,
                      [](const auto& route) { return route->settings.on_demotion == config::OnDemotion::keep; });
    host_monitor_.serve(watched);
    demotions_.serve(snapshot_->upstreams);
}

/// So that a rate begins at zero, and not with the first event.
void Server::name_in_metrics() {
    std::vector<std::string> listeners, upstreams;
    for (const auto& route : snapshot_->listeners) listeners.push_back(route->settings.name);
    for (const auto& route : snapshot_->upstreams) upstreams.push_back(route->settings.name);
    recorder_.metrics().serve(listeners, upstreams);
    for (const auto& worker : workers_) worker->name_in_metrics(listeners);
}

void Server::begin_drain() {
    services_.phase = Phase::draining;
    host_news_.give_up();
    manager_.stopping();
    sockets_.stop();
    state_lock_.leave();  // whoever is started now takes our place
    if (predecessors_) predecessors_->order("drain");
    reload_.wake();
    serve_upstreams();
    spdlog::info("draining: {} sessions, at most {} ms", admission_.served(),
                 snapshot_->config.runtime.drain_timeout.count());
    record(EventKind::stopping, "draining " + std::to_string(admission_.served()) + " sessions");
}

/// As long as the phase is this one.
tls::Awaitable<> Server::wait_until_drained(Phase phase, std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    const auto last_call = deadline - std::min(timeout, snapshot_->config.runtime.drain_timeout) / last_call_part;
    while (admission_.present() > 0 && std::chrono::steady_clock::now() < deadline) {
        if (std::chrono::steady_clock::now() >= last_call) {
            for (const auto& worker : workers_) worker->end_idle();
        }
        drain_timer_.expires_after(drain_poll_interval);
        co_await drain_timer_.async_wait(tls::returning());
        if (services_.phase != phase) co_return;
    }
    const char* const limit = phase == Phase::handed_over ? "upgrade_timeout" : "drain_timeout";
    if (admission_.served() > 0) spdlog::warn("{}: ending {} sessions", limit, admission_.served());
    end();
}

/// run() goes on: it ends the workers, and with them what sessions are left.
void Server::end() {
    services_.phase = Phase::ending;
    io_.stop();
}

/// From any thread: workers come before captures, and go when none begins any more.
void Server::join_captures() {
    for (const auto& worker : workers_) worker->join_captures();
}

void Server::record(EventKind kind, std::string message) {
    recorder_.record({.kind = kind, .message = std::move(message)});
}

/// From any thread. What was not known before is no change. Of two processes the newer one tells.
void Server::record(const HostRoles::Change& change) {
    if (is_replaced_ || change.doubtful || change.before == protocol::HostRole::unknown) return;
    Event event{.kind = EventKind::host_role_changed};
    event.record.upstream = change.server.upstream;
    event.record.upstream_addr = change.server.address;
    event.role = std::make_shared<const RoleNote>(RoleNote{
        .host = change.server.host, .before = change.before, .now = change.now, .source = to_string(change.source)});
    recorder_.record(std::move(event));
}

}  // namespace proxy
