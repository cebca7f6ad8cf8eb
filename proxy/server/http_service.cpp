#include "proxy/server/http_service.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <future>

#include "config/load.hpp"
#include "config/parse.hpp"
#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

/// What others may call this proxy: the host's name, its own, and those that its certificates are
/// for.
std::set<std::string> our_names(const Snapshot& snapshot) {
    std::set<std::string> names;
    char host[HOST_NAME_MAX + 1] = {};
    if (::gethostname(host, HOST_NAME_MAX) == 0) add_host_name(names, host);
    add_host_name(names, snapshot.config.runtime.name);
    for (const auto& route : snapshot.listeners) {
        if (!route->tls) continue;
        for (const std::string& name : route->tls->names()) add_host_name(names, name);
    }
    return names;
}

}  // namespace

void Liveness::watch(std::vector<Pulse> pulses) {
    threads_.clear();
    for (Pulse& pulse : pulses) threads_.push_back({.pulse = std::move(pulse)});
}

std::size_t Liveness::silent(Clock::time_point now) {
    std::size_t silent = 0;
    for (Thread& thread : threads_) {
        if (thread.pulse.answers()) {
            thread.asked = now;
        } else if (now - thread.asked >= patience) {
            ++silent;
        }
    }
    return silent;
}

HttpService::HttpService(Sources sources)
    : sources_(std::move(sources)),
      page_(sources_.metrics),
      upstreams_(
          io_.get_executor(), sources_.resolver, sources_.outages,
          [this](const UpstreamRoute& upstream) {
              const EventMetrics& events = sources_.metrics.recorder.metrics();
              UpstreamCheck::Logins logins{
                  .served = events.last_served(upstream.settings.name,
                                               upstream.settings.sslmode >= protocol::SslMode::verify_ca)};
              if (auto failure = events.last_failure(upstream.settings.name)) {
                  logins.failed = failure->time;
                  logins.error = std::move(failure->error);
              }
              return logins;
          },
          &sources_.roles),
      server_(io_.get_executor(), [this](const HttpRequest& request) { return answer(request); }) {}

void HttpService::open(std::shared_ptr<const Snapshot> snapshot, ListeningSockets::Passed passed) noexcept {
    try {
        const config::Admin admin = snapshot->config.admin;
        const auto address = config::parse_address(admin.http);
        const bool is_passed = address && passed.descriptor && passed.configured == config::to_string(*address);
        if (!address) return;
        needs_token_ = !config::is_of_this_host(*address);
        use(std::move(snapshot));
        std::vector<Pulse> pulses{Pulse(sources_.control)};
        for (const auto& worker : sources_.metrics.workers) pulses.push_back(worker->pulse());
        liveness_.watch(std::move(pulses));
        config::Address bound = *address;
        bound.origin = admin.http_origin;
        // Only a file that says so lets others in.
        configured_ = config::to_string(bound);
        const int copy = is_passed ? ::fcntl(passed.descriptor.get(), F_DUPFD_CLOEXEC, 0) : -1;
        socket_ =
            std::make_shared<Listener>(io_, copy >= 0 ? inherited_listener(bound, copy) : bind_listener(bound, 0600));
        open_dashboard();
        socket_->keep_spares(spare_descriptors);
        socket_->serve([this](int accepted, const Peer& peer) { server_.take(accepted, peer.family, peer.address); });
        thread_ = std::thread([this] { run(); });
        spdlog::info("http at {}", socket_->address());
    } catch (const std::exception& error) {
        spdlog::error("no http: {}", with_holder(error));
        // Nobody can ask: nothing is counted for anybody, and no socket is left that accepts.
        if (socket_) socket_->stop();
        socket_.reset();
        end_dashboard();
    }
}

ListeningSockets::Passed HttpService::passed_on() const {
    if (!socket_) return {};
    return {configured_, tls::OwnedDescriptor(::fcntl(socket_->descriptor(), F_DUPFD_CLOEXEC, 0))};
}

void HttpService::take_over(const std::string& passed) {
    constexpr std::string_view scheme = "unix:";
    if (!passed.starts_with(scheme)) return;
    const std::string path = passed.substr(scheme.size());
    if (!socket_ || configured_ != passed) {
        ::unlink(path.c_str());
    } else {
        asio::post(io_, [this, path] {
            if (socket_) socket_->rename(path);
        });
    }
}

void HttpService::leave_to_another() {
    asio::post(io_, [this] {
        if (socket_) socket_->leave_to_another();
    });
}

void HttpService::open_dashboard() {
    running_ = std::make_shared<dashboard::RunningProxy>(sources_.sessions, sources_.outages);
    running_->use(state()->snapshot);
    dashboard::Survey::Settings survey{.places = {}, .running = running_, .counts = false};
    const std::string inventory = sources_.metrics.recorder.inventory_path();
    if (!inventory.empty()) {
        survey.counts = true;
        survey.places.push_back({[inventory] {
            std::vector<InventoryRows> all = read_own_inventory(inventory);
            for (InventoryRows& one : all) tell_of_gap(inventory, one.proxy);
            return all;
        }});
    }
    const auto& workers = sources_.metrics.workers;
    auto live = std::make_unique<dashboard::LiveSource>(
        dashboard::LiveSource{.recorder = sources_.metrics.recorder,
                              .sessions = sources_.sessions,
                              .captures = sources_.metrics.captures,
                              .outages = sources_.outages,
                              .roles = sources_.metrics.roles,
                              .monitor = sources_.metrics.monitor,
                              .phase = sources_.phase,
                              .relayed = [&workers] { return relayed_bytes(workers); },
                              .prewarmed = [&workers] { return prewarmed_connections(workers); },
                              .running = [this] { return state()->snapshot; },
                              .watched = [&expiry = sources_.metrics.expiry] { return expiry.watched(); },
                              .name = sources_.name,
                              .state_dir = sources_.state_dir,
                              .started = std::chrono::system_clock::now()});
    dashboard_ = std::make_unique<dashboard::DashboardSite>(
        io_.get_executor(), std::make_shared<dashboard::Survey>(std::move(survey)), std::move(live));
    dashboard_->begin();
}

void HttpService::use(std::shared_ptr<const Snapshot> snapshot) {
    if (running_) running_->use(snapshot);
    auto next = std::make_shared<State>();
    next->guard = {.names = our_names(*snapshot), .token = snapshot->http_token, .needs_token = needs_token_};
    next->snapshot = std::move(snapshot);
    const std::lock_guard lock(mutex_);
    state_ = std::move(next);
}

std::shared_ptr<const HttpService::State> HttpService::state() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

/// What a handler throws has cost its connection: the others go on.
void HttpService::run() {
    for (;;) {
        try {
            io_.run();
            return;
        } catch (const std::exception& error) {
            spdlog::log(often("http", {}), spdlog::level::err, "http: {}", error.what());
        }
    }
}

void HttpService::close() {
    if (!thread_.joinable()) return;
    // Where the sockets are used; what is left of them ends with the io_context.
    asio::post(io_, [this] {
        socket_->stop();
        upstreams_.close();
        dashboard_->close();
        server_.close();
        asio::post(io_, [this] { io_.stop(); });
    });
    thread_.join();
    socket_.reset();
    end_dashboard();
}

/// The survey's thread may outlive us: it sees no session any more.
void HttpService::end_dashboard() noexcept {
    if (dashboard_) dashboard_->close();
    if (running_) running_->end();
    dashboard_.reset();
}

namespace {

constexpr std::array http_paths{HttpPath{"/livez", "every thread that serves answers"},
                                HttpPath{"/startupz", "every listener accepts"},
                                HttpPath{"/readyz", "clients are accepted"},
                                HttpPath{"/upstreamz", "every upstream serves"},
                                HttpPath{"/metrics", "counters, for Prometheus"},
                                HttpPath{"/", "the dashboard"},
                                HttpPath{"/api/", "what it is made of, as JSON"}};

}  // namespace

tls::Awaitable<HttpResponse> HttpService::answer(const HttpRequest& request) {
    const std::shared_ptr<const State> now = state();
    if (auto refusal = refused_request(request, now->guard)) co_return std::move(*refusal);
    if (request.path == "/metrics") co_return metrics(*now, request);
    if (request.path == "/livez") co_return livez();
    if (request.path == "/startupz") {
        if (started_) co_return http_text(200, "ok: every listener accepts");
        co_return http_text(503, "starting");
    }
    if (request.path == "/readyz") co_return readyz(*now);
    if (request.path == "/upstreamz") {
        HttpResponse response = co_await upstreamz(now, is_authorized(request, now->guard));
        co_return response;
    }
    std::optional<HttpResponse> response = co_await dashboard_->answer(request);
    if (response) co_return std::move(*response);
    co_return http_not_found(request.path, http_paths);
}

HttpResponse HttpService::livez() {
    const std::size_t silent = liveness_.silent(Liveness::Clock::now());
    if (silent == 0) return http_text(200, "ok");
    return http_text(503, std::to_string(silent) + " threads do not answer");
}

HttpResponse HttpService::readyz(const State& state) const {
    if (sources_.phase.load() >= Phase::draining) return http_text(503, "draining");
    if (!started_) return http_text(503, "starting");
    if (sources_.admission.is_full(state.snapshot->config.runtime))
        return http_text(503, "full: max_connections or max_connections_before_login is reached");
    return http_text(200, "ok: clients are accepted");
}

/// `in_detail`: whoever asks may know what the configuration says.
tls::Awaitable<HttpResponse> HttpService::upstreamz(std::shared_ptr<const State> state, bool in_detail) {
    const std::vector<UpstreamCheck::Result> results = co_await upstreams_.ask(state->snapshot->upstreams);
    const auto failed = std::count_if(results.begin(), results.end(), [](const auto& one) { return !one.ok; });
    std::string text = failed == 0 ? "ok: every upstream serves"
                                   : std::to_string(failed) + " of " + std::to_string(results.size()) +
                                         " upstreams have not served within 30 s";
    for (const auto& result : results) {
        if (in_detail) text += "\n" + result.upstream + ": " + (result.ok ? "" : "not verified: ") + result.text;
    }
    co_return http_text(failed == 0 ? 200 : 503, std::move(text));
}

HttpResponse HttpService::metrics(const State& state, const HttpRequest& request) {
    const Exposition::Format format = accepted_format(request.accept);
    std::string text = page_.text(*state.snapshot, dashboard_->week(), format);
    const CarriedMetrics carried = sources_.carried ? sources_.carried() : CarriedMetrics();
    return {.status = 200,
            .content_type = std::string(Exposition::content_type(format)),
            .body = carried.empty() ? std::move(text) : carried.added_to(text)};
}

}  // namespace proxy
