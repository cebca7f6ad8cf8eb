// Server: the upgrade. A new process takes this one's place, and this one serves its sessions to
// their end. All on the control thread, but for what says otherwise.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <thread>

#include "proxy/admin/console_path.hpp"
#include "proxy/server/log.hpp"
#include "proxy/server/server.hpp"
#include "proxy/upstream/lasting.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

using namespace std::chrono_literals;

/// What probes have cost is stored twice a second.
constexpr auto until_probes_are_stored = 1500ms;
/// Of whoever ordered it on the console: longer than the new process may take.
constexpr auto upgrade_patience = Successor::patience + 20s;
constexpr auto upgrade_poll_interval = 100ms;
/// Whoever ordered it on our console hears of its end there.
constexpr std::chrono::milliseconds time_to_tell_upgrade{2000};

}  // namespace

/// In the new process: everything is there to serve with. The old one lets go, and this one goes
/// on.
void Server::take_place() {
    if (!inheritance_.predecessors.empty()) {
        predecessors_.emplace(state_dir_, inheritance_.predecessors,
                              [this](Elsewhere all) { admission_.elsewhere(std::move(all)); });
        services_.predecessors = &*predecessors_;
        predecessors_->wait_for_counts();
    }
    take_roles();
    inheritance_.ready(version());
    state_lock_.claim();
    alerts_->use(snapshot_->alerts, alerts_->prepare(snapshot_->alerts));
}

/// In the new process: it serves. Until then nothing of the old one's was changed, which would have
/// gone on with it had we failed.
void Server::take_over() {
    sockets_.take_over();
    http_.take_over(inheritance_.http.name);
    record_start();
}

/// For the console, on threads of its own.
std::vector<SessionsElsewhere> Server::sessions_elsewhere() const {
    std::vector<SessionsElsewhere> all;
    if (!predecessors_) return all;
    const std::string ours = console_path(began_with_.admin, state_dir_);
    for (const auto& [pid, sessions] : predecessors_->sessions()) {
        const std::string aside = ours + ConsoleSocket::suffix_of(pid);
        const bool is_there = !ours.empty() && ::access(aside.c_str(), F_OK) == 0;
        all.push_back({.pid = pid, .sessions = sessions, .console = is_there ? aside : std::string()});
    }
    return all;
}

/// So that the first client is led as the last one was. Whoever comes looks again.
void Server::take_roles() {
    for (const InheritedRole& one : std::exchange(inheritance_.roles, {})) {
        const HostRoles::Server server{.upstream = one.upstream, .host = one.host, .address = one.address};
        roles_.learn(server, one.role, RoleSource::login, HostRoles::TimePoint::clock::now());
        roles_.doubt(server, RoleSource::ending);
    }
}

MetricsPage::Sources Server::metrics_sources() {
    return {.recorder = recorder_,
            .captures = captures_,
            .outages = outages_,
            .login_turns = login_turns_,
            .host_news = host_news_,
            .roles = roles_,
            .monitor = host_monitor_,
            .workers = workers_,
            .alerts = *alerts_,
            .expiry = *expiry_};
}

// --- In the old process

PrivateSocket::Uses Server::private_uses() {
    return {.cancels = cancels_,
            .resolver = resolver_,
            .outages = outages_,
            .counts = [this] { return admission_.served_here(); },
            .metrics =
                [this] {
                    CountedByRun all;
                    if (predecessors_) all = predecessors_->counted_by_ended();
                    all.insert(all.begin(), {session_prefix_,
                                             own_metrics_.text(*snapshot_, std::nullopt, Exposition::Format::text)});
                    return all;
                },
            .reopen =
                [this] {
                    reopen_log();
                    recorder_.reopen();
                },
            .drain =
                [this] {
                    if (services_.phase >= Phase::draining) return;
                    was_ordered_to_drain_ = true;
                    drain();
                }};
}

/// By SIGUSR2, or by the console, which wants to know. `told`: why it has failed; empty: it has
/// not.
void Server::upgrade(UpgradeOutcome told) {
    std::string why = why_no_upgrade();
    if (!why.empty()) {
        spdlog::error("no upgrade: {}", why);
        if (!upgrading_) record(EventKind::upgrade_failed, why);
        if (told) told(why);
        return;
    }
    if (told) upgrade_told_.push_back(std::move(told));
    upgrading_ = true;
    spawn_lasting(io_.get_executor(), [this] { return begin_upgrade(); });
}

std::string Server::why_no_upgrade() const {
    if (services_.phase != Phase::serving) return "this process takes no more clients";
    if (upgrading_) return "one is under way already";
    if (::getpid() == 1)
        return "this is process 1, with whose end its container ends: replace the container, or start pgairlock under "
               "an init";
    if (!state_lock_.is_held()) return "there is no state directory that can be written to: " + state_dir_;
    if (!recorder_.audit_can_be_shared())
        return "two processes cannot write the audit file: no file can be made beside it";
    return {};
}

tls::Awaitable<> Server::begin_upgrade() {
    const Launch& launch = Launch::noted();
    spdlog::info("upgrade: starting {}", launch.program);
    probes_->rest(true);
    tls::Timer stored(io_.get_executor());
    stored.expires_after(until_probes_are_stored);
    co_await stored.async_wait(tls::returning());
    if (services_.phase != Phase::serving) {
        upgrade_failed("this process was told to end");
        co_return;
    }
    try {
        private_socket_.open(state_dir_);
        const auto on_control = [this](auto action) {
            return [this, action](auto value) { asio::post(io_, [action, value] { action(value); }); };
        };
        successor_ = std::make_unique<Successor>(
            launch, handed_on(),
            Successor::Told{.ready = on_control([this](const std::string& version) { let_go(version); }),
                            .serving = on_control([this](pid_t pid) { handed_over(pid); }),
                            .failed = on_control([this](const std::string& why) { upgrade_failed(why); })});
    } catch (const std::exception& error) {
        upgrade_failed(error.what());
    }
}

Successor::Given Server::handed_on() const {
    Successor::Given given;
    for (ListeningSockets::Passed& one : sockets_.own())
        given.push_back({"listen " + one.configured, std::move(one.descriptor)});
    for (ListeningSockets::Passed& one : sockets_.of_service_manager())
        given.push_back({"activated " + one.configured, std::move(one.descriptor)});
    if (auto http = http_.passed_on(); http.descriptor)
        given.push_back({"http " + http.configured, std::move(http.descriptor)});
    given.push_back({"state_dir " + state_dir_, {}});
    given.push_back({"lock", state_lock_.copy()});
    std::vector<pid_t> present = predecessors_ ? predecessors_->alive() : std::vector<pid_t>();
    present.push_back(::getpid());
    for (const pid_t pid : present) given.push_back({"predecessor " + std::to_string(pid), {}});
    std::vector<InheritedRole> roles;
    for (const auto& [server, known] : roles_.all())
        roles.push_back(
            {.upstream = server.upstream, .host = server.host, .address = server.address, .role = known.role});
    constexpr std::string_view what = "roles ";
    for (const std::string& text : to_texts(roles, UpgradeChannel::max_text - what.size()))
        given.push_back({std::string(what) + text, {}});
    return given;
}

/// The new process is ready. What only one of us can have is its own now; we go on accepting.
void Server::let_go(const std::string& version) {
    if (services_.phase != Phase::serving || !successor_) return;  // it is given up
    successor_version_ = version;
    has_let_go_ = true;
    reload_.hold(true);
    alerts_->use({}, {});
    if (!console_.move_aside(ConsoleSocket::suffix_of(::getpid())))
        return successor_->give_up("the console's socket cannot be renamed");
    successor_->go();
}

/// It accepts: we do no more.
void Server::handed_over(pid_t pid) {
    end_successor();
    if (services_.phase == Phase::serving) services_.phase = Phase::handed_over;
    is_replaced_ = true;
    sockets_.leave_to_another();
    state_lock_.leave();
    http_.leave_to_another();
    http_.close();
    manager_.handed_over(pid, "process " + std::to_string(pid) + " has taken over");
    expiry_->end();
    captures_.stop_windows();
    if (reload_.has_orders()) {
        spdlog::info("a reload was asked for meanwhile: process {} is told", pid);
        ::kill(pid, SIGHUP);
    }
    reload_.wake();
    serve_upstreams();
    const unsigned sessions = admission_.served();
    spdlog::info("upgraded: process {} (pgairlock {}) accepts; {} sessions go on here, at most {} s", pid,
                 successor_version_, sessions,
                 std::chrono::duration_cast<std::chrono::seconds>(snapshot_->config.runtime.upgrade_timeout).count());
    recorder_.record({.kind = EventKind::upgraded,
                      .message = "pgairlock " + version() + " to " + successor_version_,
                      .pid = pid,
                      .count = sessions});
    const auto rest = upgrade_told_.empty() ? 0ms : time_to_tell_upgrade;
    tell_upgrade({});
    spawn_lasting(io_.get_executor(), [this, rest] { return retire(rest); });
}

tls::Awaitable<> Server::retire(std::chrono::milliseconds rest) {
    tls::Timer told(io_.get_executor());
    told.expires_after(rest);
    co_await told.async_wait(tls::returning());
    if (services_.phase != Phase::handed_over) co_return;
    co_await wait_until_drained(Phase::handed_over, snapshot_->config.runtime.upgrade_timeout);
}

/// Its thread has said its last word, or begins to.
void Server::end_successor() {
    if (successor_) successor_->end_within(1s);
    successor_.reset();
}

/// Whoever follows us goes on counting from there. Before the workers end, for they count too.
void Server::tell_last_numbers() {
    if (!private_socket_.is_open()) return;
    for (const auto& worker : workers_) worker->abort_all(Reason::shutting_down);
    for (int tries = 0; tries < 100 && admission_.present() > 0; ++tries) std::this_thread::sleep_for(5ms);
    private_socket_.say_last_words();
}

/// The new process is no more: everything is as it was.
void Server::upgrade_failed(const std::string& why) {
    end_successor();
    private_socket_.close();
    reload_.hold(false);
    if (has_let_go_.exchange(false) && services_.phase == Phase::serving) {
        console_.move_back();
        state_lock_.claim();
        alerts_->use(snapshot_->alerts, alerts_->prepare(snapshot_->alerts));
    }
    probes_->rest(false);
    spdlog::error("the upgrade failed, and this process goes on: {}", why);
    record(EventKind::upgrade_failed, why);
    tell_upgrade(why);
}

void Server::tell_upgrade(const std::string& why) {
    upgrading_ = false;
    for (const UpgradeOutcome& told : std::exchange(upgrade_told_, {})) told(why);
}

/// On the thread of whoever asked.
std::string Server::upgrade_and_wait() {
    const auto outcome = std::make_shared<std::promise<std::string>>();
    auto answer = outcome->get_future();
    asio::post(io_, [this, outcome] { upgrade([outcome](const std::string& why) { outcome->set_value(why); }); });
    const auto deadline = std::chrono::steady_clock::now() + upgrade_patience;
    while (answer.wait_for(upgrade_poll_interval) != std::future_status::ready) {
        if (services_.phase >= Phase::draining) return "the process drains";
        if (std::chrono::steady_clock::now() >= deadline) return "nothing was heard of it; the log says how it ends";
    }
    return answer.get();
}

}  // namespace proxy
