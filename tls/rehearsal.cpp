#include "tls/rehearsal.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

namespace tls {
namespace {

/// More chains than any upstream shows within an hour.
constexpr std::size_t max_remembered = 256;

struct Free {
    void operator()(X509_STORE_CTX* p) const noexcept { X509_STORE_CTX_free(p); }
    void operator()(STACK_OF(X509) * p) const noexcept { sk_X509_pop_free(p, X509_free); }
};

/// A leaf that comes with other issuers is another question: whether a path to an anchor exists may
/// depend on them.
std::string question(SSL* ssl, const STACK_OF(X509) * chain) {
    std::string key(1, static_cast<char>(SSL_get_security_level(ssl)));
    for (int i = 0; i < sk_X509_num(chain); ++i) key += digest(*sk_X509_value(chain, i));
    return key;
}

/// As OpenSSL itself prepares a verification within a handshake, but for the names.
void verify_as_in_a_handshake(X509_STORE_CTX* verification, SSL* ssl) {
    X509_STORE_CTX_set_default(verification, "ssl_server");
    X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(verification);
    // Before the connection's own parameters, which may say otherwise and by default name none.
    X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
    X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl));
    X509_VERIFY_PARAM_set1_host(param, nullptr, 0);
    X509_VERIFY_PARAM_set1_ip(param, nullptr, 0);
}

}  // namespace

Rehearsal::Rehearsal(StorePtr anchors, const CertificatesInUse* in_use)
    : anchors_(std::move(anchors)), in_use_(in_use), answers_(max_remembered) {
    const std::unique_ptr<STACK_OF(X509), Free> all(X509_STORE_get1_all_certs(anchors_.get()));
    for (int i = 0; i < sk_X509_num(all.get()); ++i) {
        const Validity validity = validity_of(*sk_X509_value(all.get(), i));
        turns_.push_back(validity.not_before);
        turns_.push_back(validity.not_after);
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
    const std::unique_ptr<X509_STORE_CTX, Free> verification(X509_STORE_CTX_new());
    if (!verification || X509_STORE_CTX_init(verification.get(), anchors_.get(), sk_X509_value(chain, 0), chain) != 1)
        throw std::bad_alloc();
    verify_as_in_a_handshake(verification.get(), ssl);
    X509_STORE_CTX_set_time(verification.get(), 0, std::chrono::system_clock::to_time_t(now));
    const bool ok = X509_verify_cert(verification.get()) == 1;
    ERR_clear_error();
    const STACK_OF(X509)* const verified = X509_STORE_CTX_get0_chain(verification.get());
    if (ok && in_use_) in_use_->note_used(Use::candidate, verified);
    const TimePoint until = std::min(next_turn(chain, now), next_turn(verified, now));
    return {.ok = ok, .since = now, .until = until};
}

/// No later than the next moment at which one of the candidate's certificates or of `chain` begins
/// or ceases to be valid.
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
