// What the inventory has learnt and not yet stored: rows of proxy/inventory/inventory_schema.hpp as
// increments. Plain data, filled by learning.cpp, stored by inventory_store.cpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "proxy/inventory/key_exchange_groups.hpp"
#include "proxy/inventory/timestamp.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/observation/server_look.hpp"

namespace proxy {

/// What others say is there, added up: the largest number that JSON has exactly.
inline constexpr std::uint64_t max_sampled_sum = (std::uint64_t{1} << 53) - 1;
constexpr std::uint64_t saturated_sum(std::uint64_t a, std::uint64_t b) noexcept {
    return std::min(a, max_sampled_sum) + std::min(b, max_sampled_sum - std::min(a, max_sampled_sum));
}

/// How often, and between when. Events of different threads come in almost any order.
struct Seen {
    Timestamp first = std::numeric_limits<Timestamp>::max();
    Timestamp last = 0;
    std::uint64_t count = 0;
    std::string session;  ///< the last one

    /// It went on until then: not once more.
    void extend(Timestamp time, const std::string& by) {
        first = std::min(first, time);
        last = std::max(last, time);
        if (session.empty()) session = by;
    }
    /// True: it is the latest.
    bool add(Timestamp time, const std::string& by) {
        ++count;
        first = std::min(first, time);
        if (time < last) return false;
        last = time;
        session = by;
        return true;
    }
};

struct DayChange {
    std::uint64_t connections = 0, weak_tls = 0, bridged = 0, failures = 0, auth_failed = 0;
    Seen connected;  ///< of the connections
    Seen failed;     ///< of the failures
    Timestamp open_until = 0;
    /// What says when: a failure among connections is no connection.
    const Seen& seen() const noexcept { return connections > 0 ? connected : failed; }
};

struct ClientChange {
    Seen seen;  ///< of any event
    std::string listener, auth_method, version, not_probed;
    std::shared_ptr<const ProcessOwner> process;
    std::uint64_t connections = 0, plain = 0, weak_tls = 0, bridged = 0, auth_failed = 0, failures = 0;
    Timestamp last_failure = 0;
    std::string failure_reason, failure_error;  ///< of that one
    KeyExchangeGroups groups;
    std::map<std::pair<protocol::Evidence, std::string>, Seen> evidence;    ///< by kind and certificate shown
    std::map<std::pair<std::string, std::string>, Timestamp> fingerprints;  ///< by ja4 and SNI: last seen
    std::map<std::pair<std::int64_t, std::string>, DayChange> days;         ///< by day and mode
};

struct HandshakeKey {
    ClientOrigin from;
    std::string ja4, sni;
    protocol::Evidence evidence{};
    std::string certificate;
    auto operator<=>(const HandshakeKey&) const = default;
};

struct HandshakeChange {
    Seen seen;
    std::string listener, error;
};

struct CertificateKey {
    std::string upstream, upstream_addr, sha256;
    auto operator<=>(const CertificateKey&) const = default;
};

struct CertificateChange {
    Seen seen;
    std::shared_ptr<const tls::CertificateFacts> leaf;
    std::string anchor, anchor_key_sha256;
    KeyExchangeGroups groups;
    std::optional<bool> candidate_ok;
    Timestamp candidate_since = 0;  ///< since when candidate_ok has its value, going by these changes alone
};

struct ProbeKey {
    ClientOrigin from;
    config::ProbeKind kind{};
    auto operator<=>(const ProbeKey&) const = default;
};

struct ProbeChange {
    std::uint64_t shown = 0, accepted = 0, refused = 0;
    Timestamp last_shown = 0, last_refused = 0;
};

struct ServerKey {
    std::string upstream, upstream_addr;
    auto operator<=>(const ServerKey&) const = default;
};

struct SampledKey {
    ServerKey server;
    SampledKind kind;
    auto operator<=>(const SampledKey&) const = default;
};

struct SampledChange {
    Timestamp first = std::numeric_limits<Timestamp>::max();
    Timestamp last = 0;
    std::uint64_t looks = 0, sessions = 0, seen = 0;
    std::string cipher, client_dn;  ///< of the last
};

struct SamplingChange {
    Timestamp first_look = std::numeric_limits<Timestamp>::max();
    Timestamp last_look = 0;
    std::uint64_t looks = 0, hidden = 0, failed = 0, left_out = 0;
    Timestamp last_failure = 0;
    std::string error;  ///< of the last failure
    std::int64_t interval = 0;
    bool proxying = true;
    std::int64_t server_started = 0;  ///< of the last look
    Timestamp last_hidden = 0, last_left_out = 0;
};

struct InventoryChanges {
    std::map<ClientIdentity, ClientChange> clients;
    std::map<HandshakeKey, HandshakeChange> handshakes;
    std::map<CertificateKey, CertificateChange> certificates;
    std::map<ProbeKey, ProbeChange> probes;
    std::map<ServerKey, SamplingChange> sampling;
    std::map<SampledKey, SampledChange> sampled;
    std::size_t rows = 0;                                      ///< of all these, the inner ones too
    Timestamp oldest = std::numeric_limits<Timestamp>::max();  ///< of these events: what a fleet's copy starts from
};

}  // namespace proxy
