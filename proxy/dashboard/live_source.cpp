#include "proxy/dashboard/live_source.hpp"

#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "proxy/capture/capture_filter.hpp"
#include "proxy/version.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;

std::string_view word_of(Phase phase) {
    switch (phase) {
        case Phase::starting: return "starting";
        case Phase::serving: return "serving";
        case Phase::handed_over:
        case Phase::draining:
        case Phase::ending: break;
    }
    return "draining";
}

std::uint64_t sum_of(const auto& counts) { return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}); }

/// It writes, or is to.
bool is_under_way(const CaptureStatus& capture) {
    return capture.state == CaptureState::running || capture.state == CaptureState::ending ||
           capture.state == CaptureState::planned;
}

/// Those of upstreams that are served.
std::vector<Outages::Outage> outages_of_today(const LiveSource& source) {
    std::vector<Outages::Outage> outages = source.outages.all();
    const auto running = source.running();
    if (!running) return outages;
    std::erase_if(outages, [&](const Outages::Outage& outage) {
        return std::none_of(running->upstreams.begin(), running->upstreams.end(),
                            [&](const auto& route) { return route->settings.name == outage.upstream; });
    });
    return outages;
}

/// What is neither a listener's, which is looked at above, nor a server's own, which inventories
/// have.
void warn_of_watched(const LiveSource& source, SystemTime now, std::vector<Warning>& warnings) {
    const auto running = source.running();
    const auto watched = source.watched ? source.watched() : nullptr;
    if (!running || !watched) return;
    for (const InUse& one : *watched) {
        if (one.use == tls::Use::shown || one.use == tls::Use::server) continue;
        const std::string where = one.upstream_addr.empty() ? one.file : one.upstream_addr;
        warn_of_end(warnings, "the " + what_for(one) + ", " + one.certificate->subject + " (" + where + ")",
                    {one.certificate->not_before, one.certificate->not_after}, now,
                    running->config.audit.expiry_warning);
    }
}

}  // namespace

/// One cause, one warning: a server whose certificate is refused does not serve because of it.
Warning warning_of(const Outages::Outage& outage) {
    const bool is_refused = !outage.verify_error.empty();
    const std::string server = "the server " + outage.key + " of " + outage.upstream;
    return {.critical = true,
            .what = is_refused ? "upstream_unverified" : "host_down",
            .text = is_refused ? server + " shows a certificate that is refused, and nobody is let in to it: " +
                                     outage.verify_error
                               : server + " does not serve: " + outage.error,
            .since = outage.since};
}

NowSample sample(const LiveSource& source) {
    NowSample sample{.time = std::chrono::system_clock::now(),
                     .at = std::chrono::steady_clock::now(),
                     .sessions = source.sessions.counts(),
                     .listeners = {}};
    const EventMetrics::Numbers numbers = source.recorder.metrics().numbers();
    for (const auto& [name, listener] : numbers.listeners) {
        NowSample::Listener& of = sample.listeners[name];
        of.open = listener.open > 0 ? static_cast<std::uint64_t>(listener.open) : 0;
        for (const auto& by_verifies : listener.connections) of.logins += sum_of(by_verifies);
        of.failures = sum_of(listener.tls_failures) + sum_of(listener.rejections) + sum_of(listener.login_failures);
        for (std::size_t i = 0; i < sample.logins_by_time.size(); ++i)
            sample.logins_by_time[i] += listener.login.in_bucket(i);
    }
    for (const auto& [name, bytes] : source.relayed()) {
        sample.listeners[name].from_client = bytes.from_client;
        sample.listeners[name].from_server = bytes.from_server;
    }
    return sample;
}

json::object proxy_object(const LiveSource& source, std::string_view id) {
    return {{"name", text(source.name)},
            {"id", text(id)},
            {"version", version()},
            {"started", time(source.started)},
            {"pid", static_cast<std::int64_t>(::getpid())},
            {"phase", word_of(source.phase.load())},
            {"state_dir", text(source.state_dir)}};
}

json::array captures_array(const LiveSource& source) {
    json::array all;
    for (const CaptureStatus& capture : source.captures.status()) {
        all.push_back({{"id", capture.id == 0 ? json::value(nullptr) : json::value(capture.id)},
                       {"by", text(capture.by)},
                       {"payload", to_string(capture.order.payload)},
                       {"trigger", capture.order.failures_only ? "failures" : "all"},
                       {"filter", text(filter_text(capture.order.filter))},
                       {"where", text(capture.where)},
                       {"started", time(capture.started)},
                       {"until", time(capture.until)},
                       {"state", to_string(capture.state)},
                       {"sessions", capture.sessions},
                       {"packets", capture.packets},
                       {"bytes", capture.bytes},
                       {"dropped", capture.dropped},
                       {"left_out", capture.left_out},
                       {"keylog", capture.order.keylog},
                       {"allow_secrets", capture.order.allow_secrets},
                       {"reason", text(capture.reason)},
                       {"warning", text(capture.warning)}});
    }
    return all;
}

json::array prewarm_array(const LiveSource& source) {
    json::array all;
    for (const auto& [upstream, connections] : source.prewarmed()) {
        if (connections.wanted > 0 || connections.ready > 0)
            all.push_back({{"upstream", upstream}, {"ready", connections.ready}, {"wanted", connections.wanted}});
    }
    return all;
}

std::vector<Warning> live_warnings(const LiveSource& source, SystemTime now) {
    std::vector<Warning> warnings;
    const EventMetrics::Numbers numbers = source.recorder.metrics().numbers();
    if (!source.recorder.metrics().last_reload_succeeded()) {
        warnings.push_back({.critical = true,
                            .what = "reload_failed",
                            .text = "the last reload failed, what runs is older than the configuration's file: " +
                                    numbers.reload.error,
                            .since = numbers.reload.time});
    }
    if (const std::uint64_t dropped = source.recorder.counters().dropped(); dropped > 0) {
        warnings.push_back(
            {.critical = true,
             .what = "events_dropped",
             .text = report::plural(dropped, "event") +
                     " of this process were lost: the audit does not have them, nor perhaps the inventory"});
    }
    if (const auto unwritten = source.recorder.unwritten()) {
        warnings.push_back(
            {.critical = true, .what = "inventory_unwritten", .text = to_text(*unwritten), .since = unwritten->since});
    }
    if (const auto unshared = source.recorder.unshared())
        warnings.push_back({.what = "inventory_unshared", .text = to_text(*unshared), .since = unshared->since});
    const std::vector<Outages::Outage> outages = outages_of_today(source);
    for (const auto& [name, upstream] : numbers.upstreams) {
        for (const auto& [address, one] : upstream.addresses) {
            const bool is_down = std::any_of(outages.begin(), outages.end(),
                                             [&name = name, &address = address](const Outages::Outage& outage) {
                                                 return outage.upstream == name && outage.key == address;
                                             });
            if (!one.verified && !is_down) {
                warnings.push_back({.what = "upstream_unverified",
                                    .text = "the server " + address + " of " + name +
                                            " was not verified when it was last used: nobody knows who it is"});
            }
        }
    }
    for (const Outages::Outage& outage : outages) warnings.push_back(warning_of(outage));
    if (const auto running = source.running()) {
        for (const auto& route : running->listeners) {
            if (!route->tls) continue;
            const auto lives = route->tls->lives();
            const auto certificates = route->tls->certificates();
            for (std::size_t i = 0; i < lives.size(); ++i)
                warn_of_end(warnings, "the " + lives[i].key_type + " certificate of listener " + route->settings.name,
                            {certificates[i].not_before, certificates[i].not_after}, now,
                            running->config.audit.expiry_warning);
        }
    }
    warn_of_watched(source, now, warnings);
    for (const CaptureStatus& capture : source.captures.status()) {
        if (!is_under_way(capture) || !(capture.order.allow_secrets || capture.order.keylog)) continue;
        warnings.push_back(
            {.what = "capture_with_secrets",
             .text = "capture " + std::to_string(capture.id) + " by " + capture.by + " writes what may be secret",
             .since = capture.started});
    }
    return warnings;
}

}  // namespace proxy::dashboard
