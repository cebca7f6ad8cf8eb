// Certificates that their authority has taken back (CRLs, RFC 5280, section 5).
#pragma once

#include <vector>

#include "config/config.hpp"
#include "tls/certificates.hpp"

namespace tls {

/// From now on every certificate of a chain that is verified with `store` is looked up in the CRLs
/// of that PEM file, as libpq (sslcrl) and PostgreSQL (ssl_crl_file) do: there has to be one of
/// each CA, and one that has expired refuses everything. A file without any is an error. Does
/// nothing when none is given.
void add_revocations(X509_STORE* store, const config::File& file, std::vector<config::Diagnostic>& errors,
                     std::vector<config::Diagnostic>& warnings);

}  // namespace tls
