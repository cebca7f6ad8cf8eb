// What `capture read` knows about one session, as values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/captured_absence.hpp"
#include "protocol/transcript.hpp"

namespace proxy::transcript {

/// Who, from where and how: from the first packet's comment, from the session's audit events, and
/// from its StartupMessage. Empty: not known.
struct SessionFacts {
    std::string session;
    std::string listener;
    std::string client_addr;
    int client_port = -1;
    std::string user;
    std::string database;
    std::string application_name;
    std::optional<bool> ssl;  ///< of the client leg
    std::string version;
    std::string cipher;
    std::string negotiation;
    std::string sslmode_min;
    std::string sslmode_max;
    std::string verifies;
    std::string auth_method;
    std::string upstream_addr;
    std::string upstream_version;
    std::string client_exe{};  ///< of a client on this host
    std::int64_t client_uid = -1;
    std::optional<bool> upstream_prewarmed{};  ///< its connection was there before the session
};

/// Why it came to nothing.
struct SessionFailure {
    std::string event{};   ///< the audit's: tls_failed, auth_failed, rejected, upstream_failed
    std::string reason{};  ///< the audit's; empty: only the packets say so
    std::string sqlstate{};
    std::string words{};   ///< what that means, a sentence
    std::string detail{};  ///< as the peer or OpenSSL says it
    std::uint64_t time = 0;
};

struct ErrorCount {
    std::uint64_t count = 0;
    std::string example;  ///< the first one's message
};

/// Of its statements, also of those that are not kept.
struct SessionTotals {
    std::uint64_t statements = 0;
    std::uint64_t failed = 0;
    std::uint64_t skipped = 0;
    std::uint64_t unanswered = 0;
    std::uint64_t rows = 0;
    std::uint64_t copied_in = 0;
    std::uint64_t copied_out = 0;
    std::uint64_t notices = 0;
    std::uint64_t gaps = 0;
    std::map<std::string, ErrorCount> errors;          ///< by SQLSTATE
    std::vector<protocol::CapturedStatement> slowest;  ///< the slowest first
};

struct ReadSession {
    SessionFacts facts;
    std::uint64_t started = 0;   ///< first packet or event, ns since 1970
    std::uint64_t ended = 0;     ///< last one
    bool over = false;           ///< closed in the capture
    bool in_the_middle = false;  ///< its capture does not have its beginning
    protocol::CapturedOpening opening;
    protocol::CapturedLogin login;
    protocol::CapturedEnd end;
    std::optional<protocol::ErrorResponse> farewell;
    std::string end_reason;  ///< the audit's
    std::string end_sqlstate;
    std::vector<SessionFailure> failures;
    std::vector<protocol::CapturedEntry> entries;
    std::uint64_t entries_left_out = 0;  ///< of them, for lack of room
    SessionTotals totals;
    std::uint64_t missing_client = 0;  ///< bytes
    std::uint64_t missing_server = 0;
    std::uint64_t unreadable = 0;  ///< bytes of both sides that are there
    bool rest_unreadable = false;
    std::uint64_t bytes_client = 0;  ///< in the capture, in clear
    std::uint64_t bytes_server = 0;
    std::vector<std::string> notes;        ///< other comments: alerts, what was blanked
    std::set<protocol::Absence> absences;  ///< what of it is not in the capture, as the capture itself says

    bool failed() const noexcept { return !failures.empty(); }
    /// The capture has its events alone, or had to give it up.
    bool absent() const noexcept;
};

/// Counts what it was, and keeps it among the slowest if it is one.
void count(SessionTotals& totals, const protocol::CapturedEntry& entry);
/// What a client waited for it, in ns; 0: not known.
std::uint64_t duration(const protocol::CapturedStatement& statement) noexcept;
/// The others as well.
void keep_slowest(std::vector<protocol::CapturedStatement>& slowest, const protocol::CapturedStatement& statement);

}  // namespace proxy::transcript
