// Reads the tables of inventory_schema.hpp into plain data: from one proxy's SQLite file, whether
// the proxy runs or not, or from a fleet's PostgreSQL database. Texts with a meaning of their own
// are parsed here and nowhere else; what they say about a client is for the report to conclude.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/evidence.hpp"
#include "proxy/inventory/timestamp.hpp"
#include "proxy/observation/client_identity.hpp"

namespace proxy {

struct EvidenceRow {
    std::string label;                           ///< as in the table
    std::optional<protocol::Evidence> evidence;  ///< nullopt: a label that only a newer version knows
    std::string certificate;
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    std::uint64_t count = 0;
    std::string session;
    /// Perhaps another client's. In no table: found when the report gives handshakes to clients
    /// (proxy/report/report_join.cpp).
    bool possible = false;
};

struct ClientRow {
    ClientIdentity who;  ///< the UNIQUE columns of `clients`
    std::optional<std::int64_t> client_uid;
    std::string listener;
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    std::uint64_t connections = 0;
    std::uint64_t plain = 0;
    std::uint64_t weak_tls = 0;
    std::uint64_t bridged = 0;
    std::uint64_t auth_failed = 0;
    std::string auth_method;
    std::string version;
    std::vector<EvidenceRow> evidence;
    std::vector<std::string> ja4;                                       ///< fingerprints of its handshakes
    std::map<std::int64_t, std::map<std::string, std::uint64_t>> days;  ///< connections by day and mode
};

/// A kind of handshake that came to no StartupMessage.
struct HandshakeRow {
    ClientOrigin from;
    std::string ja4;
    std::string listener;
    std::string error;
    EvidenceRow evidence;
};

struct UpstreamCertificateRow {
    std::string upstream;
    std::string upstream_addr;
    std::string sha256;
    std::string subject;
    std::string sans;
    std::string issuer;
    std::string anchor;
    std::string serial;
    Timestamp not_before = 0;
    Timestamp not_after = 0;
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    std::uint64_t count = 0;
    std::optional<bool> candidate_ok;
    std::optional<Timestamp> candidate_since;
};

struct ProbeRow {
    ClientOrigin from;
    std::string kind;
    std::uint64_t shown = 0;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    Timestamp last_shown = 0;
    Timestamp last_refused = 0;
};

/// What one proxy knows.
struct InventoryRows {
    std::string instance;  ///< of the proxy's file: the same instance read twice is the same knowledge
    std::vector<ClientRow> clients;
    std::vector<HandshakeRow> handshakes;
    std::vector<UpstreamCertificateRow> upstream_certificates;
    std::vector<ProbeRow> probes;
};

/// The file of a proxy with this state directory, when audit.inventory is not set.
std::string inventory_file(const std::string& state_dir);

/// `where`: a path, or postgresql://... (never repeated in an error: it may hold a password). One
/// InventoryRows per proxy. Throws std::runtime_error that says what was looked at and what to do.
std::vector<InventoryRows> read_inventories(const std::string& where);

}  // namespace proxy
