#include "protocol/console_absent.hpp"

#include <algorithm>
#include <array>

namespace protocol {
namespace {

constexpr std::array pgbouncer_commands{
    AbsentWord{"PAUSE",
               "PAUSE is PgBouncer's: here each session has a server connection of its own, and none is shared",
               "DRAIN takes no more clients and lets sessions end; KILL ends one."},
    AbsentWord{"RESUME", "RESUME is PgBouncer's: nothing can be paused here",
               "After DRAIN another process takes the clients."},
    AbsentWord{"DISABLE", "DISABLE is PgBouncer's: here the configuration says what is served",
               "Take the listener out of the configuration and RELOAD: its sessions go on, and nobody new comes."},
    AbsentWord{"ENABLE", "ENABLE is PgBouncer's: here the configuration says what is served",
               "Put the listener into the configuration and RELOAD."},
    AbsentWord{"RECONNECT", "RECONNECT is PgBouncer's: here no server connection outlives its session",
               "Names are looked up anew for every connection; KILL ends one session."},
    AbsentWord{"SUSPEND", "SUSPEND is PgBouncer's: sockets are not handed over to another process here",
               "DRAIN takes no more clients and lets sessions end."},
    AbsentWord{"WAIT_CLOSE", "WAIT_CLOSE is PgBouncer's: there are no pools whose connections could be waited for",
               "SELECT count(*) FROM open_sessions says how many sessions are open; DRAIN ends with the last."},
    AbsentWord{"KILL_CLIENT", "KILL_CLIENT is PgBouncer's: here KILL ends one session",
               "KILL 'session' or KILL pid, as pg_stat_activity has them."},
};

constexpr std::array pgbouncer_views{
    AbsentWord{"active_sockets", "SHOW ACTIVE_SOCKETS is PgBouncer's: sockets are not shown one by one",
               "SHOW CLIENTS and SHOW SERVERS show the sessions that they belong to."},
    AbsentWord{"sockets", "SHOW SOCKETS is PgBouncer's: sockets are not shown one by one",
               "SHOW CLIENTS and SHOW SERVERS show the sessions that they belong to."},
    AbsentWord{"fds", "SHOW FDS is PgBouncer's: descriptors are not handed over here",
               "The metric process_open_fds says how many are open."},
    AbsentWord{"mem", "SHOW MEM is PgBouncer's: memory is not kept in its caches here",
               "The metric process_resident_memory_bytes says how much is used."},
    AbsentWord{"dns_hosts", "SHOW DNS_HOSTS is PgBouncer's: no answer of a name server is kept here",
               "SHOW HOSTS shows the configured hosts; names are looked up anew for every connection."},
    AbsentWord{"dns_zones", "SHOW DNS_ZONES is PgBouncer's: no answer of a name server is kept here",
               "SHOW HOSTS shows the configured hosts; names are looked up anew for every connection."},
    AbsentWord{"peers", "SHOW PEERS is PgBouncer's: cancel requests find their session without peers here",
               "The proxies of a fleet are in its inventory: pgairlock report --inventory URL."},
    AbsentWord{"peer_pools", "SHOW PEER_POOLS is PgBouncer's: cancel requests find their session without peers here",
               "SHOW POOLS shows sessions by database and user."},
    AbsentWord{"state", "SHOW STATE is PgBouncer's: nothing can be paused or suspended here",
               "pgairlock health --ready says whether clients are accepted."},
    AbsentWord{"stats_averages", "SHOW STATS_AVERAGES is PgBouncer's: averages are left to whoever reads counters",
               "SHOW STATS and the metrics have the counters since the start."},
};

}  // namespace

std::span<const AbsentWord> absent_commands() noexcept { return pgbouncer_commands; }
std::span<const AbsentWord> absent_views() noexcept { return pgbouncer_views; }

const AbsentWord* find_absent(std::span<const AbsentWord> words, std::string_view word) noexcept {
    const auto found =
        std::find_if(words.begin(), words.end(), [&](const AbsentWord& one) { return one.word == word; });
    return found == words.end() ? nullptr : &*found;
}

}  // namespace protocol
