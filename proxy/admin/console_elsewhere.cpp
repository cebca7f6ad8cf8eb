#include "proxy/admin/console_elsewhere.hpp"

#include <algorithm>
#include <array>

#include "proxy/admin/console_error.hpp"

namespace proxy {
namespace {

constexpr std::array<std::string_view, 4> about_sessions{"pg_stat_activity", "pg_stat_ssl", "open_sessions",
                                                         "sessions"};

/// Of names in SQL, whatever the locale.
constexpr bool is_of_a_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}
constexpr char without_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string where_they_are(const SessionsElsewhere& one) {
    if (one.console.empty()) return "Its own console has them.";
    return "Its own console has them: mkdir old && ln -s " + one.console +
           " old/.s.PGSQL.6434 && psql -h $PWD/old -p 6434 pgairlock";
}

}  // namespace

bool is_about_sessions(std::string_view sql) {
    for (std::size_t begin = 0; begin < sql.size(); ++begin) {
        if (!is_of_a_name(sql[begin])) continue;
        std::size_t end = begin;
        while (end < sql.size() && is_of_a_name(sql[end])) ++end;
        const std::string_view word = sql.substr(begin, end - begin);
        const bool is_one = std::any_of(about_sessions.begin(), about_sessions.end(), [&](std::string_view name) {
            return std::equal(word.begin(), word.end(), name.begin(), name.end(),
                              [](char a, char b) { return without_case(a) == b; });
        });
        if (is_one) return true;
        begin = end;
    }
    return false;
}

void append_notices(protocol::Buffer& out, const std::vector<SessionsElsewhere>& elsewhere) {
    for (const SessionsElsewhere& one : elsewhere) {
        if (one.sessions == 0) continue;
        append_notice(out, {.severity = "NOTICE",
                            .sqlstate = "00000",
                            .message = "not listed: " + std::to_string(one.sessions) +
                                       (one.sessions == 1 ? " session" : " sessions") + " that process " +
                                       std::to_string(one.pid) + " still serves since an upgrade",
                            .detail = {},
                            .hint = where_they_are(one),
                            .position = 0});
    }
}

}  // namespace proxy
