// Protocol versions, ciphers and groups, which both legs set in the same words.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/handshake.hpp"

namespace tls {

struct Settings {
    config::TlsVersion min = config::TlsVersion::v1_2;
    config::TlsVersion max = config::TlsVersion::unset;
    std::string ciphers;        ///< TLS 1.2 and below, OpenSSL's syntax; empty: OpenSSL's default
    std::string tls13_ciphers;  ///< empty: OpenSSL's default
    std::string groups;         ///< as in tls/groups.hpp; empty: OpenSSL's default
    bool is_client = false;     ///< a client's groups say also of which a key share is sent
    bool legacy = false;        ///< OpenSSL's security level 0
    std::string section;        ///< for error messages
    config::Origin origin;
};

/// Values that OpenSSL does not know become errors that name the key.
void apply(const Settings& settings, SSL_CTX* context, std::vector<config::Diagnostic>& errors);

}  // namespace tls
