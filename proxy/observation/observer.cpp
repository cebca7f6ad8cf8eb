#include "proxy/observation/observer.hpp"

#include <openssl/ssl.h>

#include <utility>

namespace proxy {

using protocol::Evidence;
using protocol::evidence_of;
using protocol::ProbeKind;
using protocol::Reaction;

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
    if (tls_open_) memories_.recent_clients.tls_failed(record_.client_addr, clock_().steady);
}

void Observer::tls_declined() {
    channel_ = Channel::declined;
    memories_.recent_clients.tls_declined(record_.client_addr, clock_().steady);
}

void Observer::tls_begun() {
    channel_ = Channel::tls;
    tls_open_ = true;
    memories_.recent_clients.tls_began(record_.client_addr);
}

std::optional<ProbeKind> Observer::choose_probe(const config::Probe& settings,
                                                const config::PerProbeKind<bool>& available) {
    probed_ = record_.origin();
    record_.probe = memories_.probes.choose(settings, available, *probed_, clock_().wall);
    return record_.probe;
}

void Observer::startup_received(config::Trust trust) {
    if (!record_.ssl) return startup_in_clear();
    finish_probe(Probes::Outcome::accepted);
    const bool undistributed = !record_.probe && trust == config::Trust::undistributed;
    add(undistributed ? Evidence::tls_startup_undistributed : evidence_of(Reaction::accepts, record_.probe));
    if (!record_.client_tls.client_dn.empty()) add(Evidence::client_certificate);
    if (memories_.recent_clients.was_rejected_in_clear(record_.caller(), clock_().steady))
        add(Evidence::tls_after_clear_refused);
}

void Observer::startup_in_clear() {
    const Moment now = clock_();
    const RecentClients& recent = memories_.recent_clients;
    memories_.probes.came_in_clear(record_.origin(), now.wall);
    if (channel_ == Channel::declined) {
        add(Evidence::clear_startup_after_no);
    } else if (recent.was_denied_over_tls(record_.caller(), now.steady)) {
        add(Evidence::clear_startup_after_tls_login);
    } else if (recent.may_have_failed_tls(record_.client_addr, now.steady)) {
        add(Evidence::clear_startup_after_tls);
    } else if (recent.was_declined_tls(record_.client_addr, now.steady)) {
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
        add(evidence_of(Reaction::refuses, record_.probe));
        finish_probe(Probes::Outcome::refused);
    } else if (end.alert < 0) {
        add(evidence_of(Reaction::leaves_silently, record_.probe));
        finish_probe(Probes::Outcome::left);
    }
    return true;
}

void Observer::rejected_in_clear() { memories_.recent_clients.rejected_in_clear(record_.caller(), clock_().steady); }

void Observer::login_denied() {
    if (record_.ssl) memories_.recent_clients.login_denied_over_tls(record_.caller(), clock_().steady);
}

/// A client that leaves instead of answering our offer may not know SCRAM, and is asked for its
/// password at once when it comes back. One that leaves then as well had another reason, such as no
/// password.
void Observer::scram_ended(const ScramConduct& conduct) {
    ScramHabits& habits = memories_.scram_habits;
    const auto now = clock_().steady;
    const bool spoke = conduct.gs2_flag != 0;
    if (conduct.left && conduct.asked_password)
        return spoke ? habits.left_switch(record_.caller(), now) : habits.left_password(record_.caller());
    if (conduct.left && conduct.was_offered) return habits.left_offer(record_.caller(), now);
    if (spoke) habits.spoke(record_.caller(), now);
}

bool Observer::wants_password() { return memories_.scram_habits.wants_password(record_.caller(), clock_().steady); }

void Observer::logged_in() {
    finish_probe(Probes::Outcome::accepted);
    if (!std::exchange(tls_open_, false)) return;
    memories_.recent_clients.tls_succeeded(record_.client_addr);
}

void Observer::finish_probe(Probes::Outcome outcome) {
    if (!probed_) return;
    Probes::Result result{.shown = record_.probe, .outcome = outcome, .client = {}};
    if (!record_.usename.empty()) result.client = record_.names();
    memories_.probes.ended(*probed_, result, clock_().wall);
    probed_.reset();
}

}  // namespace proxy
