#include "tls/verification.hpp"

#include <new>

namespace tls {

Verification verification_of(SSL* ssl, X509_STORE* anchors, STACK_OF(X509) * sent) {
    Verification verification(X509_STORE_CTX_new());
    if (!verification || X509_STORE_CTX_init(verification.get(), anchors, sk_X509_value(sent, 0), sent) != 1 ||
        X509_STORE_CTX_set_default(verification.get(), "ssl_server") != 1)
        throw std::bad_alloc();
    X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(verification.get());
    // Before the connection's own parameters, which may say otherwise and by default name none.
    X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
    if (X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) != 1) throw std::bad_alloc();
    return verification;
}

}  // namespace tls
