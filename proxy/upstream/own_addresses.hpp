// The addresses that this process listens on: nobody is to be sent from it to itself.
#pragma once

#include <set>
#include <string>

#include "tls/asio.hpp"

namespace proxy {

class OwnAddresses {
   public:
    OwnAddresses() = default;
    /// As bound: "10.0.0.1:5432", "[::1]:5432", "0.0.0.0:5432", "[::]:5432".
    explicit OwnAddresses(std::set<std::string> listening) : listening_(std::move(listening)) {}

    /// Whoever connects there reaches us. Of a wildcard: the address is one of this machine's.
    bool contains(const asio::generic::stream_protocol::endpoint& endpoint) const;

   private:
    std::set<std::string> listening_;
};

}  // namespace proxy
