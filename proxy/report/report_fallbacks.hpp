// Which clients connected in clear shortly after somebody at their address had failed with TLS: a
// handshake that names nobody may have been one of theirs. Looked up, not searched: behind one
// address there may be thousands of both.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/inventory/inventory_reader.hpp"

namespace proxy::report {

/// Unless both are known, and differ.
bool may_be_one_user(const ClientOrigin& a, const ClientOrigin& b);

class Fallbacks {
   public:
    explicit Fallbacks(const std::vector<ClientRow>& clients);

    /// Whether another client than `owner` (an index; nullopt: nobody's) connected in clear shortly
    /// after this handshake. Then it may have been that client's, which does not insist on TLS. It
    /// cannot be found among the owners when its executable was not found, or when it was never
    /// seen with TLS.
    bool another_may_have_gone_on(const HandshakeRow& handshake, std::optional<std::size_t> owner) const;

   private:
    /// Of those that began by a time: whose was seen last, and who else's.
    struct Until {
        Timestamp first_seen = 0;
        std::size_t client = 0;
        Timestamp last_seen = 0;
        std::optional<Timestamp> last_seen_of_others{};
    };
    /// Upstream, host and address; whether it was told that there is no TLS.
    using Place = std::tuple<std::string, std::string, std::string, bool>;

    static Place place(const ClientOrigin& origin, bool after_no);

    /// By program: those that may be one are few at one address.
    std::map<Place, std::map<ClientOrigin, std::vector<Until>>> by_place_;
};

}  // namespace proxy::report
