// The commands behind `pgairlock-bench NAME`: each takes its parsed options and returns an exit
// code (docs/bench.md).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/target/conninfo.hpp"

namespace bench {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;

struct ConnectOptions {
    std::vector<std::string> targets;  ///< NAME=CONNINFO
    Settings defaults;                 ///< for targets that do not say
    std::string query = "SELECT 1";    ///< empty: none
    unsigned clients = 0;              ///< 0: 1, or with a rate as many as it needs, within bounds
    unsigned threads = 1;
    double rate = 0;  ///< connections per second; 0: closed loop
    std::string duration = "5s";
    unsigned long connections = 0;  ///< 0: as many as `duration` allows
    unsigned repetitions = 3;
    bool libpq = false;
    bool progress = false;
    std::string format = "table";
    std::string output;   ///< empty: standard output
    std::string version;  ///< for the report
};

struct ServeOptions {
    std::string listen = "127.0.0.1:0";
    std::string cert_file;  ///< empty: no TLS
    std::string key_file;
    unsigned threads = 0;  ///< 0: one per core
};

struct ForwardOptions {
    std::string listen = "127.0.0.1:0";
    std::string to;
};

struct RelayOptions {
    std::string version;
    std::vector<std::string> targets;  ///< NAME=CONNINFO
    Settings defaults;                 ///< for targets that do not say
    std::vector<std::string> pids;     ///< NAME=PID
    std::vector<std::string> workloads{"copy-out", "copy-in", "ping"};
    std::vector<unsigned> clients{1, 8, 64};
    std::vector<unsigned> idle_beside{0};
    unsigned copy_clients = 1;
    unsigned copy_mb = 1000;
    std::string duration = "3s";
    unsigned idle = 1000;
    double connect_rate = 50;
    unsigned repetitions = 3;
    unsigned threads = 0;  ///< 0: one per core
    std::string format = "table";
    std::string output;  ///< empty: standard output
};

struct ReplayOptions {
    std::string version;
    std::vector<std::string> arguments;  ///< files of one capture, then targets: NAME=CONNINFO
    Settings defaults;                   ///< for targets that do not say
    std::string passfile;                ///< empty: PGPASSFILE's, or ~/.pgpass
    std::vector<std::string> sessions;   ///< empty: all
    std::string speed = "1";             ///< or "max"
    unsigned clients = 1;                ///< play each session so many times at once
    bool writes = false;
    bool only_select = true;  ///< the same as no `writes`, said aloud
    bool rows_hash = false;
    bool openings = false;
    std::string timeout = "60s";
    std::string format = "table";
    std::string output;  ///< empty: standard output
};

int connect(const ConnectOptions& options);
int serve(const ServeOptions& options);
int forward(const ForwardOptions& options);
int relay(const RelayOptions& options);
int replay_capture(const ReplayOptions& options);

}  // namespace bench
