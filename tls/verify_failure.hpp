// What is noted of the peer's chain when OpenSSL refuses it: all that an explanation needs, taken
// while the verification still holds it.
#pragma once

#include <openssl/x509_vfy.h>

#include <chrono>
#include <string>
#include <vector>

#include "tls/certificates.hpp"

namespace tls {

/// Why the peer's certificate was not accepted.
struct VerifyFailure {
    /// What the trust anchors have under the name of the issuer of the certificate at fault.
    enum class IssuerAnchor {
        none,
        other_key,  // an authority of that name, whose key did not make the signature
        same_key,   // the key that made the signature
    };

    int code = X509_V_OK;       ///< X509_V_ERR_...; X509_V_OK: it was accepted, or not looked at
    int depth = 0;              ///< of the certificate at fault; 0: the leaf
    std::string reason{};       ///< OpenSSL's text
    std::string certificate{};  ///< subject of the certificate at fault
    std::string issuer{};       ///< who issued that one
    std::chrono::system_clock::time_point not_before{};  ///< of the certificate at fault, as `not_after`
    std::chrono::system_clock::time_point not_after{};
    std::string key{};        ///< of the certificate at fault: "RSA, 1024 bits"
    std::string signature{};  ///< and how it is signed: "sha1WithRSAEncryption"
    bool is_anchor = false;   ///< the certificate at fault is one of the trust anchors, sent or not
    IssuerAnchor issuer_anchor = IssuerAnchor::none;
    CertificateFacts leaf{};
    std::string common_name{};        ///< the leaf's; empty: it has none
    std::vector<std::string> sent{};  ///< subjects of what the peer sent, the leaf first; no more than max_sent
    int security_level = 0;           ///< OpenSSL's, by which keys and signatures were measured

    static constexpr std::size_t max_sent = 10;
};

/// An SSL_verify_cb that changes no verdict and notes the first failure in the connection's
/// HandshakeNotes.
int note_verify_failure(int ok, X509_STORE_CTX* store);

}  // namespace tls
