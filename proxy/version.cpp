#include "proxy/version.hpp"

#include <openssl/crypto.h>

#include <boost/version.hpp>

namespace proxy {

std::string version() { return PGAIRLOCK_VERSION; }

std::string version_text() {
    std::string boost = BOOST_LIB_VERSION;
    for (char& c : boost) {
        if (c == '_') c = '.';
    }
    const std::string commit =
#include <commit.inc>
        ;
    return "pgairlock " + version() + (commit.empty() ? "" : " (commit " + commit + ")") + "\n" +
           "compiler: " + __VERSION__ + "\n" + "Boost: " + boost + "\n" +
           "OpenSSL: " OPENSSL_VERSION_TEXT " (loaded: " + OpenSSL_version(OPENSSL_VERSION) + ")\n";
}

}  // namespace proxy
