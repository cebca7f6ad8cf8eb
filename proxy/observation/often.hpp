// Marks log lines that strangers can cause as often as they like. The log writes one of each kind
// and listener in a second, and how many it left out (server/log_repeats.hpp); the audit has each.
//
//     spdlog::log(often(reason, listener), spdlog::level::warn, "{}: refused", ...);
#pragma once

#include <spdlog/common.h>

#include <string>

#include "proxy/observation/reason.hpp"

namespace proxy {

/// In spdlog a line may carry where it comes from in the source; ours carry their kind there.
/// `kind`: a literal.
inline spdlog::source_loc often(const char* kind, const std::string& listener) { return {kind, 1, listener.c_str()}; }
inline spdlog::source_loc often(Reason reason, const std::string& listener) {
    return often(label(reason).data(), listener);  // each label is a literal
}

}  // namespace proxy
