// Pure: what is news of a client, by what was known of it and what was seen since.
#pragma once

#include <optional>
#include <vector>

#include "protocol/verdict.hpp"
#include "proxy/inventory/inventory_changes.hpp"

namespace proxy {

/// What the inventory has of a client, before a change is stored.
struct KnownClient {
    bool logged_in_weak = false;                  ///< in clear, or with weak TLS, ever
    std::vector<protocol::Observation> evidence;  ///< empty: it is new, or nothing was seen of it
};

/// new_weak_client: it logged in weak, and nobody knew it, or knew it as weak.
std::optional<Event> weak_news(const KnownClient& known, const ClientIdentity& who, const ClientChange& change);

/// client_changed: it contradicts what it did before.
std::optional<Event> changed_news(std::vector<protocol::Observation> known, const ClientIdentity& who,
                                  const ClientChange& change);

}  // namespace proxy
