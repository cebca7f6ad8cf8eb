// Events to what they say about clients, servers and probes: rows of the inventory as increments,
// until they are stored. In memory, no I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/inventory/inventory_changes.hpp"

namespace proxy {

/// One thread's. More methods than most classes have: one for each thing that an event may say.
class Learning {
   public:
    using Clock = std::chrono::steady_clock;

    /// `name_pattern`: [audit] application_name_pattern; empty: none.
    explicit Learning(const std::string& name_pattern);

    void absorb(const Event& event);
    /// What a server's own list of its sessions showed.
    void absorb(const ServerLook& look);
    /// Logins that look like health checks and have stayed for long are clients.
    void decide_long_checks();
    /// Sessions in clear or with weak TLS were so until `now`.
    void extend_open_sessions(Timestamp now);

    /// What is to be stored.
    const InventoryChanges& changes() const noexcept { return changes_; }
    /// It is stored.
    void forget() { changes_ = {}; }
    /// Rows that had no room in the changes, since they were taken last.
    std::uint64_t dropped() const noexcept { return dropped_; }
    std::uint64_t take_dropped() noexcept { return std::exchange(dropped_, 0); }

   private:
    /// In clear or with weak TLS, which it is until its end: that may be weeks after its login.
    struct OpenSession {
        ClientIdentity who;
        std::string listener;
        std::vector<std::pair<protocol::Evidence, std::string>> evidence;  // of clear text alone; and the certificate
        std::pair<std::int64_t, std::string> day;                          // of its login, and mode
    };

    /// One that may be a health check, until its end, or until it has stayed for long.
    struct HeldCheck {
        Event login;
        Clock::time_point since;
    };

    void absorb_now(const Event& event);
    void decide_check(const Event& end);
    template <class Map>
    typename Map::mapped_type* row(Map& map, typename Map::key_type key);
    void absorb_client(const Event& event, const ClientIdentity& who);
    void absorb_connection(const Event& event, ClientChange& client);
    void absorb_failure(const Event& event, ClientChange& client);
    void absorb_end(const Event& event);
    void absorb_open(const Event& event, const ClientIdentity& who);
    void extend(const std::string& session, const OpenSession& open, Timestamp time);
    ClientNames stored_names(const SessionRecord& record) const;
    std::string stored_name(const std::string& application_name) const;
    void absorb_certificate(const Event& event);
    void absorb_handshake(const Event& event, const ClientOrigin& from);
    void absorb_probe(const Event& event, const ClientOrigin& from);

    const std::optional<std::regex> name_pattern_;
    InventoryChanges changes_;
    std::unordered_map<std::string, OpenSession> open_;  // by session
    std::unordered_map<std::string, HeldCheck> checks_;  // likewise
    std::uint64_t dropped_ = 0;
};

}  // namespace proxy
