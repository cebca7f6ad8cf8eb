// Which of the given files are of one capture, so that several are read one after the other.
#pragma once

#include <string>
#include <vector>

namespace proxy::command {

/// The capture that tells most about its sessions comes first. Files that say nothing of theirs, or
/// cannot be looked into twice, are together.
std::vector<std::vector<std::string>> by_capture(const std::vector<std::string>& files);

}  // namespace proxy::command
