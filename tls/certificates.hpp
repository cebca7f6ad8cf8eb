// What is said about certificates in reports. Nothing here knows a file or a connection.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"
#include "tls/owned.hpp"

namespace tls {

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
    /// By which its issuer tells its own keys apart (RFC 5280, 4.2.1.1), lower-case hex; empty: it
    /// does not say.
    std::string issuer_key_id{};
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
/// From its thisUpdate to its nextUpdate; without one, which means without end, the end of time.
Validity validity_of(const X509_CRL& crl);

/// SHA-256 of its DER form, 32 bytes: by this certificates are told apart.
std::string digest(const X509& certificate);

/// SHA-256 of its public key with its algorithm (SubjectPublicKeyInfo), lower-case hex: by this
/// authorities are told apart. One that is renewed or cross-signed has another certificate and the
/// same key: whoever trusts the older one verifies what it issues. One of the same name with
/// another key is another authority.
std::string key_sha256(const X509& certificate);

/// SHA-256 as lower-case hex.
std::string sha256_hex(const void* data, std::size_t size);

/// "2027-01-31T12:00:00Z".
std::string to_rfc3339(std::chrono::system_clock::time_point time);

/// The text of the oldest error in OpenSSL's queue, which is emptied; `fallback` when there is
/// none.
std::string take_openssl_error(std::string_view fallback);

}  // namespace tls
