#include "proxy/metrics/event_metrics.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "proxy/observation/often.hpp"

namespace proxy {
namespace {

template <class Array>
void add_each(Array& to, const Array& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

constexpr std::size_t index(Reason reason) noexcept { return static_cast<std::size_t>(reason); }

void forget_old_addresses(UpstreamNumbers& upstream, AddressNumbers::Time now) {
    std::erase_if(upstream.addresses,
                  [&](const auto& one) { return now - one.second.served > UpstreamNumbers::address_memory; });
}

void note_address(UpstreamNumbers& upstream, const Event& event) {
    const SessionRecord& record = event.record;
    if (!upstream.addresses.contains(record.upstream_addr) &&
        upstream.addresses.size() >= UpstreamNumbers::max_addresses) {
        forget_old_addresses(upstream, event.time);
        if (upstream.addresses.size() >= UpstreamNumbers::max_addresses) return;
    }
    AddressNumbers& address = upstream.addresses[record.upstream_addr];
    address.served = event.time;
    address.verified = !record.upstream_tls.anchor.empty();
    address.not_after = record.upstream_tls.leaf ? record.upstream_tls.leaf->not_after : AddressNumbers::Time{};
    // Into the memory of the login before, which is mostly the same.
    address.version = record.upstream_tls.version;
    address.cipher = record.upstream_tls.cipher;
    address.anchor = record.upstream_tls.anchor;
    address.leaf = record.upstream_tls.leaf;
    address.candidate_ok = record.upstream_tls.candidate_ok;
    // A login that the server refused says nothing of its role; one that succeeded without a word
    // about it says that it does not report one.
    if (record.upstream_role == protocol::HostRole::unknown && event.kind != EventKind::connected) return;
    address.role = record.upstream_role;
    address.role_seen = event.time;
}

/// `ours` becomes what both parts know: what was seen last.
void merge_address(AddressNumbers& ours, const AddressNumbers& other) {
    const AddressNumbers& told = other.role_seen > ours.role_seen ? other : ours;
    const auto role = told.role;
    const auto role_seen = told.role_seen;
    if (other.served > ours.served) ours = other;
    ours.role = role;
    ours.role_seen = role_seen;
}

void forget_what_is_old(UpstreamNumbers& upstream, AddressNumbers::Time now) {
    forget_old_addresses(upstream, now);
    for (auto& [name, address] : upstream.addresses) address.forget_old_role(now);
}

/// A server was reached, whatever it said of the login.
void count_server(UpstreamNumbers& upstream, const Event& event) {
    const SessionRecord& record = event.record;
    if (record.upstream_addr.empty()) return;
    const auto found = !record.upstream_ssl                 ? UpstreamNumbers::clear
                       : record.upstream_tls.anchor.empty() ? UpstreamNumbers::unverified
                                                            : UpstreamNumbers::verified;
    ++upstream.found[found];
    note_address(upstream, event);
}

void count_failure(UpstreamNumbers& upstream, const Event& event) {
    ++upstream.failures[index(event.reason)];
    upstream.failed = event.time;
    upstream.failure = event.verify_error.empty() ? event.message : "certificate refused: " + event.verify_error;
}

void count_connected(EventMetrics::Numbers& numbers, const Event& event) {
    const SessionRecord& record = event.record;
    ListenerNumbers& listener = numbers.listeners[record.listener];
    ++listener.connections[record.ssl ? 1 : 0][static_cast<std::size_t>(record.sslmode().verifies())];
    ++listener.open;
    listener.login.observe(record.timings.total, record.session, event.time);
    if (record.timings.client_tls.count() > 0)
        numbers.client_handshakes.observe(record.timings.client_tls, {}, event.time);
    if (record.timings.upstream_tls.count() > 0)
        numbers.server_handshakes.observe(record.timings.upstream_tls, {}, event.time);
    count_server(numbers.upstreams[record.upstream], event);
}

void count_in(EventMetrics::Numbers& numbers, const Event& event) {
    const SessionRecord& record = event.record;
    switch (event.kind) {
        case EventKind::connected: count_connected(numbers, event); break;
        case EventKind::disconnected: --numbers.listeners[record.listener].open; break;
        case EventKind::tls_failed:
            ++numbers.listeners[record.listener].tls_failures[index_of_alert(event.alert)];
            break;
        case EventKind::rejected: ++numbers.listeners[record.listener].rejections[index(event.reason)]; break;
        case EventKind::auth_failed:
            ++numbers.listeners[record.listener].login_failures[index(event.reason)];
            count_server(numbers.upstreams[record.upstream], event);
            break;
        case EventKind::oauth_discovery: count_server(numbers.upstreams[record.upstream], event); break;
        case EventKind::upstream_failed:
            ++numbers.listeners[record.listener].login_failures[index(event.reason)];
            count_failure(numbers.upstreams[record.upstream], event);
            break;
        case EventKind::upstream_certificate:
            ++numbers.upstreams[record.upstream].certificates[static_cast<std::size_t>(ca_change(event))];
            break;
        case EventKind::reload_failed: numbers.reload = {.time = event.time, .error = event.message}; break;
        case EventKind::capture_stopped:
            if (!event.capture) break;
            numbers.capture_bytes += event.capture->bytes;
            numbers.capture_dropped += event.capture->dropped;
            break;
        default: break;
    }
}

}  // namespace

void ListenerNumbers::add(const ListenerNumbers& other) {
    for (std::size_t ssl = 0; ssl < connections.size(); ++ssl) add_each(connections[ssl], other.connections[ssl]);
    open += other.open;
    add_each(tls_failures, other.tls_failures);
    add_each(rejections, other.rejections);
    add_each(login_failures, other.login_failures);
    login.add(other.login);
}

void UpstreamNumbers::add(const UpstreamNumbers& other) {
    add_each(found, other.found);
    add_each(failures, other.failures);
    add_each(certificates, other.certificates);
    if (other.failed > failed) {
        failed = other.failed;
        failure = other.failure;
    }
    for (const auto& [name, address] : other.addresses) merge_address(addresses[name], address);
}

void AddressNumbers::forget_old_role(Time now) noexcept {
    if (now - role_seen <= UpstreamNumbers::address_memory) return;
    role = protocol::HostRole::unknown;
    role_seen = {};
}

void EventMetrics::serve(const std::vector<std::string>& listeners, const std::vector<std::string>& upstreams) {
    const std::lock_guard lock(parts_.front().mutex);
    for (const std::string& name : listeners) parts_.front().numbers.listeners[name];
    for (const std::string& name : upstreams) parts_.front().numbers.upstreams[name];
}

void EventMetrics::count(const Event& event) noexcept {
    if (event.kind == EventKind::reloaded) last_reload_succeeded_ = true;
    if (event.kind == EventKind::reload_failed) last_reload_succeeded_ = false;
    try {
        Part& part = own_part();
        const std::lock_guard lock(part.mutex);
        count_in(part.numbers, event);
    } catch (const std::bad_alloc&) {
        spdlog::log(often("metrics", {}), spdlog::level::err, "metrics: out of memory");
    }
}

EventMetrics::Numbers EventMetrics::numbers() const {
    Numbers sum;
    for (const Part& part : parts_) {
        const std::lock_guard lock(part.mutex);
        for (const auto& [name, listener] : part.numbers.listeners) sum.listeners[name].add(listener);
        for (const auto& [name, upstream] : part.numbers.upstreams) sum.upstreams[name].add(upstream);
        sum.client_handshakes.add(part.numbers.client_handshakes);
        sum.server_handshakes.add(part.numbers.server_handshakes);
        sum.capture_bytes += part.numbers.capture_bytes;
        sum.capture_dropped += part.numbers.capture_dropped;
        if (part.numbers.reload.time > sum.reload.time) sum.reload = part.numbers.reload;
    }
    const auto now = std::chrono::system_clock::now();
    for (auto& [name, upstream] : sum.upstreams) forget_what_is_old(upstream, now);
    return sum;
}

std::map<std::string, AddressNumbers> EventMetrics::addresses(const std::string& upstream) const {
    UpstreamNumbers sum;
    for (const Part& part : parts_) {
        const std::lock_guard lock(part.mutex);
        const auto found = part.numbers.upstreams.find(upstream);
        if (found == part.numbers.upstreams.end()) continue;
        for (const auto& [name, address] : found->second.addresses) merge_address(sum.addresses[name], address);
    }
    forget_what_is_old(sum, std::chrono::system_clock::now());
    return std::move(sum.addresses);
}

std::optional<AddressNumbers::Time> EventMetrics::last_served(const std::string& upstream, bool verified) const {
    std::optional<AddressNumbers::Time> last;
    for (const Part& part : parts_) {
        const std::lock_guard lock(part.mutex);
        const auto found = part.numbers.upstreams.find(upstream);
        if (found == part.numbers.upstreams.end()) continue;
        for (const auto& [name, address] : found->second.addresses) {
            if ((address.verified || !verified) && (!last || address.served > *last)) last = address.served;
        }
    }
    return last;
}

std::optional<EventMetrics::LastFailure> EventMetrics::last_failure(const std::string& upstream) const {
    std::optional<LastFailure> last;
    for (const Part& part : parts_) {
        const std::lock_guard lock(part.mutex);
        const auto found = part.numbers.upstreams.find(upstream);
        if (found == part.numbers.upstreams.end() || found->second.failed == AddressNumbers::Time{}) continue;
        if (!last || found->second.failed > last->time)
            last = LastFailure{.time = found->second.failed, .error = found->second.failure};
    }
    return last;
}

/// A thread keeps its part: a session's end is counted where its beginning was.
EventMetrics::Part& EventMetrics::own_part() noexcept {
    static std::atomic<std::size_t> threads{0};
    thread_local const std::size_t mine = threads.fetch_add(1, std::memory_order_relaxed);
    return parts_[mine % parts];
}

}  // namespace proxy
