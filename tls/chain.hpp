// The certificates of a chain file in the order in which they are sent. Pure.
#pragma once

#include <string>
#include <vector>

#include "tls/pem.hpp"

namespace tls {

struct Chain {
    X509Ptr leaf;                       ///< nullptr: none of them has this key
    std::vector<X509Ptr> issuers;       ///< each behind what it has issued
    std::vector<std::string> findings;  ///< what was put right, and what is missing
};

/// The leaf is the certificate of `key`; behind it all that have issued it, directly or not, in the
/// order of the file where there are several (cross-signed ones). Others are not sent.
Chain sort_chain(std::vector<PemCertificate> certificates, EVP_PKEY& key);

}  // namespace tls
