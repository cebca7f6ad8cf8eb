// A server's own list of its sessions (pg_stat_activity with pg_stat_ssl): the question, and what
// its answer says. From PostgreSQL 10 on.
//
// Everything is qualified, as in host_state.hpp and for its reasons. Whoever has not been granted
// pg_read_all_stats sees of others' sessions that they are there, and not whence and how.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/simple_query.hpp"

namespace protocol {

/// Of a client, or of a standby or another one that reads the log.
struct ListedSession {
    std::int64_t pid = 0;            ///< of its backend
    std::int64_t started = 0;        ///< of its backend, by the server's clock: microseconds since 1970
    std::string client_addr{};       ///< empty: by a UNIX-domain socket
    std::string usename, datname{};  ///< datname: empty for physical replication
    std::string application_name{};
    std::string version{};            ///< of TLS; empty: without
    std::string cipher, client_dn{};  ///< client_dn: of the client's certificate
};

struct SessionList {
    std::int64_t server_started = 0;        ///< by the server's clock: tells it from every other
    std::int64_t now = 0;                   ///< likewise
    bool hidden = false;                    ///< the role that asks is not shown others' addresses and TLS
    std::uint64_t left_out = 0;             ///< sessions that are hidden, or beyond max_listed_sessions
    std::vector<ListedSession> sessions{};  ///< without the one that has asked
};

/// More than a PostgreSQL server is given.
inline constexpr std::size_t max_listed_sessions = 10'000;
/// Names have 63 bytes at most, so that this is twice what as many sessions take.
inline constexpr AnswerBounds session_list_bounds{.bytes = std::size_t{8} << 20, .rows = max_listed_sessions};

/// The statement that session_list() reads the answer of.
extern const std::string_view session_list_query;
/// nullopt: it is no such answer.
std::optional<SessionList> session_list(std::span<const TextRow> rows);

}  // namespace protocol
