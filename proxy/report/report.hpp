// The migration report: one row per client of what inventories know about it, what that means, and
// what to do (docs/report.md). Pure: no I/O and no clock. report_merge.cpp makes one inventory of
// several, report_join.cpp gives failed handshakes to clients, report.cpp draws the conclusions,
// report_words.cpp has the words, and each format a file of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/verdict.hpp"
#include "proxy/inventory/inventory_reader.hpp"

namespace proxy::report {

/// What is asked for; what is empty does not restrict.
struct ReportFilter {
    std::optional<Timestamp> since;  ///< what was not seen since then is left out, evidence included
    std::string usename;
    std::string datname;
    std::string client_addr;  ///< an address, or a range (10.0.0.0/8)
    std::string upstream;
};

/// What to do about a client, the most urgent first. The first that applies is the one.
enum class Action {
    enable_tls,            // never seen to use TLS
    repair_fallback,       // goes on in clear when TLS or the login over it fails
    fix_root_certificate,  // cannot connect by TLS: no root certificate, or one that does not know the certificate of
                           // today
    update_trust_store,    // verifies, and refused the candidate
    verify_the_server,     // would accept an impostor
    upgrade_tls,           // TLS below 1.2, or a cipher that only `legacy` allows
    probe,                 // what matters is not known
    none,
};

inline constexpr int action_count = static_cast<int>(Action::none) + 1;

std::string_view to_string(Action action) noexcept;
/// One sentence for whoever has to do it.
std::string_view explain(Action action) noexcept;

/// What connections ran over, by what should go away first.
enum class Mode { clear, old_tls, tls12, tls13, other };

/// `text`: as inventories have it, "plain" or the TLS version.
Mode mode_of(std::string_view text) noexcept;

/// What probing did to a client.
struct ProbeCost {
    std::string kind;
    std::uint64_t shown = 0;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  ///< connections that the client lost by it
    Timestamp last_shown = 0;
    bool shared = false;  ///< counted by address and executable, which other clients have as well
};

/// A client's knowledge from all inventories, and what follows from it.
struct ReportClient {
    ClientRow row;      ///< merged; the evidence includes that of handshakes
    bool known = true;  ///< false: handshakes only, so that nobody knows whose; the names in row.who are empty

    protocol::SslModeInterval sslmode;
    protocol::Verifies verifies = protocol::Verifies::unknown;
    bool weak = false;
    bool plain = false;  ///< its connections are in clear
    bool changed = false;
    bool falls_back = false;
    protocol::Readiness breaks_on_force_ssl = protocol::Readiness::unknown;
    protocol::Readiness breaks_on_ca_rotation = protocol::Readiness::unknown;
    Action action = Action::none;
    std::vector<ProbeCost> probes;
    std::string error;  ///< of its last failed handshake
};

struct ReportCertificate {
    UpstreamCertificateRow row;
    bool current = false;  ///< the one that this address showed last
};

struct ReportSummary {
    std::uint64_t clients = 0;
    // Each client is one of these:
    std::uint64_t plain = 0;
    std::uint64_t tls_not_verifying = 0;
    std::uint64_t verifying = 0;
    std::uint64_t unknown = 0;
    // And any of these:
    std::uint64_t weak = 0;
    std::uint64_t bridged = 0;
    std::uint64_t falls_back = 0;
    std::uint64_t never_logged_in = 0;
    std::uint64_t breaks_on_ca_rotation = 0;
    std::uint64_t breaks_on_ca_rotation_unknown = 0;
    std::uint64_t breaks_on_force_ssl = 0;
    std::uint64_t breaks_on_force_ssl_unknown = 0;
    std::map<Action, std::uint64_t> actions;
    std::uint64_t connections = 0;
    Timestamp first_seen = 0;
    Timestamp last_seen = 0;
    std::map<std::string, ProbeCost> probes;                            ///< by kind
    std::map<std::int64_t, std::map<std::string, std::uint64_t>> days;  ///< connections by day and mode
};

struct Report {
    std::optional<Timestamp> since;
    ReportSummary summary;
    std::vector<ReportClient> clients;  ///< worst first
    std::vector<ReportCertificate> upstream_certificates;
};

Report make_report(const std::vector<InventoryRows>& inventories, const ReportFilter& filter);

// --- The steps (report_merge.cpp, report_join.cpp)

/// One inventory of all: clients by key, counts added. An instance that is there twice counts once,
/// as it was read last.
InventoryRows merge(const std::vector<InventoryRows>& inventories);

/// To what is of the same kind, or as a new kind.
void add_evidence(std::vector<EvidenceRow>& all, const EvidenceRow& row);

/// Gives each handshake to its client: known for certain, `possible` for several, or a row of its
/// own.
std::vector<ReportClient> join(const InventoryRows& inventory);

/// Drops what was not seen since then. False: nothing is left.
bool restrict_to(ReportClient& client, Timestamp since);

/// Concludes from `row` all that stands below it.
void evaluate(ReportClient& client);

// --- The formats

struct TableOptions {
    bool colours = false;
    Timestamp now = 0;
};

std::string to_table(const Report& report, const TableOptions& options);
std::string to_json(const Report& report);
std::string to_csv(const Report& report);
std::string to_html(const Report& report, Timestamp now);

// --- Words that all formats have (report_words.cpp)

/// "2026-11-24T00:52:00Z".
std::string time_text(Timestamp time);
/// "2026-11-24".
std::string day_text(std::int64_t day);
/// Valid UTF-8 that can do nothing to a terminal: what is not, and every control or direction
/// character, becomes U+FFFD.
std::string printable(std::string_view text);
/// "prefer", "<= allow", ">= verify-ca", "require..verify-ca", "unknown".
std::string interval_text(protocol::SslModeInterval interval);

}  // namespace proxy::report
