#include "tls/rehearsal.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "tls/verification.hpp"

namespace tls {
namespace {

/// More chains than any upstream shows within an hour.
constexpr std::size_t max_remembered = 256;

/// A leaf that comes with other issuers is another question: whether a path to an anchor exists may
/// depend on them.
std::string question(SSL* ssl, const STACK_OF(X509) * chain) {
    std::string key(1, static_cast<char>(SSL_get_security_level(ssl)));
    for (int i = 0; i < sk_X509_num(chain); ++i) key += digest(*sk_X509_value(chain, i));
    return key;
}

}  // namespace

Rehearsal::Rehearsal(StorePtr anchors, const CertificatesInUse* in_use)
    : anchors_(std::move(anchors)), in_use_(in_use), answers_(max_remembered) {
    const auto add = [&](const Validity& validity) {
        turns_.push_back(validity.not_before);
        turns_.push_back(validity.not_after);
    };
    // Nobody else has the store yet, and nothing comes into it any more.
    const STACK_OF(X509_OBJECT)* const all = X509_STORE_get0_objects(anchors_.get());
    for (int i = 0; i < sk_X509_OBJECT_num(all); ++i) {
        X509_OBJECT* const one = sk_X509_OBJECT_value(all, i);
        if (const X509* const certificate = X509_OBJECT_get0_X509(one)) add(validity_of(*certificate));
        if (const X509_CRL* const crl = X509_OBJECT_get0_X509_CRL(one)) add(validity_of(*crl));
    }
    std::sort(turns_.begin(), turns_.end());
}

bool Rehearsal::judge(SSL* ssl, TimePoint now) const {
    const STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
    if (sk_X509_num(chain) < 1) return false;
    const std::string key = question(ssl, chain);
    {
        const std::lock_guard lock(mutex_);
        const Answer* const found = answers_.find(key);
        // A clock that was set back is no reason to believe an answer of the future.
        if (found && found->since <= now && now < found->until) return found->ok;
    }
    const Answer answer = verify(ssl, now);
    const std::lock_guard lock(mutex_);
    answers_.put(key, answer);
    return answer.ok;
}

Rehearsal::Answer Rehearsal::verify(SSL* ssl, TimePoint now) const {
    STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
    const Verification verification = verification_of(ssl, anchors_.get(), chain);
    X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(verification.get());
    X509_VERIFY_PARAM_set1_host(param, nullptr, 0);
    X509_VERIFY_PARAM_set1_ip(param, nullptr, 0);
    X509_STORE_CTX_set_time(verification.get(), 0, std::chrono::system_clock::to_time_t(now));
    const bool ok = X509_verify_cert(verification.get()) == 1;
    ERR_clear_error();
    const STACK_OF(X509)* const verified = X509_STORE_CTX_get0_chain(verification.get());
    if (ok && in_use_) in_use_->note_used(Use::candidate, verified);
    const TimePoint until = std::min(next_turn(chain, now), next_turn(verified, now));
    return {.ok = ok, .since = now, .until = until};
}

/// No later than the next moment at which one of the candidate's certificates, a CRL or one of
/// `chain` begins or ceases to be valid.
Rehearsal::TimePoint Rehearsal::next_turn(const STACK_OF(X509) * chain, TimePoint now) const {
    TimePoint until = now + longest_memory;
    const auto next = std::upper_bound(turns_.begin(), turns_.end(), now);
    if (next != turns_.end()) until = std::min(until, *next);
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        const Validity validity = validity_of(*sk_X509_value(chain, i));
        for (const TimePoint turn : {validity.not_before, validity.not_after}) {
            if (turn > now) until = std::min(until, turn);
        }
    }
    return until;
}

}  // namespace tls
