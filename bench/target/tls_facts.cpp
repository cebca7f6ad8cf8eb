#include "bench/target/tls_facts.hpp"

namespace bench {

std::optional<TlsFacts> tls_facts(SSL* ssl) {
    if (!ssl) return std::nullopt;
    TlsFacts facts{.version = SSL_get_version(ssl),
                   .cipher = SSL_get_cipher_name(ssl),
                   .group = {},
                   .key_type = {},
                   .key_bits = 0};
    if (const char* group = SSL_group_to_name(ssl, static_cast<int>(SSL_get_negotiated_group(ssl))))
        facts.group = group;
    const X509* certificate = SSL_get0_peer_certificate(ssl);
    const EVP_PKEY* key = certificate ? X509_get0_pubkey(certificate) : nullptr;
    if (!key) return facts;
    if (const char* type = EVP_PKEY_get0_type_name(key)) facts.key_type = type;
    facts.key_bits = EVP_PKEY_get_bits(key);
    return facts;
}

}  // namespace bench
