// Sessions and their summary for a terminal. Everything from the wire is harmless in it.
#pragma once

#include <deque>
#include <string>

#include "proxy/report/report_layout.hpp"
#include "proxy/transcript/reading.hpp"
#include "proxy/transcript/summary.hpp"

namespace proxy::transcript {

/// What is missing; says that nothing is known to be when that is so.
std::string incomplete_text(const std::vector<std::string>& lacks);
std::string session_text(const ReadSession& session);
std::string summary_text(const Summary& summary, const Reading& reading, const report::Layout& layout);

}  // namespace proxy::transcript
