// What `pgairlock client` prints.
#pragma once

#include <string>

#include "proxy/report/report.hpp"

namespace proxy::command {

/// Who it is, in one line.
std::string client_line(const report::Report& report, const report::ReportClient& client);

/// All of them, with what was said about them; columns that nobody fills are left out.
std::string clients_table(const report::Report& report);

/// The same; the members are those of the report.
std::string clients_json(const report::Report& report);

}  // namespace proxy::command
