// The same for programs (docs/capture-read.md). Everything in full, as valid UTF-8.
#pragma once

#include <string>
#include <vector>

#include "proxy/transcript/reading.hpp"
#include "proxy/transcript/summary.hpp"

namespace proxy::transcript {

/// An array of texts.
std::string incomplete_json(const std::vector<std::string>& lacks);
/// Sessions that captures do not have.
std::string absent_json(const AbsentCount& count);
/// One object, in one line.
std::string session_json(const ReadSession& session);
std::string summary_json(const Summary& summary, const Reading& reading);

}  // namespace proxy::transcript
