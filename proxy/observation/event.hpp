// What happened, as values: everything an operator sees derives from these.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/auth_bridge.hpp"
#include "protocol/evidence.hpp"
#include "protocol/foreign.hpp"
#include "protocol/host_role.hpp"
#include "protocol/startup.hpp"
#include "proxy/observation/client_identity.hpp"
#include "proxy/observation/front.hpp"
#include "proxy/observation/not_probed.hpp"
#include "proxy/observation/process_owner.hpp"
#include "proxy/observation/reason.hpp"
#include "tls/listener_context.hpp"
#include "tls/upstream_context.hpp"

namespace proxy {

/// How long each phase of a login took; zero: it did not happen.
struct Timings {
    std::chrono::microseconds negotiation{0};      ///< accept to StartupMessage, the client's TLS handshake included
    std::chrono::microseconds client_tls{0};       ///< the client leg's handshake
    std::chrono::microseconds resolve{0};          ///< names to addresses
    std::chrono::microseconds turn{0};             ///< waiting for max_logins_in_flight
    std::chrono::microseconds host_wait{0};        ///< waiting for a host that serves (wait_for_host)
    std::chrono::microseconds connect{0};          ///< TCP, of the address that answered
    std::chrono::microseconds upstream_tls{0};     ///< SSLRequest and handshake of the server leg
    std::chrono::microseconds failed_attempts{0};  ///< at addresses that did not serve
    std::chrono::microseconds login{0};            ///< StartupMessage sent to ReadyForQuery
    std::chrono::microseconds total{0};            ///< accept to ReadyForQuery
};

/// Everything known about one client connection. Texts that are not known are empty and shown as
/// null.
struct SessionRecord {
    std::string session;  ///< unique over restarts
    std::string listener;
    std::string upstream;
    std::string client_addr;                      ///< empty for UNIX-domain sockets, as in pg_stat_activity
    int client_port = -1;                         ///< -1 for UNIX-domain sockets, as in pg_stat_activity
    std::shared_ptr<const Front> front;           ///< who brought it, where a PROXY protocol header is read
    std::shared_ptr<const ProcessOwner> process;  ///< nullptr: not of this host, or not known
    std::chrono::steady_clock::time_point accepted{};

    std::string datname;
    std::string usename;
    std::string application_name;
    std::string replication;
    std::string protocol;  ///< "3.0"
    std::string negotiation;
    std::optional<protocol::Foreign> looks_like;  ///< what its first bytes are, when they are no packet of PostgreSQL

    bool ssl = false;
    tls::ClientTls client_tls;
    std::string sni;
    std::string ja4;
    std::vector<protocol::Evidence> evidence;
    std::optional<config::ProbeKind> probe;  ///< the certificate that was to be shown was not the real one
    std::optional<ProbeEnd> probe_end;       ///< what it was to the probe; nullopt: it never saw the certificate
    std::optional<NotProbed> not_probed;     ///< why it was shown the real certificate; nullopt: it came in clear

    std::string auth_method;
    protocol::AuthBridge auth_bridge = protocol::AuthBridge::none;
    char gs2_flag = 0;  ///< channel binding flag of the client's SCRAM: n, y, p
    std::int64_t backend_pid = 0;

    std::string upstream_addr;
    bool upstream_ssl = false;
    bool upstream_prewarmed = false;   ///< the server connection was there before the client: no time was spent on it
    bool upstream_addr_stale = false;  ///< no name server answered: the name's addresses of a moment ago were used
    unsigned failed_attempts = 0;      ///< addresses that were tried before the one that served, and did not
    tls::ServerTls upstream_tls;
    std::string upstream_sslmode;
    protocol::HostRole upstream_role = protocol::HostRole::unknown;  ///< as the server reported it at this login

    Timings timings;
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_from_server = 0;

    /// The only ways in for these names: cut, and UTF-8. What goes on to the server is the message
    /// itself.
    void take_names(const protocol::StartupMessage& startup);
    void take_server_name(std::string_view name);
    ClientOrigin origin() const;
    ClientNames names() const { return {usename, datname, application_name}; }
    Caller caller() const { return {names(), listener, client_addr}; }

    /// Text in clear, a client that would accept an impostor, or TLS below today's minimum; on the
    /// way to a front too, as far as that says.
    bool weak() const noexcept;
    /// TLS below today's minimum.
    bool weak_tls() const noexcept;
    /// That of the client, which ended at the front or with us; empty: in clear.
    const std::string& tls_version() const noexcept;
    /// The TLS that we see is a front's own, or may be: of the client it tells nothing.
    bool tls_is_of_front() const noexcept;
    protocol::SslModeInterval sslmode() const noexcept { return protocol::proves(evidence); }
};

enum class EventKind {
    connected,
    disconnected,
    tls_failed,
    auth_failed,
    oauth_discovery,
    rejected,
    upstream_failed,
    cancel,
    started,
    stopping,
    reloaded,
    reload_failed,
    upgraded,
    upgrade_failed,
    upstream_certificate,
    client_changed,
    inventory_failed,
    capture_started,
    capture_stopped,
    console_command,
    new_weak_client,
    certificate_expiring,
    host_role_changed,
    events_dropped,
};

constexpr std::size_t event_kinds = static_cast<std::size_t>(EventKind::events_dropped) + 1;

std::string_view label(EventKind kind) noexcept;

/// What capture_started and capture_stopped are about.
struct CaptureNote {
    std::uint64_t id = 0;  ///< of this process
    std::string by;        ///< who wanted it
    std::string payload;
    std::string trigger;
    std::string filter;  ///< "users=app listeners=legacy"; empty: everything
    bool keylog = false;
    bool allow_secrets = false;
    std::string where;
    std::optional<std::chrono::system_clock::time_point> until;
    std::string reason{};  ///< capture_stopped: one word (docs/audit.md), and the rest: what became of it
    std::uint64_t sessions = 0;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped = 0;
    std::uint64_t left_out = 0;       ///< sessions that were to be in it, and are not
    std::uint64_t files_removed = 0;  ///< by it, for max_total_size
    std::string stopped_by{};         ///< a user of this host, or the reason
    std::uint64_t not_entered =
        0;  ///< sessions that were open before, and have not entered; or whose login outlived it
    std::uint64_t entries_dropped = 0;  ///< audit events of its sessions that found no room in it
    std::uint64_t rests = 0;            ///< packets within messages whose beginning is not in their file: left out
};

/// What tells a server's certificate from others, and its authority from others: by their keys, as
/// far as these are known, since two may have one name.
struct ShownCertificate {
    std::string upstream;
    std::string upstream_addr;
    std::string sha256;
    std::string issuer;
    std::string issuer_key_id;      ///< empty: the certificate does not name it
    std::string anchor;             ///< empty: the chain was not verified
    std::string anchor_key_sha256;  ///< empty also where an older version saw it
};

/// Of a record whose upstream_tls has a leaf; without one, of a certificate with empty names.
ShownCertificate shown_certificate(const SessionRecord& record);

/// Who vouches for a certificate, as ShownCertificate has it.
struct Authority {
    std::string_view issuer;
    std::string_view issuer_key_id;
    std::string_view anchor;
    std::string_view anchor_key_sha256;
};

/// Whether whoever trusts the one need not trust the other: another name, or another key. One that
/// is renewed or cross-signed under its name and key is the same. What is not known of either, such
/// as the anchor of a chain that was not verified, makes no difference.
bool is_other_ca(const Authority& before, const Authority& now) noexcept;

/// What certificate_expiring is about, beside the certificate itself, which is the record's
/// upstream_tls.leaf whatever it is for.
struct ExpiryNote {
    tls::Use use = tls::Use::shown;
    std::string what;            ///< "anchor of upstream orders"
    std::string file;            ///< or "system"; empty: it came from a server
    std::string alert;           ///< whose anchor it is; empty: no alert's
    std::string_view moment;     ///< a word: label(ExpiryMoment)
    std::int64_t days_left = 0;  ///< whole ones, rounded down; negative: it has ended
};

/// What host_role_changed is about, beside the record's upstream and upstream_addr.
struct RoleNote {
    std::string host;  ///< as configured, "db.internal:5432"
    protocol::HostRole before = protocol::HostRole::unknown;
    protocol::HostRole now = protocol::HostRole::unknown;
    std::string_view source;  ///< a word: who has told (to_string(RoleSource))
};

/// One audit line. Which members beyond `kind`, `time` and `record` count depends on the kind
/// (docs/audit.md).
struct Event {
    EventKind kind{};
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
    SessionRecord record{};
    Reason reason = Reason::none;  ///< why a client or a connection was turned away or ended
    std::string sqlstate{};
    std::string message{};                  ///< for people: auth_failed, oauth_discovery, tls_failed, upstream_failed,
                                            ///< reload_failed, started, inventory_failed, upgraded,
                                            ///< upgrade_failed,
                                            ///< certificate_expiring, client_changed,
                                            ///< console_command
    std::string by{};                       ///< console_command: who gave it
    std::string verify_error{};             ///< upstream_failed: the check that failed
    int alert = -1;                         ///< tls_failed
    std::chrono::microseconds duration{0};  ///< disconnected: since accept
    bool ssl = false;                       ///< cancel: it came through TLS
    bool matched = false;                   ///< cancel: its key belongs to a live session
    bool limited = false;                   ///< cancel: its key was not looked up, after too many that matched nothing
    std::int64_t pid = 0;                   ///< upgraded: the new process
    /// events_dropped; upgraded: sessions that go on in the old process; upstream_certificate and
    /// certificate_expiring: those before it that were not told.
    std::uint64_t count = 0;
    /// upstream_certificate: the one that this address showed last, or else this upstream; nullptr:
    /// none is known.
    std::shared_ptr<const ShownCertificate> shown_before{};
    bool weaker = false;                           ///< client_changed: what it does now is less than what it did
    std::shared_ptr<const CaptureNote> capture{};  ///< capture_started, capture_stopped
    std::shared_ptr<const ExpiryNote> expiry{};    ///< certificate_expiring
    std::shared_ptr<const RoleNote> role{};        ///< host_role_changed
};

/// What a certificate that is news says of its CA (is_other_ca).
enum class CaChange { first, same, other, unknown };

inline constexpr std::size_t ca_changes = static_cast<std::size_t>(CaChange::unknown) + 1;

/// "first" (nothing is known of that upstream), "same", "other"; "unknown": nothing says that it is
/// another one, and nobody has verified both.
std::string_view to_string(CaChange change) noexcept;

/// Of an upstream_certificate.
CaChange ca_change(const Event& event) noexcept;

/// What the event holds in memory, in bytes and roughly: itself and its texts, but not what it
/// shares with others, such as the facts of a server certificate.
std::size_t footprint(const Event& event) noexcept;

}  // namespace proxy
