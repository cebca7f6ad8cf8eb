// Reads the tables of inventory_schema.hpp into plain data: from one proxy's SQLite file, whether
// the proxy runs or not, or from a fleet's PostgreSQL database. Texts with a meaning of their own
// are parsed here and nowhere else; what they say about a client is for the report to conclude.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/evidence.hpp"
#include "proxy/inventory/key_exchange_groups.hpp"
#include "proxy/inventory/timestamp.hpp"
#include "proxy/observation/client_identity.hpp"
#include "proxy/observation/reason.hpp"

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

/// What a client did on one day over one mode.
struct DayFacts {
    std::uint64_t connections = 0;
    std::uint64_t weak_tls = 0;
    std::uint64_t bridged = 0;
    std::uint64_t failures = 0;
    std::uint64_t auth_failed = 0;
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    Timestamp open_until =
        0;  ///< of those in clear or with weak TLS: they were that until then; 0: closed, or not known
};

/// By day and mode ("plain", or the TLS version).
using Days = std::map<std::int64_t, std::map<std::string, DayFacts>>;

struct ClientRow {
    ClientIdentity who;  ///< the UNIQUE columns of `clients`
    std::string listener;
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    std::uint64_t connections = 0;
    std::uint64_t plain = 0;
    std::uint64_t weak_tls = 0;
    std::uint64_t bridged = 0;
    std::uint64_t auth_failed = 0;
    std::uint64_t failures = 0;
    Timestamp last_failure = 0;
    std::optional<Reason> failure_reason{};  ///< of the last login that failed; nullopt: not known
    std::string failure_error{};             ///< of the same: SQLSTATE and words
    std::string not_probed;                  ///< in words
    std::string auth_method;
    std::string version;
    KeyExchangeGroups groups;  ///< of its TLS
    std::vector<EvidenceRow> evidence;
    std::vector<std::string> ja4;  ///< fingerprints of its handshakes
    Days days;
    /// In no table, for reports: the instances that saw it, and the names that are behind one
    /// pattern.
    std::set<std::string> proxies;
    std::vector<std::string> names;
};

/// A kind of handshake that came to no StartupMessage.
struct HandshakeRow {
    ClientOrigin from;
    std::string ja4;
    std::string listener;
    std::string error;
    EvidenceRow evidence;
    std::set<std::string> proxies{};  ///< in no table: the instances that saw it
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
    std::string issuer_key_id{};      ///< empty: the certificate does not name it, or it was seen before version 4
    std::string anchor_key_sha256{};  ///< empty: the chain was not verified, or before version 4
    KeyExchangeGroups groups{};
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

/// Who wrote an inventory.
struct ProxyRow {
    std::string id{};    ///< the instance
    std::string name{};  ///< empty: written before proxies had names
    std::string version{};
    std::string listeners{};
    Timestamp first_seen = 0;
    Timestamp started = 0;
    Timestamp last_seen = 0;
    std::uint64_t events_dropped = 0;
    std::uint64_t rows_left_out = 0;
    Timestamp last_loss = 0;  ///< of events or rows, or the start after an end that was not clean
    Timestamp pruned_before = 0;
    Timestamp consistent_after = -1;  ///< -1: nobody said; 0: never
    std::uint64_t unclean_ends = 0;   ///< killed, or with what it could not write
};

/// Sessions of one kind at a server, as it lists them itself.
struct SampledSessionsRow {
    std::string upstream;
    std::string upstream_addr;
    std::string client_addr;  ///< as the server sees it; "local": by its UNIX-domain socket
    std::string usename;
    std::string datname;
    std::string application_name;
    std::string version;   ///< of TLS; empty: in clear
    bool through = false;  ///< by this proxy
    std::string cipher{};
    std::string client_dn{};
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    std::uint64_t looks = 0;     ///< in which there was at least one of them
    std::uint64_t sessions = 0;  ///< different ones
    std::uint64_t seen = 0;      ///< sum over the looks of how many there were
};

/// How a server was looked at.
struct SamplingRow {
    std::string upstream;
    std::string upstream_addr;
    Timestamp first_look = 0;
    Timestamp last_look = 0;
    std::uint64_t looks = 0;
    std::uint64_t hidden = 0;  ///< of these, without others' addresses and TLS: no pg_read_all_stats
    std::uint64_t failed = 0;  ///< questions without an answer; they are no looks
    Timestamp last_failure = 0;
    std::string error{};         ///< of the last of these
    std::int64_t interval = 0;   ///< sample_interval, in microseconds
    std::uint64_t left_out = 0;  ///< sessions in no row: too many, or whose they are was not known
    bool proxying = true;        ///< false: `pgairlock sample`, through which nobody goes
    /// When the server was started, by its own clock, going by the last look: rows with the same
    /// one are of one server. 0: not known.
    Timestamp server_started = 0;
    Timestamp last_hidden = 0;    ///< the last look of `hidden`
    Timestamp last_left_out = 0;  ///< the last look with sessions of `left_out`
};

/// What people said about a client.
struct MarkRow {
    ClientIdentity who;
    bool accepted = false;
    Timestamp accepted_until = 0;  ///< 0: without an end
    std::string accepted_state{};  ///< what was wrong with it then, comma-separated
    std::string owner;
    std::string reason;
    std::string note;
    Timestamp repaired_at = 0;
    Timestamp changed_at = 0;
};

/// What one proxy knows.
struct InventoryRows {
    std::string instance;  ///< of the proxy's file: the same instance read twice is the same knowledge
    ProxyRow proxy;
    std::vector<ClientRow> clients;
    std::vector<HandshakeRow> handshakes;
    std::vector<UpstreamCertificateRow> upstream_certificates;
    std::vector<ProbeRow> probes;
    std::vector<MarkRow> marks;
    std::vector<SampledSessionsRow> sampled_sessions{};
    std::vector<SamplingRow> sampling{};
};

/// The file of a proxy with this state directory, when audit.inventory is not set.
std::string inventory_file(const std::string& state_dir);

/// `where`: a path, or postgresql://... (never repeated in an error: it may hold a password). One
/// InventoryRows per proxy. Throws std::runtime_error that says what was looked at and what to do.
std::vector<InventoryRows> read_inventories(const std::string& where);

/// The file that this process itself keeps (open_own_file). Throws the same.
std::vector<InventoryRows> read_own_inventory(const std::string& file);

/// Of a file's proxy: it runs, or ran at last, without being able to write there. To be said
/// wherever its inventory is taken for all that there is.
void tell_of_gap(const std::string& file, ProxyRow& proxy);

}  // namespace proxy
