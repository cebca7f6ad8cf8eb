// What SCRAM needs of OpenSSL, and of libidn for SASLprep.
#pragma once

#include <openssl/x509.h>

#include "protocol/scram.hpp"

namespace tls {

/// Its functions throw std::runtime_error when OpenSSL fails, which it does not for lack of
/// anything but memory and entropy.
const protocol::ScramCrypto& scram_crypto() noexcept;

/// SaltedPassword of RFC 5802, section 3: SASLprep, then PBKDF2-HMAC-SHA-256. Takes about a
/// millisecond for each 4096 iterations. A password that SASLprep refuses is used as it is:
/// PostgreSQL's rule (pg_saslprep in src/common/saslprep.c, and its callers).
protocol::ScramKey salted_password(protocol::Bytes password, const protocol::ScramSalt& salt);

/// tls-server-end-point (RFC 5929, section 4.1): the certificate's hash by the hash function of its
/// signature, SHA-256 in place of MD5 and SHA-1. Empty when the signature has none (Ed25519), and
/// then there is no channel binding.
protocol::Buffer end_point_hash(const X509& certificate);

}  // namespace tls
