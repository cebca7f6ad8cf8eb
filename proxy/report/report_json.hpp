// The report in JSON, for whoever adds to it (proxy/dashboard).
#pragma once

#include <boost/json/object.hpp>

#include "proxy/report/report.hpp"

namespace proxy::report {

/// What to_json() writes. Its "clients", "proxies" and "upstream_certificates" are those of the
/// report in the same order.
boost::json::object to_object(const Report& report);

}  // namespace proxy::report
