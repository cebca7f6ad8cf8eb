#include "tls/verify_failure.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>

#include "protocol/utf8.hpp"
#include "tls/handshake.hpp"

namespace tls {
namespace {

using IssuerAnchor = VerifyFailure::IssuerAnchor;

struct FreeCertificates {
    void operator()(STACK_OF(X509) * p) const noexcept { sk_X509_pop_free(p, X509_free); }
};

std::string common_name_of(const X509& certificate) {
    std::array<char, 256> text{};
    const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName, text.data(),
                                               static_cast<int>(text.size()));
    ERR_clear_error();
    return size > 0 ? protocol::printable(protocol::as_utf8(text.data())) : std::string();
}

std::string key_of(const X509& certificate) {
    const EVP_PKEY* const key = X509_get0_pubkey(&certificate);
    const char* const type = key ? EVP_PKEY_get0_type_name(key) : nullptr;
    if (!type) return "a key that OpenSSL does not know";
    return std::string(type) + ", " + std::to_string(EVP_PKEY_get_bits(key)) + " bits";
}

using Certificates = std::unique_ptr<STACK_OF(X509), FreeCertificates>;

bool is_anchor(X509_STORE_CTX* store, const X509& certificate) {
    const Certificates named(X509_STORE_CTX_get1_certs(store, X509_get_subject_name(&certificate)));
    for (int i = 0; i < sk_X509_num(named.get()); ++i) {
        if (X509_cmp(sk_X509_value(named.get(), i), &certificate) == 0) return true;
    }
    return false;
}

/// The truth of the signature itself: key identifiers say which authority was meant, and may be
/// missing.
IssuerAnchor issuer_anchor_of(X509_STORE_CTX* store, X509* certificate) {
    constexpr int enough = 8;
    const Certificates named(X509_STORE_CTX_get1_certs(store, X509_get_issuer_name(certificate)));
    IssuerAnchor found = IssuerAnchor::none;
    for (int i = 0; i < sk_X509_num(named.get()) && i < enough; ++i) {
        const X509* const anchor = sk_X509_value(named.get(), i);
        if (X509_cmp(anchor, certificate) == 0) continue;  // it is the anchor itself
        found = IssuerAnchor::other_key;
        if (X509_verify(certificate, X509_get0_pubkey(anchor)) == 1) return IssuerAnchor::same_key;
    }
    return found;
}

void note_current(VerifyFailure& failure, X509_STORE_CTX* store, X509* current) {
    const CertificateFacts facts = describe(*current);
    failure.certificate = facts.subject;
    failure.issuer = facts.issuer;
    failure.not_before = facts.not_before;
    failure.not_after = facts.not_after;
    failure.key = key_of(*current);
    const int signature = X509_get_signature_nid(current);
    failure.signature = signature == NID_undef ? "an unknown algorithm" : OBJ_nid2ln(signature);
    failure.is_anchor = is_anchor(store, *current);
    failure.issuer_anchor = issuer_anchor_of(store, current);
}

}  // namespace

int note_verify_failure(int ok, X509_STORE_CTX* store) {
    if (ok) return 1;
    const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    HandshakeNotes* notes = ssl ? HandshakeNotes::of(ssl) : nullptr;
    if (!notes || notes->verify.code != X509_V_OK) return 0;
    VerifyFailure& failure = notes->verify;
    failure.code = X509_STORE_CTX_get_error(store);
    failure.depth = X509_STORE_CTX_get_error_depth(store);
    failure.reason = X509_verify_cert_error_string(failure.code);
    failure.security_level = SSL_get_security_level(ssl);
    if (X509* const current = X509_STORE_CTX_get_current_cert(store)) note_current(failure, store, current);
    if (const X509* leaf = X509_STORE_CTX_get0_cert(store)) {
        failure.leaf = describe(*leaf);
        failure.common_name = common_name_of(*leaf);
    }
    const STACK_OF(X509)* const sent = X509_STORE_CTX_get0_untrusted(store);
    for (int i = 0; i < sk_X509_num(sent) && failure.sent.size() < VerifyFailure::max_sent; ++i)
        failure.sent.push_back(describe(*sk_X509_value(sent, i)).subject);
    ERR_clear_error();  // of the questions above; the verdict is in `store`
    return 0;
}

}  // namespace tls
