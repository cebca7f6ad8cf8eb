#include "proxy/observation/observer.hpp"

#include <openssl/ssl.h>

#include <utility>

namespace proxy {
namespace {

using config::ProbeKind;
using protocol::Evidence;

/// A probe's kind; nullopt: the real certificate.
using Shown = std::optional<ProbeKind>;

Evidence accepted_evidence(Shown shown, config::Trust trust) {
    if (!shown)
        return trust == config::Trust::undistributed ? Evidence::tls_startup_undistributed : Evidence::tls_startup;
    switch (*shown) {
        case ProbeKind::untrusted: return Evidence::untrusted_accepted;
        case ProbeKind::wrong_name: return Evidence::wrong_name_accepted;
        case ProbeKind::candidate: break;
    }
    return Evidence::candidate_accepted;
}

Evidence refused_evidence(Shown shown) {
    if (!shown) return Evidence::tls_refused;
    switch (*shown) {
        case ProbeKind::untrusted: return Evidence::untrusted_refused;
        case ProbeKind::wrong_name: return Evidence::wrong_name_refused;
        case ProbeKind::candidate: break;
    }
    return Evidence::candidate_refused;
}

Evidence silent_evidence(Shown shown) {
    if (!shown) return Evidence::tls_refused_silently;
    switch (*shown) {
        case ProbeKind::untrusted: return Evidence::untrusted_refused_silently;
        case ProbeKind::wrong_name: return Evidence::wrong_name_refused_silently;
        case ProbeKind::candidate: break;
    }
    return Evidence::candidate_refused_silently;
}

}  // namespace

bool is_certificate_alert(int alert) noexcept {
    switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA: return true;
        default: return false;
    }
}

Observer::Observer(Memories memories, SessionRecord& record, Clock clock)
    : memories_(memories), record_(record), clock_(std::move(clock)) {}

Observer::~Observer() {
    finish_probe(Probes::Outcome::neither);
    if (tls_open_) memories_.sources.tls_ended(record_.client_addr, true, clock_().steady);
}

void Observer::tls_declined() {
    channel_ = Channel::declined;
    memories_.sources.tls_declined(record_.client_addr, clock_().steady);
}

void Observer::tls_begun() {
    channel_ = Channel::tls;
    tls_open_ = true;
    memories_.sources.tls_began(record_.client_addr);
}

std::optional<ProbeKind> Observer::choose_probe(const config::Probe& settings, const std::array<bool, 3>& available) {
    probed_ = origin();
    record_.probe = memories_.probes.choose(settings, available, *probed_, clock_().wall);
    return record_.probe;
}

void Observer::startup_received(config::Trust trust) {
    if (!record_.ssl) return startup_in_clear();
    finish_probe(Probes::Outcome::accepted);
    add(accepted_evidence(record_.probe, trust));
    if (!record_.client_tls.client_dn.empty()) add(Evidence::client_certificate);
    if (memories_.sources.clear_was_refused(identity(), clock_().steady)) add(Evidence::tls_after_clear_refused);
}

void Observer::startup_in_clear() {
    const Moment now = clock_();
    const Sources& sources = memories_.sources;
    memories_.probes.came_in_clear(origin(), now.wall);
    if (channel_ == Channel::declined) {
        add(Evidence::clear_startup_after_no);
    } else if (sources.login_was_refused_over_tls(identity(), now.steady)) {
        add(Evidence::clear_startup_after_tls_login);
    } else if (sources.tls_was_refused(record_.client_addr, now.steady)) {
        add(Evidence::clear_startup_after_tls);
    } else if (sources.tls_was_declined(record_.client_addr, now.steady)) {
        add(Evidence::clear_startup_after_declined);
    } else {
        add(Evidence::clear_startup);
    }
}

/// One that came through TLS has accepted our certificate, and is no login that failed.
void Observer::cancel_requested() { logged_in(); }

/// In clear that is a port check; around TLS it tells something.
bool Observer::ended_early(const EarlyEnd& end) {
    if (end.by_us || channel_ == Channel::clear) return false;
    if (channel_ == Channel::declined) {
        if (end.within_packet) return false;  // it went on in clear: how, nobody knows
        add(Evidence::closed_after_no);
    } else if (!end.client_hello_seen) {
        add(Evidence::no_client_hello);
    } else if (is_certificate_alert(end.alert)) {
        add(refused_evidence(record_.probe));
        finish_probe(Probes::Outcome::refused);
    } else if (end.alert < 0) {
        add(silent_evidence(record_.probe));
        finish_probe(Probes::Outcome::left);
    }
    return true;
}

void Observer::rejected_in_clear() { memories_.sources.clear_refused(identity(), clock_().steady); }

void Observer::login_refused() {
    if (record_.ssl) memories_.sources.login_refused_over_tls(identity(), clock_().steady);
}

/// A client that leaves instead of answering our offer may not know SCRAM, and is asked for its
/// password at once when it comes back. One that leaves then as well had another reason, such as no
/// password.
void Observer::scram_ended(const ScramConduct& conduct) {
    Sources& sources = memories_.sources;
    const auto now = clock_().steady;
    const bool spoke = conduct.gs2_flag != 0;
    if (conduct.left && conduct.asked_password)
        return spoke ? sources.switch_declined(identity(), now) : sources.password_declined(identity());
    if (conduct.left && conduct.was_offered) return sources.scram_declined(identity(), now);
    if (spoke) sources.scram_spoken(identity(), now);
}

bool Observer::left_scram_before() { return memories_.sources.scram_was_declined(identity(), clock_().steady); }

void Observer::logged_in() {
    finish_probe(Probes::Outcome::accepted);
    if (!std::exchange(tls_open_, false)) return;
    memories_.sources.tls_ended(record_.client_addr, false, clock_().steady);
}

void Observer::finish_probe(Probes::Outcome outcome) {
    if (!probed_) return;
    const std::string client =
        record_.usename.empty() ? "" : record_.usename + '\n' + record_.datname + '\n' + record_.application_name;
    memories_.probes.ended(*probed_, record_.probe, outcome, client, clock_().wall);
    probed_.reset();
}

Sources::Identity Observer::identity() const {
    constexpr std::size_t max_name = 63;  // NAMEDATALEN - 1
    return {.listener = record_.listener,
            .address = record_.client_addr,
            .usename = record_.usename.substr(0, max_name),
            .datname = record_.datname.substr(0, max_name),
            .application_name = record_.application_name.substr(0, max_name)};
}

Probes::Source Observer::origin() const {
    Probes::Source source{.upstream = record_.upstream, .address = record_.client_addr, .exe = {}};
    if (record_.process) source.exe = record_.process->get(std::chrono::milliseconds(0)).exe;
    return source;
}

}  // namespace proxy
