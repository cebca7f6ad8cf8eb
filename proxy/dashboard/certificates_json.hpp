// /api/certificates.json: what servers show, what we show, and what is trusted. Pure.
#pragma once

#include <boost/json/object.hpp>

#include "proxy/dashboard/json_parts.hpp"
#include "proxy/report/report.hpp"
#include "proxy/route/snapshot.hpp"

namespace proxy::dashboard {

/// Without its `generated`. `report`: nullptr: there is no inventory, or it could not be read; then
/// "upstream" is null. `running`: nullptr: of a fleet; then "server" and "anchors" are null.
boost::json::object certificates_object(const report::Report* report, const Snapshot* running, SystemTime now);

}  // namespace proxy::dashboard
