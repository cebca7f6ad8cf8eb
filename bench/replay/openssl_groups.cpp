#include "bench/replay/openssl_groups.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <map>
#include <memory>

namespace bench::replay {
namespace {

constexpr unsigned long openssl_3_5 = 0x30500000L;

bool openssl_has(const std::string& name) {
    static std::map<std::string, bool> known;
    const auto [at, is_new] = known.try_emplace(name, false);
    if (!is_new) return at->second;
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    at->second = context && SSL_CTX_set1_groups_list(context.get(), name.c_str()) == 1;
    ERR_clear_error();
    return at->second;
}

}  // namespace

const KnownGroups& openssl_groups() {
    static const KnownGroups groups{.has = openssl_has, .chooses_key_shares = OpenSSL_version_num() >= openssl_3_5};
    return groups;
}

}  // namespace bench::replay
