// What "system" means, wherever certificates to trust are asked for: what it means to OpenSSL, and
// so to libpq.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tls/pem.hpp"

namespace tls {

/// The word for it in the place of a file (libpq's sslrootcert=system).
inline constexpr std::string_view system_store = "system";

struct SystemStore {
    std::vector<PemCertificate> certificates;  ///< each once
    std::string places;                        ///< where they were looked for, for messages
    std::vector<std::string> problems;         ///< what was named by SSL_CERT_FILE and cannot be used
};

/// The file of SSL_CERT_FILE or OpenSSL's own (cert.pem), and the hashed folders of SSL_CERT_DIR or
/// OpenSSL's own. Read whole now: nothing is looked up within handshakes. Where neither variable is
/// set, also the one file that Debian keeps all of them in, with or without the hashed folder.
SystemStore load_system_store();

/// The files, not the folders, that load_system_store would read now and that exist.
std::vector<std::string> system_store_files();

}  // namespace tls
