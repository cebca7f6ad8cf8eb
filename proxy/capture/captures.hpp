// The captures that run, and the tap of each session that one of them is about. Off, it costs a
// session one look at a flag.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "proxy/capture/capture_order.hpp"

namespace proxy {

class SessionTap;

/// Why a capture was not started, and what to do: for people.
struct CaptureRefused {
    std::string why;
};

class Captures {
   public:
    // (constructor, settings and on_event: whoever builds it decides)

    /// From any thread. The files are made before it returns.
    std::variant<CaptureStatus, CaptureRefused> start(CaptureOrder order);
    /// From any thread. False: no such capture runs. 0: all that commands started.
    bool stop(std::uint64_t id);
    /// From any thread.
    std::vector<CaptureStatus> status() const;
};

}  // namespace proxy
