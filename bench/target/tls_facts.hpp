// What a handshake came to, for whoever compares its price with another's.
#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>

namespace bench {

struct TlsFacts {
    std::string version;  ///< "TLSv1.3"
    std::string cipher;
    std::string group;     ///< of the key exchange; empty when it has none
    std::string key_type;  ///< of the server's certificate: "RSA", "EC", "ED25519"
    int key_bits = 0;
};

/// nullopt for nullptr: in clear.
std::optional<TlsFacts> tls_facts(SSL* ssl);

}  // namespace bench
