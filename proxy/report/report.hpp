// The migration report: one row per client of what inventories know about it, what that means, and
// what to do (docs/report.md). Pure: no I/O and no clock. report_merge.cpp makes one inventory of
// several (report_distinct.cpp, report_add.cpp, report_certificates.cpp), report_join.cpp gives
// failed handshakes to clients, report_direct.cpp finds those that go around every proxy,
// report_sampling.cpp how servers were looked at for them, report_marks.cpp knows what people
// decided, report_conclude.cpp draws the conclusions, report_failures.cpp knows whose matter a
// failure is, report_missing.cpp says what is not known, report.cpp puts it together,
// report_against.cpp compares with an older report, report_words.cpp has the words, and each format
// files of its own.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "protocol/utf8.hpp"
#include "protocol/verdict.hpp"
#include "proxy/inventory/inventory_reader.hpp"

namespace proxy::report {

/// What rows may be made one by (`--group-by`).
enum class Dimension { upstream, proxy, client, user, database, application };

std::string_view to_string(Dimension dimension) noexcept;
std::optional<Dimension> parse_dimension(std::string_view text) noexcept;

/// What is asked for; what is empty does not restrict.
struct ReportFilter {
    std::optional<Timestamp> since{};  ///< what was not seen since then is left out, evidence included
    std::optional<Timestamp> until{};  ///< what was not seen by then is left out
    std::string usename{};
    std::string datname{};
    std::string application_name{};
    std::string client_addr{};  ///< an address, or a range (10.0.0.0/8)
    std::string upstream{};
    std::string proxy{};  ///< a name or an id
    /// Rows that differ only in other dimensions become one; empty: none do.
    std::vector<Dimension> group_by{};
    Timestamp now = 0;  ///< who was silent, and whose acceptance has ended; 0: nobody

    /// Whether it leaves out any client because of who it is.
    bool names_clients() const noexcept;
};

/// What to do about a client, the most urgent first. The first that applies is the one.
enum class Action {
    enable_tls,            // never seen to use TLS
    trust_our_ca,          // refuses the certificate of this proxy and then goes on in clear: we may be the cause
    repair_fallback,       // goes on in clear when TLS or the login over it fails
    split,                 // comes in clear and with TLS: two programs or two settings share one name
    fix_root_certificate,  // cannot connect by TLS: no root certificate, or one that does not know the certificate of
                           // today
    fix_tls,               // its handshakes come to nothing for another reason: nothing in common, its own certificate
    offer_tls,             // insists on TLS, which its listener does not offer
    fix_login,             // its logins are refused: the password, the user, the database
    let_in,                // its logins are refused by this proxy: TLS or a certificate required, a limit
    reach_the_server,      // its logins end because no server was there, or had room for it
    relieve_the_proxy,     // its logins end because this proxy could not go on: memory, a stop
    ask_its_owner,         // leaves without a word, so that only its own log knows why
    update_trust_store,    // verifies, and refused the candidate
    verify_the_server,     // would accept an impostor
    upgrade_tls,           // TLS below 1.2, or a cipher that only `legacy` allows
    go_through_us,         // goes around every proxy, so that what it verifies cannot be seen
    probe,                 // what matters is not known
    none,
};

inline constexpr int action_count = static_cast<int>(Action::none) + 1;

std::string_view to_string(Action action) noexcept;
/// One sentence for whoever has to do it.
std::string_view explain(Action action) noexcept;
struct ReportClient;
/// The same of one client, with what failed last; printable.
std::string explain(const ReportClient& client);
/// What a load balancer said of a client whose TLS was not ours to see; empty: nothing.
std::string_view at_the_front(const ReportClient& client);

/// What connections ran over, by what should go away first.
enum class Mode { clear, old_tls, tls12, tls13, other };

/// `text`: as inventories have it, "plain" or the TLS version.
Mode mode_of(std::string_view text) noexcept;

/// How a client connects, the worst first.
enum class State {
    in_clear,       // always
    falls_back,     // in clear when TLS, or the login over it, fails
    mixed,          // sometimes in clear, or the evidence contradicts itself
    not_verifying,  // TLS, and would accept an impostor
    unknown,        // TLS, or only failures; whether it verifies is not known
    verifying,
};

/// "in clear", "falls back", "mixed", "not verifying", "unknown", "verifying".
std::string_view to_string(State state) noexcept;
std::optional<State> parse_state(std::string_view text) noexcept;

/// Who told of a client.
enum class Source {
    seen,    // a proxy that it came to
    direct,  // a server, which lists sessions of it that came through no proxy
};

/// "seen", "direct".
std::string_view to_string(Source source) noexcept;

/// What servers' own lists say of a client that goes around every proxy. A row's `connections` are
/// its different sessions.
struct DirectFacts {
    std::set<std::string> servers{};  ///< their addresses
    std::uint64_t looks = 0;          ///< in which there was at least one of its sessions; the most of one proxy
    std::uint64_t seen = 0;           ///< sum over these of how many there were
    std::string cipher{};             ///< of the last with TLS
    std::string client_dn{};          ///< of the certificate that it showed, if it did
};

/// What probing did to a client.
struct ProbeCost {
    std::string kind;
    std::uint64_t shown = 0;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  ///< connections that the client lost by it
    Timestamp last_shown = 0;
    bool shared = false;  ///< counted by address and executable, which other clients have as well
};

/// What failed last of a client that cannot log in.
struct LastFailure {
    /// "login refused", "refused by the proxy", "login not answered", or the handshake's evidence
    std::string what;
    Timestamp time = 0;     ///< 0: not known
    std::string error{};    ///< of a login SQLSTATE and words; empty: not known
    std::string session{};  ///< to be looked up in the audit; empty: not known
};

/// Somebody decided that a client may stay as it is.
struct Acceptance {
    std::string owner;
    std::string reason;
    Timestamp until = 0;               ///< 0: without an end
    std::vector<std::string> state{};  ///< what was wrong with it then (complaints())
    std::vector<std::string> worse{};  ///< what is wrong with it now that was not then
};

/// A client's knowledge from all inventories, and what follows from it.
struct ReportClient {
    ClientRow row;  ///< merged; the evidence includes that of handshakes
    Source source = Source::seen;
    DirectFacts direct{};
    bool known = true;   ///< false: handshakes only, so that nobody knows whose; the names in row.who are empty
    bool local = false;  ///< all of it by a loopback address or a UNIX socket: what is in clear crossed no network

    protocol::SslModeInterval sslmode;
    protocol::Verifies verifies = protocol::Verifies::unknown;
    bool weak = false;
    bool plain = false;        ///< some of its connections are in clear
    bool mixed = false;        ///< and others are not, or its evidence contradicts itself
    Timestamp changed_at = 0;  ///< what was seen until then is outweighed by a long time of something else; 0: nothing
    bool old_tls = false;      ///< below TLS 1.2, or with a cipher that only `legacy` allows
    bool falls_back = false;
    bool perhaps_anothers_fallback = false;  ///< inferred: whoever failed at its address before may be another
    bool failing = false;                    ///< it never succeeded, or no longer does
    protocol::Readiness breaks_on_force_ssl = protocol::Readiness::unknown;
    protocol::Readiness breaks_on_ca_rotation = protocol::Readiness::unknown;
    Action action = Action::none;
    std::optional<Action> also{};  ///< it fails today, and `action` is about something else: what mends that
    std::optional<LastFailure> last_failed{};  ///< of those that cannot connect or log in, for all that is known
    std::vector<ProbeCost> probes;
    std::string error;                     ///< of its last failed handshake
    std::uint64_t failed_handshakes = 0;   ///< without those that probing cost it; row.failures are the others
    std::uint64_t perhaps_failed = 0;      ///< handshakes that are its own or another's
    std::optional<Acceptance> accepted{};  ///< also when its time is over
    bool excused = false;                  ///< accepted, its time is not over, and it is not worse than it was then
    std::string note;
    Timestamp repaired_at = 0;  ///< what was seen until then does not count; 0: nobody said so
    Timestamp marked_at = 0;    ///< when people last said something about it; 0: never

    std::uint64_t failures() const noexcept { return row.failures + failed_handshakes; }
};

/// Whose sslrootcert_candidate is in the way of a certificate of a server, where several proxies
/// have met it.
struct Rehearsal {
    std::set<std::string> refused_by{};
    std::set<std::string> not_judged_by{};  ///< have none, while others have one
};

struct ReportCertificate {
    /// Its `candidate_ok` is true where every proxy that meets the certificate says so, false where
    /// one refuses it.
    UpstreamCertificateRow row;
    bool current = false;   ///< the one that this address showed last
    Rehearsal rehearsal{};  ///< by the proxies' names
};

/// A proxy says every minute that it is here.
inline constexpr Timestamp silent_after = 5 * 60'000'000;

/// What is later than now by more than that was written down by a clock that is or was wrong.
inline constexpr Timestamp clocks_may_differ = 10 * 60'000'000;

struct ReportProxy {
    ProxyRow row;
    std::string name;         ///< never empty
    Timestamp silent = 0;     ///< for how long it has not been heard of; 0: it was a moment ago
    bool asked_for = true;    ///< clients of it are in this report
    bool only_looks = false;  ///< `pgairlock sample`: nobody goes through it, and it is gone when it has looked
};

/// A server whose sessions were looked at as it lists them, by whoever did.
struct SampledServer {
    std::string upstream;
    std::string upstream_addr;
    Timestamp first_look = 0;
    Timestamp last_look = 0;
    std::uint64_t looks = 0;
    Timestamp interval = 0;             ///< the longest of them
    std::uint64_t hidden = 0;           ///< looks that were not shown whose the sessions are
    Timestamp shown_at = 0;             ///< the last look of those who are shown it now; 0: nobody is
    Timestamp hidden_at = 0;            ///< the last look of those who are not
    std::uint64_t failed = 0;           ///< times that it did not answer
    std::uint64_t left_out = 0;         ///< sessions that are in no row
    std::uint64_t amazons = 0;          ///< different sessions of Amazon's own on the server itself, counted nowhere
    std::set<std::string> looked_by{};  ///< proxies' instances
    /// Sessions in all looks, of which some came through a proxy. Only of whoever was shown whose
    /// they are; those in no row count as having come through none.
    std::uint64_t through = 0;
    std::uint64_t all = 0;
};

/// Whether the server shows whose its sessions are, to somebody who looks at it still.
bool is_shown(const SampledServer& server);

/// In a hundred, rounded down; nullopt: there was none, or they are hidden.
std::optional<std::uint64_t> coverage(const SampledServer& server);
std::optional<std::uint64_t> coverage(const std::vector<SampledServer>& servers);

/// Handshakes that failed, and that several clients may have made. Without candidates: that name
/// nobody, where clients were asked for by name.
struct Unattributed {
    ClientOrigin from;
    std::uint64_t count = 0;
    Timestamp first_seen = std::numeric_limits<Timestamp>::max();
    Timestamp last_seen = 0;
    bool broken = false;        ///< it was no accident: somebody there cannot connect over TLS
    std::uint64_t refused = 0;  ///< of `count`: refused the real certificate, or left when they had it
    std::string error{};
    std::vector<ClientIdentity> candidates{};
};

struct ReportSummary {
    std::uint64_t clients = 0;
    // Each client is one of these:
    std::uint64_t plain = 0;
    std::uint64_t tls_not_verifying = 0;
    std::uint64_t verifying = 0;
    std::uint64_t unknown = 0;
    // Of those in clear, whose text crossed a network, and whose did not:
    std::uint64_t plain_network = 0;
    std::uint64_t plain_local = 0;
    // And any of these:
    std::uint64_t weak = 0;
    std::uint64_t mixed = 0;
    std::uint64_t failing = 0;
    std::uint64_t accepted = 0;
    std::uint64_t bridged = 0;
    std::uint64_t falls_back = 0;
    std::uint64_t never_logged_in = 0;
    std::uint64_t breaks_on_ca_rotation = 0;
    std::uint64_t breaks_on_ca_rotation_unknown = 0;
    std::uint64_t breaks_on_force_ssl = 0;
    std::uint64_t breaks_on_force_ssl_unknown = 0;
    std::uint64_t silent_proxies = 0;
    // Clients that go around every proxy. Nothing above counts them, nor does what is below:
    std::optional<std::uint64_t> direct{};  ///< nullopt: not known, no server was looked at or one shows nothing
    std::uint64_t direct_plain = 0;         ///< of them, in clear at least sometimes
    std::uint64_t direct_accepted = 0;
    std::optional<std::uint64_t> coverage{};  ///< of Report::sampling
    std::map<Action, std::uint64_t> actions;
    std::uint64_t connections = 0;
    std::uint64_t failures = 0;
    std::uint64_t unattributed_failures = 0;  ///< handshakes that several may have made, or none that is known
    std::uint64_t unattributed_refused = 0;   ///< of these: refused our certificate, or left when they had it
    Timestamp first_seen = 0;                 ///< of anybody; 0: there is nobody
    Timestamp last_seen = 0;
    std::map<std::string, ProbeCost> probes;                            ///< by kind
    std::map<std::int64_t, std::map<std::string, std::uint64_t>> days;  ///< connections by day and mode
    /// What this report does not know, a sentence each; empty: nothing was left out.
    std::vector<std::string> incomplete;
};

/// A client as two reports name it.
struct ComparedClient {
    Source source = Source::seen;
    ClientIdentity who;   ///< `seen_by`: the proxy's name, where the address is of its host alone
    bool known = true;    ///< as in ReportClient
    bool folded = false;  ///< its application name is a pattern
    State state = State::unknown;
    bool failing = false;
    bool weak = false;
    protocol::Readiness breaks_on_force_ssl = protocol::Readiness::unknown;
    protocol::Readiness breaks_on_ca_rotation = protocol::Readiness::unknown;
};

struct Change {
    std::string what;  ///< a field of the report in JSON
    std::string from;
    std::string to;
};

struct Difference {
    ComparedClient client;          ///< as it is now; of those that are gone, as it was
    std::vector<Change> changes{};  ///< none of those that are new or gone
};

/// What became of the clients of an older report (report_against.hpp).
struct Comparison {
    Timestamp until = 0;  ///< when the older report last saw anybody
    std::vector<Difference> fresh{};
    std::vector<Difference> worse{};
    std::vector<Difference> better{};
    std::vector<Difference> gone{};
    std::vector<std::string> caveats{};  ///< why the two are hard to compare, a sentence each
};

struct Report {
    ReportFilter filter;
    ReportSummary summary;
    std::vector<ReportProxy> proxies;
    std::vector<ReportClient> clients;  ///< worst first
    std::vector<Unattributed> unattributed;
    std::vector<ReportCertificate> upstream_certificates;
    std::vector<SampledServer> sampling{};  ///< those in the range, the least covered first
    std::optional<Comparison> against{};
    Timestamp consistent_after = 0;  ///< of all proxies together, as evaluate() takes it
};

Report make_report(const std::vector<InventoryRows>& inventories, const ReportFilter& filter);

/// What can make `--fail-on` fail.
enum class FailOn { weak, unknown, rotation, force_ssl, fallback, failing, direct, silent, expiring, incomplete };

std::string_view to_string(FailOn what) noexcept;
std::optional<FailOn> parse_fail_on(std::string_view text) noexcept;

/// Empty: it has not. It has also where nothing is known, or a limit was reached: no client may be
/// missing behind a good answer.
std::string why_failed(const Report& report, FailOn what);
inline bool has_failed(const Report& report, FailOn what) { return !why_failed(report, what).empty(); }

// --- Certificates of servers that come near their end (report_expiry.cpp)

/// As long before it as audit.expiry_warning is by default; a report knows no configuration.
inline constexpr Timestamp expiring_within = Timestamp{30} * 24 * 3600 * 1'000'000;
/// Where nobody has met a server for so long, its certificate is nobody's task.
inline constexpr Timestamp server_gone_after = Timestamp{30} * 24 * 3600 * 1'000'000;

struct ExpiringCertificate {
    const UpstreamCertificateRow* row = nullptr;  ///< of the report
    std::int64_t days_left = 0;                   ///< whole ones; below zero: it has ended
};
/// Those that servers show now, the first to end first.
std::vector<ExpiringCertificate> certificates_expiring(const Report& report);
/// "2026-12-12, in 12 days", "2026-11-01, ended"; of one that lasts the day alone.
std::string end_text(const ReportCertificate& certificate, Timestamp now);
/// Why `--fail-on expiring` fails; empty: it does not.
std::string why_expiring(const Report& report);

// --- The steps (report_merge.cpp, report_join.cpp, report_range.cpp, report_group.cpp,
// --- report_missing.cpp, report_conclude.cpp)

/// Upstream, address and SHA-256.
using CertificateOfServer = std::tuple<std::string, std::string, std::string>;
inline CertificateOfServer certificate_of(const UpstreamCertificateRow& row) {
    return {row.upstream, row.upstream_addr, row.sha256};
}

/// What several inventories know, as one.
struct Knowledge {
    InventoryRows rows;  ///< of all; `instance` and `proxy` are empty
    std::vector<ProxyRow> proxies;
    /// Names of proxies whose inventories are copies of one that went apart: what they have in
    /// common is counted twice.
    std::set<std::string> apart{};
    std::map<CertificateOfServer, Rehearsal> rehearsals{};  ///< by the proxies' instances
    /// Those that count. What they know of servers' sessions is not merged here: who goes around
    /// all of them shows when they are laid side by side (report_direct.cpp).
    std::vector<const InventoryRows*> inventories{};
};

/// Clients by key, counts added. An instance that is there twice counts once, as it was read last.
/// Clients whose address is of one host alone are kept apart by proxy.
/// Sessions that were open when their proxy was last heard of are taken to be open still, `now`
/// (0: not), unless it is silent.
Knowledge merge(const std::vector<InventoryRows>& inventories, Timestamp now = 0);

/// Clients whose application names differ only in what never repeats become one, once they are
/// many.
void fold_names(std::vector<ClientRow>& clients);

/// Two rows become one, whose evidence is to be united once all are added (unite()).
void add_client(ClientRow& into, const ClientRow& from);

/// Of whoever comes from there what is in clear crosses no network: loopback, and no address.
bool is_local(const std::string& address);

/// Two hosts have it for different clients: what is_local(), link-local addresses, and those of
/// Docker's default bridge (172.17.0.0/16).
bool is_of_one_host(const std::string& address);

/// What is of one kind becomes one row, in the place of the first.
void unite(std::vector<EvidenceRow>& rows);

struct Joined {
    std::vector<ReportClient> clients;
    std::vector<Unattributed> unattributed;
};

/// Gives each handshake to its client: known for certain, `possible` for several (by kind, with the
/// certificate that was shown last), or a row of its own.
Joined join(const InventoryRows& inventory);

/// What probing cost somebody is no failure.
void add_failure(Unattributed& into, const EvidenceRow& row);

struct Range {
    Timestamp since = 0;
    Timestamp until = std::numeric_limits<Timestamp>::max();
};

// --- Who goes around every proxy (report_direct.cpp, report_sampling.cpp)

/// A session that one proxy lists as none of its own is another's where that one has it as its own
/// at the same time, and none like it that is not. All others are direct.
std::vector<ReportClient> direct_clients(const std::vector<const InventoryRows*>& inventories);

/// The servers that were looked at within the range, by the proxies of these instances.
std::vector<SampledServer> sampled_servers(const std::vector<const InventoryRows*>& inventories,
                                           const std::set<std::string>& asked_for, const ReportFilter& filter);

/// What was not looked at, a sentence each; nothing where nobody looked at any server. After
/// report.proxies and report.upstream_certificates.
std::vector<std::string> not_looked_at(const Report& report, const std::vector<const InventoryRows*>& inventories);

/// How many go around, what would become of them, how much of all the proxies see, what looks may
/// have missed, and what is not counted: a sentence each, printable. The first one says that it is
/// not known, where it is not.
std::vector<std::string> who_goes_around(const Report& report);

/// Whether nobody came to a proxy, so that all that there is to say is of those that go around.
inline bool is_of_direct_alone(const ReportSummary& summary) {
    return summary.clients == 0 && summary.direct.value_or(0) > 0;
}

/// Drops what was not seen in it, and counts anew. Where it is not certain that something was seen
/// in it, bad news stay and good news go. False: nothing is left. Until an earlier time it may be
/// restricted again, and is then as if only that had been asked for.
bool restrict_to(ReportClient& client, const Range& range);

/// Rows that differ only in other dimensions become one; without dimensions none do. To be
/// evaluated again.
void group(std::vector<ReportClient>& clients, const std::vector<Dimension>& by);

/// What it does not know, a sentence each, from its filter, its proxies and its clients before they
/// are restricted to a range.
std::vector<std::string> missing(const Report& report, const std::set<std::string>& apart);

/// Concludes from `row`, and what people said, all that is not of the row.
void evaluate(ReportClient& client, Timestamp consistent_after = 0);

// --- What people decide (report_marks.cpp)

/// Gives each client what was said about it.
void apply_marks(const std::vector<MarkRow>& marks, std::vector<ReportClient>& clients, Timestamp now = 0);

/// What is wrong with an evaluated client, as far as that can become worse: a word each.
std::vector<std::string> complaints(const ReportClient& client);

/// As the column `accepted_state` has them.
std::string joined_words(const std::vector<std::string>& words);

/// What was wrong with a client when the mark was made, as the column `accepted_state` has it.
void set_state(MarkRow& mark, const ReportClient& client, std::vector<std::string> state);

/// Two rows of one client: what is wrong with either is accepted.
void add_state(MarkRow& into, const MarkRow& from);

/// Whether an evaluated client is excused: it is as it was when it was accepted, or better.
void decide_excuse(ReportClient& client, Timestamp now);

/// What was said about a client, to be written with what is said now. Its acceptance, if any, is of
/// what it was then.
MarkRow mark_of(const ReportClient& client);

// --- The formats

struct TableOptions {
    bool colours = false;
    std::size_t width = 120;  ///< columns of the terminal; 0: as wide as it gets
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
/// "2 days", "35 minutes".
std::string duration_text(Timestamp duration);
/// "3 clients".
std::string plural(std::uint64_t count, std::string_view noun);
using protocol::printable;
/// "3 proxies", "no proxy: what 1 run of pgairlock sample saw".
std::string proxies_text(const Report& report);
/// The names of the proxies that saw it.
std::vector<std::string> proxies_of(const Report& report, const ReportClient& client);
State state_of(const ReportClient& client);
/// "a, b and 3 others".
std::string enumerated(const std::vector<std::string>& names, std::size_t most);
/// What `unattributed_failures` are, of which there must be one: "handshakes failed that no row
/// explains, 7 of them at our certificate: a client may never log in". Whoever shares address and
/// program with others and never logs in has no row.
std::string unexplained(const ReportSummary& summary);
/// "may be those of a@b and 3 others, or of a client that never logged in", of printable text; with
/// what to do where our certificate was refused.
std::string whose(const Unattributed& one, std::size_t most);
/// "login refused, session 17a29cbdecd2-1 of the audit", "tls_refused: alert unknown_ca (48)":
/// printable; without its time.
std::string failure_text(const LastFailure& failure);
/// "a, b and 3 others": the proxies that are in the way of a good `candidate_ok`. Empty: none is,
/// or it goes without saying. Printable.
std::string in_the_way(const Report& report, const Rehearsal& rehearsal);
/// What people said of it that still matters, but for an acceptance that holds; printable.
std::vector<std::string> decisions(const ReportClient& client);
/// What the report was restricted to besides time, as options: "user", "billing". Empty: nothing.
std::vector<std::pair<std::string, std::string>> restrictions(const ReportFilter& filter);
/// The CN of a subject as RFC 2253 writes it; the whole subject when it has none.
std::string common_name(std::string_view subject);
/// By subject what is enough to tell it from the others: its CN, or all of it.
std::map<std::string, std::string> short_names(const std::vector<std::string>& subjects);
/// What tells rows without names apart that come from one place: "JA4 t13d1516h2_8daaf6152771_...",
/// or that there was no ClientHello. Empty: it is the only one there, or has names. Printable.
class Fingerprints {
   public:
    explicit Fingerprints(const Report& report);
    std::string of(const ReportClient& client) const;

   private:
    std::map<ClientOrigin, std::uint64_t> rows_;
};
/// By anchor, of the report's server certificates: what its name does not tell. "key 1a2b3c4d"
/// where another one of that name has another key; else empty.
class AnchorKeys {
   public:
    explicit AnchorKeys(const Report& report);
    std::string of(const UpstreamCertificateRow& row) const;

   private:
    std::map<std::string, std::set<std::string>> by_name_;
};
/// "prefer", "<= allow", ">= verify-ca", "require..verify-ca", "unknown".
std::string interval_text(protocol::SslModeInterval interval);

}  // namespace proxy::report
