// What a captured ClientHello offers for the key exchange (RFC 8446, 4.1.2, 4.2.1, 4.2.7, 4.2.8),
// and what of it can be offered again. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"

namespace bench::replay {

/// As they were sent, GREASE (RFC 8701) too.
struct TlsOffer {
    std::uint16_t lowest = 0;  ///< version, as on the wire; 0: the hello has no list of versions
    std::uint16_t highest = 0;
    std::vector<std::uint16_t> groups;
    std::vector<std::uint16_t> key_shares;  ///< their groups

    bool operator==(const TlsOffer&) const = default;
};

/// Finds it in what a client says before TLS is established: SSLRequest, then records.
class HelloReader {
   public:
    /// The next bytes of the client, in pieces of any size. False: nothing more can be found.
    bool take(protocol::Bytes bytes);
    /// nullopt: not whole yet, or there is none that can be read.
    const std::optional<TlsOffer>& offer() const noexcept { return offer_; }

   private:
    bool read();

    std::vector<std::uint8_t> bytes_;
    std::optional<TlsOffer> offer_;
    bool over_ = false;
};

/// Which groups the OpenSSL at hand has, by its names for them.
struct KnownGroups {
    std::function<bool(const std::string&)> has{};
    bool chooses_key_shares = false;  ///< since 3.5 a list says which; before, it is that of the first
};

struct GroupsAgain {
    std::string list;                   ///< for SSL_set1_groups_list(); empty: none can be offered
    std::vector<std::string> left_out;  ///< what is not as it was: "GREASE", "X25519MLKEM768", ...
};
GroupsAgain groups_again(const TlsOffer& offer, const KnownGroups& known);

}  // namespace bench::replay
