// A verification outside of a handshake that comes to what one within a handshake would have come
// to: prepared here, and nowhere else, as OpenSSL itself prepares it.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <memory>

namespace tls {

struct FreeVerification {
    void operator()(X509_STORE_CTX* p) const noexcept { X509_STORE_CTX_free(p); }
};
using Verification = std::unique_ptr<X509_STORE_CTX, FreeVerification>;

/// For X509_verify_cert, of what a server has `sent`, its own certificate first: with everything
/// that a handshake of `ssl` demands of a chain, its names among it, but by `anchors`. All three
/// outlive it. Throws std::bad_alloc.
Verification verification_of(SSL* ssl, X509_STORE* anchors, STACK_OF(X509) * sent);

}  // namespace tls
