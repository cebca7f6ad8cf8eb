#include "tls/judgement.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <memory>
#include <new>
#include <set>

#include "tls/upstream_context.hpp"
#include "tls/verification.hpp"

namespace tls {
namespace {

/// With what goes wrong noted as in a handshake of `ours`.
bool verify(X509_STORE_CTX* verification, SSL* ours, VerifyFailure& failure) {
    HandshakeNotes notes;
    notes.attach(ours);
    X509_STORE_CTX_set_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx(), ours);
    X509_STORE_CTX_set_verify_cb(verification, note_verify_failure);
    const bool ok = X509_verify_cert(verification) == 1;
    ERR_clear_error();
    HandshakeNotes::detach(ours);
    failure = std::move(notes.verify);
    if (ok || failure.code != X509_V_OK) return ok;
    // It failed before any certificate was looked at.
    failure.code = X509_STORE_CTX_get_error(verification);
    if (failure.code == X509_V_OK) failure.code = X509_V_ERR_UNSPECIFIED;
    failure.reason = X509_verify_cert_error_string(failure.code);
    return false;
}

}  // namespace

Judgement UpstreamContext::judge(SSL* shown, const std::string& host, Naming naming) const {
    Judgement judgement;
    STACK_OF(X509)* const sent = SSL_get_peer_cert_chain(shown);
    if (sk_X509_num(sent) < 1) {
        judgement.failure.code = X509_V_ERR_UNSPECIFIED;
        judgement.failure.reason = "the server showed no certificate";
        return judgement;
    }
    std::set<std::string> was_sent, listed;
    for (int i = 0; i < sk_X509_num(sent); ++i) was_sent.insert(digest(*sk_X509_value(sent, i)));
    const auto add = [&](const X509& certificate, bool used) {
        const std::string key = digest(certificate);
        if (!listed.insert(key).second) return;
        const auto anchor = anchors_.find(key);
        judgement.chain.push_back({.certificate = tls::describe(certificate),
                                   .sent = was_sent.contains(key),
                                   .anchor_file = anchor == anchors_.end() ? std::string() : anchor->second.file,
                                   .used = used});
    };
    const SslPtr ours(SSL_new(context_.get()));
    if (!ours) throw std::bad_alloc();
    if (naming == Naming::demanded) demand_name(ours.get(), host);
    const Verification verification = verification_of(ours.get(), SSL_CTX_get_cert_store(context_.get()), sent);
    const bool verified = verifies_chain_ && verify(verification.get(), ours.get(), judgement.failure);
    if (verified) {
        const STACK_OF(X509)* const chain = X509_STORE_CTX_get0_chain(verification.get());
        for (int i = 0; i < sk_X509_num(chain); ++i) add(*sk_X509_value(chain, i), true);
        const X509& anchor = *sk_X509_value(chain, sk_X509_num(chain) - 1);
        in_use_.note_used(Use::anchor, chain);
        judgement.anchor_key_sha256 = key_sha256(anchor);
        judgement.anchor = judgement.chain.back().certificate.subject;
        judgement.anchor_file = judgement.chain.back().anchor_file;
    }
    for (int i = 0; i < sk_X509_num(sent); ++i) add(*sk_X509_value(sent, i), !verified);
    return judgement;
}

}  // namespace tls
