#include "proxy/version.hpp"

#include <openssl/crypto.h>

#include <boost/json.hpp>
#include <boost/version.hpp>

namespace proxy {

namespace {

std::string boost_version() {
    std::string boost = BOOST_LIB_VERSION;
    for (char& c : boost) {
        if (c == '_') c = '.';
    }
    return boost;
}

/// Empty: not built from a repository.
std::string commit() {
    return
#include <commit.inc>
        ;
}

}  // namespace

std::string version() { return PGAIRLOCK_VERSION; }

std::string version_text() {
    return "pgairlock " + version() + (commit().empty() ? "" : " (commit " + commit() + ")") + "\n" +
           "compiler: " + __VERSION__ + "\n" + "Boost: " + boost_version() + "\n" +
           "OpenSSL: " OPENSSL_VERSION_TEXT " (loaded: " + OpenSSL_version(OPENSSL_VERSION) + ")\n";
}

std::string version_json() {
    boost::json::object document{{"version", version()},
                                 {"commit", nullptr},
                                 {"compiler", __VERSION__},
                                 {"boost", boost_version()},
                                 {"openssl", OPENSSL_VERSION_TEXT},
                                 {"openssl_loaded", OpenSSL_version(OPENSSL_VERSION)}};
    if (!commit().empty()) document["commit"] = commit();
    return boost::json::serialize(document) + "\n";
}

}  // namespace proxy
