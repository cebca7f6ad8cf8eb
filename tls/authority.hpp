// The private certificate authority of the client leg: made once, kept in a folder, issues the
// proxy's own server certificates.
#pragma once

#include <string>
#include <vector>

#include "tls/issuing.hpp"

namespace tls {

/// Where `issue` put things, for the caller to print or to use as cert_file and key_file.
struct IssuedFiles {
    std::string ca_cert, ca_key;  ///< ca.crt, ca.key
    std::string ecdsa_cert, ecdsa_key;
    std::string rsa_cert, rsa_key;
    bool ca_created = false;               ///< false: an existing CA was used
    std::vector<std::string> tightened{};  ///< sentences about keys to which others had access
    std::vector<std::string> made{};       ///< sentences about what ensure() made: a CA, certificates
    std::string doubt{};                   ///< about a CA that was made where nothing lasts
};

/// Creates `dir` (0700) and a CA in it if there is none, and writes new leaves (ECDSA P-256 and
/// RSA-2048) for `hosts` plus localhost, 127.0.0.1 and ::1. Each file is written under a temporary
/// name, fsynced and renamed, so that a reader never sees half of one; keys are 0600, certificates
/// 0644. Leaves hold SANs (DNS or IP), serverAuth, a random serial, and end no later than the CA.
/// Throws std::runtime_error naming the file and the reason (std::invalid_argument for a host that
/// is neither a DNS name nor an IP address).
IssuedFiles issue(const std::string& dir, const std::vector<std::string>& hosts);

/// What to do where a private CA should be and is none.
enum class WithoutAuthority {
    make_one,
    refuse,  // clients trust the one that was there a moment ago
};

/// The files of an earlier `issue` in `dir` when all six exist, else a fresh issue() for localhost
/// alone. For the first start. Leaves that expire within 30 days, cannot be read or do not match
/// are issued anew under the same CA, for the names they held. Throws std::runtime_error, saying
/// what to do, when an existing CA cannot be used; a CA is never overwritten.
IssuedFiles ensure(const std::string& dir, WithoutAuthority without = WithoutAuthority::make_one);

/// Whether ensure(dir) would issue new certificates now.
bool is_renewal_due(const std::string& dir);

/// Why ensure(dir) could not work, as far as reading shows; empty: nothing is known. What only the
/// owner of the files can see is left out for others.
std::string obstacle_to_ensure(const std::string& dir);

/// The CA of `dir`, to issue more. Throws std::runtime_error, saying what to do, when it is not
/// there or cannot be used.
Authority load_authority(const std::string& dir);

}  // namespace tls
