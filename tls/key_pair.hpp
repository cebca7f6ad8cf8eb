// A certificate, its issuers and its private key from the files that a configuration names.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/bundle.hpp"

namespace tls {

/// A leaf, the intermediates to send with it, and its private key, which is known to match.
struct KeyPair {
    X509Ptr leaf;
    std::vector<X509Ptr> chain;
    KeyPtr key;
};

/// Loads a PEM chain and its key. Errors are added with the origin of the file concerned
/// (unreadable; not PEM; key of no certificate in the file; encrypted key without
/// ssl_passphrase_command or with a wrong one; key file with group or world access, by PostgreSQL's
/// rule: 0600 or less when owned by us, 0640 or less when owned by root; not a regular file) and
/// leave the result without a leaf. What was put right in the chain is a warning. Runs
/// ssl_passphrase_command, for at most passphrase_timeout, only for an encrypted key.
KeyPair load_key_pair(const config::Certificate& files, std::vector<config::Diagnostic>& errors,
                      std::vector<config::Diagnostic>& warnings);

/// The same, and what the file of certificates holds.
struct LoadedKeyPair {
    KeyPair pair;
    Bundle bundle;
};
LoadedKeyPair load_key_pair_and_facts(const config::Certificate& files, std::vector<config::Diagnostic>& errors,
                                      std::vector<config::Diagnostic>& warnings);
/// What we show and nobody will accept at this time.
void warn_of_dates(const X509& leaf, const config::File& file, std::vector<config::Diagnostic>& warnings);

}  // namespace tls
