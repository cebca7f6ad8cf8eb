// Which program this is, for `pgairlock version` and the `started` event.
#pragma once

#include <string>

namespace proxy {

/// "0.1.0".
std::string version();

/// One line each: version and commit, compiler, Boost, OpenSSL (as compiled and as loaded).
std::string version_text();

/// The same as one JSON document: version, commit (null: none is known), compiler, boost, openssl,
/// openssl_loaded.
std::string version_json();

}  // namespace proxy
