#include "tls/settings.hpp"

#include <openssl/err.h>

#include <stdexcept>

#include "tls/groups.hpp"

namespace tls {
namespace {

int version_number(config::TlsVersion version) {
    switch (version) {
        case config::TlsVersion::v1_0: return TLS1_VERSION;
        case config::TlsVersion::v1_1: return TLS1_1_VERSION;
        case config::TlsVersion::v1_2: return TLS1_2_VERSION;
        case config::TlsVersion::v1_3: return TLS1_3_VERSION;
        case config::TlsVersion::unset: break;
    }
    return 0;  // OpenSSL: no bound
}

void set_groups(const Settings& settings, SSL_CTX* context, std::vector<config::Diagnostic>& errors) {
    std::string why;
    try {
        const Groups groups(settings.groups);
        const std::string list = settings.is_client ? groups.for_client() : groups.for_server();
        if (SSL_CTX_set1_groups_list(context, list.c_str()) != 1) why = take_openssl_error("unknown value");
    } catch (const std::invalid_argument& unknown) {
        why = unknown.what();
    }
    if (why.empty()) return;
    config::Origin origin = settings.origin;
    origin.key = settings.section + ".ssl_groups";
    errors.push_back({origin, "OpenSSL does not accept \"" + settings.groups + "\": " + why});
}

}  // namespace

void apply(const Settings& settings, SSL_CTX* context, std::vector<config::Diagnostic>& errors) {
    const auto check = [&](long ok, const char* key, const std::string& value) {
        if (ok == 1) return;
        config::Origin origin = settings.origin;
        origin.key = settings.section + "." + key;
        errors.push_back({origin, "OpenSSL does not accept \"" + value + "\": " + take_openssl_error("unknown value")});
    };
    ERR_clear_error();
    if (settings.legacy) SSL_CTX_set_security_level(context, 0);
    check(SSL_CTX_set_min_proto_version(context, version_number(settings.min)), "ssl_min_protocol_version",
          std::string(to_string(settings.min)));
    check(SSL_CTX_set_max_proto_version(context, version_number(settings.max)), "ssl_max_protocol_version",
          std::string(to_string(settings.max)));
    if (!settings.ciphers.empty()) {
        check(SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()), "ssl_ciphers", settings.ciphers);
    } else if (settings.legacy) {
        SSL_CTX_set_cipher_list(context, "ALL:!aNULL:!eNULL:@SECLEVEL=0");
    }
    if (!settings.tls13_ciphers.empty()) {
        check(SSL_CTX_set_ciphersuites(context, settings.tls13_ciphers.c_str()), "ssl_tls13_ciphers",
              settings.tls13_ciphers);
    }
    if (!settings.groups.empty()) set_groups(settings, context, errors);
}

}  // namespace tls
