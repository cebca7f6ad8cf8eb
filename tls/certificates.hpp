// Certificates and keys from PEM files, and what is said about them in reports. Nothing here knows
// a connection.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "protocol/bytes.hpp"

namespace tls {

struct Deleter {
    void operator()(X509* p) const noexcept { X509_free(p); }
    void operator()(X509_STORE* p) const noexcept { X509_STORE_free(p); }
    void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
    void operator()(BIO* p) const noexcept { BIO_free_all(p); }
    void operator()(GENERAL_NAMES* p) const noexcept { GENERAL_NAMES_free(p); }
    void operator()(GENERAL_NAME* p) const noexcept { GENERAL_NAME_free(p); }
    void operator()(X509_EXTENSION* p) const noexcept { X509_EXTENSION_free(p); }
    void operator()(ASN1_STRING* p) const noexcept { ASN1_STRING_free(p); }
    void operator()(BIGNUM* p) const noexcept { BN_free(p); }
    void operator()(char* p) const noexcept { OPENSSL_free(p); }  // text that OpenSSL has made
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;
using X509Ptr = Owned<X509>;
using KeyPtr = Owned<EVP_PKEY>;
using StorePtr = Owned<X509_STORE>;
using BioPtr = Owned<BIO>;

/// What an operator is told about a certificate. Names are RFC 2253 strings with UTF-8 kept and
/// control characters escaped.
struct CertificateFacts {
    std::string subject;
    std::string issuer;
    std::vector<std::string> sans;  ///< "DNS:name", "IP:1.2.3.4"
    std::string serial;             ///< lower-case hex
    std::string sha256;             ///< of the DER form, lower-case hex
    protocol::Buffer end_point;     ///< its tls-server-end-point hash; empty: has none (tls/scram_crypto.hpp)
    std::chrono::system_clock::time_point not_before;
    std::chrono::system_clock::time_point not_after;
};

CertificateFacts describe(const X509& certificate);

/// Of `sans`, as many as an operator needs to see which certificate it is; the last says how many
/// others there are.
std::vector<std::string> first_names(const std::vector<std::string>& names);

struct Validity {
    std::chrono::system_clock::time_point not_before;
    std::chrono::system_clock::time_point not_after;
};
/// As describe() has it, without the work of the rest.
Validity validity_of(const X509& certificate);

/// SHA-256 of its DER form, 32 bytes: by this certificates are told apart.
std::string digest(const X509& certificate);

/// A leaf, the intermediates to send with it, and its private key, which is known to match.
struct KeyPair {
    X509Ptr leaf;
    std::vector<X509Ptr> chain;
    KeyPtr key;
};

/// Loads a PEM chain and its key. Errors are added to `errors` with the origin of the file
/// concerned (unreadable; not PEM; key does not match the certificate; encrypted key; key file with
/// group or world access, by PostgreSQL's rule: 0600 or less when owned by us, 0640 or less when
/// owned by root; not a regular file) and leave the result without a leaf.
KeyPair load_key_pair(const config::File& cert_file, const config::File& key_file,
                      std::vector<config::Diagnostic>& errors);

/// Every certificate of a PEM file, in order. An unreadable file or one without any certificate is
/// an error.
std::vector<X509Ptr> load_certificates(const config::File& file, std::vector<config::Diagnostic>& errors);

/// SHA-256 as lower-case hex.
std::string sha256_hex(const void* data, std::size_t size);

/// "2027-01-31T12:00:00Z".
std::string to_rfc3339(std::chrono::system_clock::time_point time);

/// The text of the oldest error in OpenSSL's queue, which is emptied; `fallback` when there is
/// none.
std::string take_openssl_error(std::string_view fallback);

}  // namespace tls
