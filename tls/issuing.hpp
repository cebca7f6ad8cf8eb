// Certificates of our own making: an authority, and leaves under it. In memory; authority.hpp keeps
// them in files.
#pragma once

#include <string>
#include <vector>

#include "tls/key_pair.hpp"

namespace tls {

/// The names of a leaf: valid, in canonical spelling, each once. The first becomes the CN.
using Names = std::vector<std::string>;

/// `host` as certificates spell it: a DNS name in lower case or an IP address; nullopt: neither.
std::optional<std::string> canonical_name(const std::string& host);
/// The names with localhost, 127.0.0.1 and ::1 behind them, each once.
Names completed(Names names);
/// Throws std::invalid_argument for a host that is neither a DNS name nor an IP address.
Names names_for(const std::vector<std::string>& hosts);

struct Authority {
    X509Ptr certificate;
    KeyPtr key;
};

enum class LeafKey { ecdsa, rsa };

// These throw std::runtime_error when OpenSSL fails.

Authority new_authority();
/// serverAuth, a random serial, an end no later than the authority's.
KeyPair new_leaf(const Authority& authority, const Names& names, LeafKey kind);

}  // namespace tls
