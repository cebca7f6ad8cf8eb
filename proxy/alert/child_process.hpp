// A program of the operator's, given a message on standard input. No shell, nothing of ours but
// that, a group of its own that ends with it when it takes too long.
#pragma once

#include <string>
#include <vector>

#include "proxy/alert/attempt.hpp"

namespace proxy {

struct ChildOrder {
    std::vector<std::string> command;      ///< an absolute path, and arguments
    std::vector<std::string> environment;  ///< all of it: "NAME=value"
    std::string input;
};

/// SIGPIPE has to be ignored, for it may read nothing. Exit code 0: sent. Everything else may work
/// later; then `what` holds the first line that it wrote.
AttemptResult run_child(const ChildOrder& order, const Attempt& attempt);

}  // namespace proxy
