#include "proxy/observation/observer.hpp"

#include <openssl/ssl.h>

#include <utility>

namespace proxy {

using protocol::Evidence;
using protocol::evidence_of;
using protocol::ProbeKind;
using protocol::Reaction;

/// After a Certificate that the client could read. RFC 8446, 6.2 has alerts for that, 42 to 48, but
/// not every library uses them: Erlang/OTP says handshake_failure of a wrong name, OpenSSL the same
/// of an application's own check and internal_error of some chains, others access_denied. The rest
/// are about versions, ciphers, formats and signatures: it could not have gone on with any
/// certificate.
bool is_certificate_alert(int alert) noexcept {
    switch (alert) {
        case SSL_AD_HANDSHAKE_FAILURE:
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_ACCESS_DENIED:
        case SSL_AD_INTERNAL_ERROR:
        case SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE: return true;
        default: return false;
    }
}

namespace {

/// By a clock that somebody may have set, which they are told.
Probes::Time for_probes(Probes& probes, const Moment& now) {
    probes.clocks_are(now.wall, now.steady);
    return now.wall;
}

}  // namespace

Observer::Observer(Memories memories, SessionRecord& record, Clock clock)
    : memories_(memories), record_(record), clock_(std::move(clock)) {}

Observer::~Observer() { settle(); }

/// What a front's TLS does is no behaviour of the client: nothing of it is remembered of that.
bool Observer::sees_front() const noexcept { return record_.tls_is_of_front(); }

void Observer::tls_declined() {
    channel_ = Channel::declined;
    memories_.recent_clients.tls_declined(record_.client_addr, record_.process, clock_().steady);
}

void Observer::tls_begun() {
    channel_ = Channel::tls;
    if (sees_front()) return;
    attempt_ = memories_.recent_clients.tls_began(record_.client_addr, record_.process, clock_().steady);
}

std::optional<ProbeKind> Observer::choose_probe(const config::Probe& settings, const Probes::Available& available) {
    if (sees_front()) {
        record_.not_probed = NotProbed::tls_of_front;
        return std::nullopt;
    }
    if (probed_ || !admitted_) return record_.probe;
    probed_ = Probes::Visitor{.source = record_.origin(),
                              .fingerprint = fingerprint_of(record_.ja4, record_.sni),
                              .searching = record_.process && !record_.process->is_done()};
    const Probes::Choice choice =
        memories_.probes.choose(settings, available, *probed_, for_probes(memories_.probes, clock_()));
    record_.probe = choice.kind;
    if (!choice.kind) {
        record_.not_probed = choice.why_not.reason;
    }
    return record_.probe;
}

void Observer::startup_received(config::Trust trust) {
    const Moment now = clock_();
    RecentClients& recent = memories_.recent_clients;
    if (record_.front && record_.front->ends_tls()) {
        add(Evidence::tls_at_front);
        if (record_.front->tls->certificate) add(Evidence::client_certificate);
        return;
    }
    if (sees_front()) return add(Evidence::tls_perhaps_of_front);
    if (!record_.ssl) {
        came_in_clear_ = for_probes(memories_.probes, now);
        if (!record_.process || record_.process->is_done()) tell_probes_of_clear();
        if (channel_ == Channel::declined) return add(Evidence::clear_startup_after_no);
        in_clear_ = InClear{.suspects = recent.before(record_.client_addr, now.steady),
                            .arrival = {record_.caller(), record_.process, now.steady}};
        return;
    }
    finish_probe(Probes::Outcome::accepted);
    const bool undistributed = !record_.probe && trust == config::Trust::undistributed;
    add(undistributed ? Evidence::tls_startup_undistributed : evidence_of(Reaction::accepts, record_.probe));
    if (!record_.client_tls.client_dn.empty()) add(Evidence::client_certificate);
    rejected_before_ = recent.was_rejected_in_clear(record_.caller(), now.steady);
}

/// One that came through TLS has accepted our certificate, and is no login that failed.
void Observer::cancel_requested() { logged_in(); }

/// In clear that is a port check; around TLS it tells something.
bool Observer::ended_early(const EarlyEnd& end) {
    if (end.by_us) finish_tls(TlsEnd::success);
    if (end.by_us || channel_ == Channel::clear) return false;
    if (sees_front()) return true;
    if (channel_ == Channel::tls) return ended_in_tls(end);
    if (end.within_packet) return false;  // it went on in clear: how, nobody knows
    add(Evidence::closed_after_no);
    return true;
}

/// Whether it is evidence, whether it may be followed by a fallback, and whether a probe was lost
/// by it are three questions. A loss is every end after the certificate was sent: settle() sees to
/// those that prove nothing.
///
/// For a fallback, an end counts whose cause may be the client, or what it cannot do: it left
/// without a ClientHello (libpq does when its own files are broken, and `prefer` then goes on in
/// clear), or version and cipher did not match. Each makes the claim about a later clear text
/// weaker, so it is the careful side. What is no TLS at all is nobody's attempt.
bool Observer::ended_in_tls(const EarlyEnd& end) {
    if (!end.client_hello_seen) {
        if (!end.we_failed) add(Evidence::no_client_hello);
        finish_tls(end.we_failed ? TlsEnd::success : TlsEnd::failure);
    } else if (certificate_sent_ && !end.we_failed && is_certificate_alert(end.alert)) {
        add(evidence_of(Reaction::refuses, record_.probe));
        finish_probe(Probes::Outcome::refused);
        finish_tls(TlsEnd::refusal);
    } else if (certificate_sent_ && !end.we_failed && end.alert < 0) {
        add(evidence_of(Reaction::leaves_silently, record_.probe));
        finish_probe(Probes::Outcome::left);
        finish_tls(TlsEnd::refusal);
    } else {
        finish_tls(TlsEnd::failure);
    }
    return true;
}

bool Observer::is_undecided() const {
    return in_clear_ && memories_.recent_clients.is_open(in_clear_->suspects, in_clear_->arrival);
}

/// Not one that had tried TLS just before: `prefer` goes round in a circle where both are refused.
void Observer::rejected_in_clear() {
    using Before = RecentClients::Before;
    if (!in_clear_) return;
    if (memories_.recent_clients.judge(in_clear_->suspects, in_clear_->arrival).before != Before::nothing) return;
    memories_.recent_clients.rejected_in_clear(record_.caller(), record_.process, clock_().steady);
}

void Observer::login_denied() {
    if (record_.ssl) finish_tls(TlsEnd::denial);
}

/// A client that leaves instead of answering our offer may not know SCRAM, and is asked for its
/// password at once when it comes back. One that leaves then as well had another reason, such as no
/// password.
void Observer::scram_ended(const ScramConduct& conduct) {
    ScramHabits& habits = memories_.scram_habits;
    const auto now = clock_().steady;
    const bool spoke = conduct.gs2_flag != 0;
    if (conduct.left && conduct.asked_password)
        return spoke ? habits.left_switch(record_.caller(), now) : habits.left_password(record_.caller(), now);
    if (conduct.left && conduct.was_offered) return habits.left_offer(record_.caller(), now);
    if (spoke) return habits.spoke(record_.caller(), now);
    if (conduct.gave_password) habits.gave_password(record_.caller(), now);
}

bool Observer::wants_password() { return memories_.scram_habits.wants_password(record_.caller(), clock_().steady); }

void Observer::logged_in() {
    finish_probe(Probes::Outcome::accepted);
    finish_tls(TlsEnd::success);
}

void Observer::settle() {
    finish_probe(certificate_sent_ ? Probes::Outcome::lost : Probes::Outcome::neither);
    finish_tls(TlsEnd::failure);
    settle_in_clear();
    settle_after_rejection();
}

/// Told when its process is known, or will not be any more: another program is another source.
void Observer::tell_probes_of_clear() {
    if (const auto when = std::exchange(came_in_clear_, std::nullopt))
        memories_.probes.came_in_clear(record_.origin(), *when);
}

void Observer::settle_in_clear() {
    tell_probes_of_clear();
    if (!in_clear_) return;
    using Before = RecentClients::Before;
    const auto judgement = memories_.recent_clients.judge(in_clear_->suspects, in_clear_->arrival);
    in_clear_.reset();
    switch (judgement.before) {
        case Before::nothing: add(Evidence::clear_startup); break;
        case Before::declined: add(Evidence::clear_startup_after_declined); break;
        case Before::perhaps_failed: add(Evidence::clear_startup_after_tls); break;
        case Before::refused: add(Evidence::clear_startup_after_refusal); break;
        case Before::denied: add(Evidence::clear_startup_after_tls_login); break;
    }
    if (!judgement.certificate.empty() && memories_.recent_clients.is_first_fallback(record_.origin()))
        refused_certificate_ = judgement.certificate;
}

void Observer::settle_after_rejection() {
    if (!rejected_before_) return;
    if (same_process(*rejected_before_, record_.process) != SameProcess::no) add(Evidence::tls_after_clear_refused);
    rejected_before_.reset();
}

void Observer::finish_tls(TlsEnd end) {
    const auto attempt = std::exchange(attempt_, nullptr);
    if (!attempt) return;
    RecentClients::Ending ending{.end = end};
    if (!record_.usename.empty()) ending.caller = record_.caller();
    if (end == TlsEnd::refusal && !record_.probe) ending.certificate = record_.client_tls.certificate_shown;
    memories_.recent_clients.tls_ended(attempt, std::move(ending), clock_().steady);
}

void Observer::finish_probe(Probes::Outcome outcome) {
    if (!probed_) return;
    Probes::Result result{.shown = record_.probe, .outcome = outcome, .client = {}};
    if (!record_.usename.empty()) result.client = record_.names();
    if (record_.probe && outcome != Probes::Outcome::neither)
        record_.probe_end = outcome == Probes::Outcome::accepted ? ProbeEnd::accepted : ProbeEnd::lost;
    memories_.probes.ended(*probed_, result, for_probes(memories_.probes, clock_()));
    probed_.reset();
}

}  // namespace proxy
