// The report in JSON, for whoever adds to it (proxy/dashboard).
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "proxy/report/report.hpp"

namespace proxy::report {

/// Adds to what is said of a client.
using AddToClient = std::function<void(const ReportClient& client, boost::json::object& said)>;

/// What to_json() writes, without its line break. One client after the other: there may be
/// thousands, and as values they take much more room than as text. `add`: may be empty.
std::string json_text(const Report& report, const AddToClient& add);

/// Its "upstream_certificates", in the order of the report.
boost::json::array certificates_array(const Report& report);

}  // namespace proxy::report
