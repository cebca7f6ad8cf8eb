// What the report's formats for programs are made of: values as JSON has them, where what is not
// known is null, and one client.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/utf8.hpp"
#include "proxy/report/report.hpp"

namespace proxy::report::json_parts {

/// Null when it is empty.
inline boost::json::value text(std::string_view value) {
    return value.empty() ? boost::json::value(nullptr) : boost::json::value(protocol::as_utf8(value));
}

/// Null for never.
inline boost::json::value time(Timestamp value) {
    return value == 0 ? boost::json::value(nullptr) : boost::json::value(time_text(value));
}

boost::json::array strings(const auto& texts) {
    boost::json::array out;
    for (const std::string& one : texts) out.emplace_back(protocol::as_utf8(one));
    return out;
}

boost::json::object probe(const ProbeCost& cost);

/// The kinds of evidence about a client, each once.
std::vector<std::string> evidence_labels(const ReportClient& client, bool possible);
/// Each once, and no more than ten.
std::vector<std::string> fingerprints(const ReportClient& client);

/// One of the report's "clients".
boost::json::object client(const Report& report, const ReportClient& client);

}  // namespace proxy::report::json_parts
