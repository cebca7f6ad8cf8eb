// One repetition on one target: clients that connect, ask and close, until the load is through.
#pragma once

#include <optional>
#include <string>

#include "bench/connect/measurement.hpp"
#include "bench/target/client.hpp"
#include "bench/target/schedule.hpp"
#include "bench/target/tls_facts.hpp"

namespace bench {

struct Workload {
    Load load;
    unsigned clients = 1;
    unsigned threads = 1;
    std::string query;  ///< empty: none
};

/// What the first connection to a target showed.
struct Trial {
    std::string error;  ///< empty: it succeeded
    std::optional<TlsFacts> tls{};
};

/// A connection that is not measured: it warms caches up, and a target that cannot be connected to
/// is not connected to a thousand times.
Trial try_out(const Route& route, const std::string& query);

/// Ends early when interrupted().
Measurement measure(const Route& route, const Workload& workload);

// The same by libpq, with a thread for each client. It reads its CA file for every connection, as
// all its applications do.

Trial try_out_libpq(const Target& target, const std::string& query);
Measurement measure_libpq(const Target& target, const Workload& workload);

}  // namespace bench
