// What failed of a client, and whose matter it is.
#pragma once

#include <optional>

#include "proxy/report/report.hpp"

namespace proxy::report {

/// Evidence that comes from handshakes alone. What probing cost a client is no failure of its own.
bool is_failed_handshake(const EvidenceRow& row);

/// What has no name is nothing but its handshakes: whose they are, it is told of them.
bool is_its_own(const ReportClient& client, const EvidenceRow& row);

struct Failed {
    LastFailure told;
    Action action{};
};

/// What failed last since `after`, and what to do about it; nullopt: nothing is known to have
/// failed. `connects`: it comes as far as a login; whoever does not is not to mend that first.
std::optional<Failed> what_failed(const ReportClient& client, bool connects, Timestamp after);

}  // namespace proxy::report
