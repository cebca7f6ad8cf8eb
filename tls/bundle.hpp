// Files of certificates: trust anchors, and what an operator is told about each file.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/owned.hpp"
#include "tls/pem.hpp"

namespace tls {

/// What a file of certificates holds.
struct Bundle {
    std::string path;              ///< or "system"
    std::size_t certificates = 0;  ///< different ones
    unsigned repeated = 0;         ///< further copies of them
    unsigned not_yet_valid = 0;
    std::size_t expired = 0;
    /// Of those that have not expired, the next to do so; nullopt: there is none.
    std::optional<std::chrono::system_clock::time_point> next_expiry;
    std::string next_subject;  ///< whose that is
};

/// "ca.pem: 3 certificates, 1 expired, 1 not valid yet; the next to expire is CN=... on
/// 2027-01-31T12:00:00Z".
std::string to_string(const Bundle& bundle);

/// A file of certificates, or all that is known of it up to an error.
struct LoadedBundle {
    std::vector<PemCertificate> certificates;  ///< empty: an error was added
    Bundle bundle;
};

/// Every certificate of a PEM file, in order. Unreadable, without any certificate, or with a broken
/// one: an error. What libpq would pass over without a word is a warning, with its line.
LoadedBundle load_bundle(const config::File& file, std::vector<config::Diagnostic>& errors,
                         std::vector<config::Diagnostic>& warnings);

/// The certificates of load_bundle alone.
std::vector<X509Ptr> load_certificates(const config::File& file, std::vector<config::Diagnostic>& errors,
                                       std::vector<config::Diagnostic>& warnings);

/// Trust anchors: those of the file, or of the system where its path is "system"
/// (tls/system_store.hpp). Expired ones and those that are not valid yet, private keys and CRLs
/// among them, and a system without any, are warned of.
LoadedBundle load_anchors(const config::File& file, std::vector<config::Diagnostic>& errors,
                          std::vector<config::Diagnostic>& warnings);

/// Certificates of one name with different keys, which OpenSSL does not always tell apart: what
/// that means, one sentence a name. Those that have expired do no harm.
struct NamedAnchor {
    const X509* certificate = nullptr;
    std::string where;  ///< "ca.pem line 12"
};
std::vector<std::string> ambiguous_names(const std::vector<NamedAnchor>& anchors);

}  // namespace tls
