// SIGINT and SIGTERM end the measurement, not the program: what was measured is still reported.
#pragma once

#include <stdexcept>

namespace bench {

/// Ends what cannot be measured in part.
struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

/// From here on the first such signal is only noted; the second ends the program as ever.
void catch_interrupts();
bool interrupted() noexcept;

}  // namespace bench
