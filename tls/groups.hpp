// Key exchange groups: one setting that works with every OpenSSL, and the name of what a handshake
// settled on.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <vector>

namespace tls {

/// The setting ssl_groups: names separated by colons, or by slashes, as in OpenSSL 3.5. '?' in
/// front: left out where OpenSSL does not have it; '*': a key share of it is sent with the first
/// ClientHello. Both are read here, because OpenSSL before 3.3 knows the one and before 3.5 the
/// other not.
class Groups {
   public:
    /// Throws std::invalid_argument, with a reason for people: OpenSSL lacks one of the names that
    /// must be there, or has none of them.
    explicit Groups(std::string_view setting);

    /// For SSL_CTX_set1_groups_list on a server, whose list is a preference and nothing else.
    std::string for_server() const;
    /// For SSL_CTX_set1_groups_list on a client. Without a '*' the first one's share is sent.
    std::string for_client() const;
    /// The same, with a share of `group` as well, so that a server that prefers it does not have to
    /// ask for one (HelloRetryRequest). OpenSSL before 3.5 sends one share: then it is that one.
    std::string for_client_of(const std::string& group) const;
    /// Whether for_client() sends a share of it. Also true of a group that is not in the list: to
    /// remember it would be of no use.
    bool sends_share_of(const std::string& group) const;

    bool empty() const noexcept { return groups_.empty(); }

   private:
    struct Group {
        std::string name;
        bool share = false;
        char before = ':';  // what separates it from the one in front
    };
    std::string list(const std::string& also_share) const;
    std::vector<Group> groups_;
};

/// "P-256", "X25519", "X25519MLKEM768": what the key exchange of a handshake used, in the names of
/// ssl_groups; empty: none did (RSA key exchange, clear text).
std::string group_of(SSL* ssl);

}  // namespace tls
