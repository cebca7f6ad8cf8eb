// Why a capture is over.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace proxy {

enum class CaptureEnd : std::uint8_t {
    none,      // it goes on
    stopped,   // by a command
    time,      // what it was started for is over
    window,    // its window was taken out of the configuration, or is over
    size,      // its max_size is reached
    disk,      // too little free space, or the file cannot be written
    removed,   // its file was deleted
    client,    // whoever it was written to has gone, or takes nothing
    shutdown,  // the process ends
    failed,    // our own: out of memory
};

/// By what nobody asked for: what was captured may not be whole.
constexpr bool is_failure(CaptureEnd end) noexcept {
    return end == CaptureEnd::disk || end == CaptureEnd::removed || end == CaptureEnd::failed;
}

/// The audit's `reason`: never changed.
constexpr std::string_view label(CaptureEnd end) noexcept {
    switch (end) {
        case CaptureEnd::none: return "";
        case CaptureEnd::stopped: return "stopped";
        case CaptureEnd::time: return "time";
        case CaptureEnd::window: return "window";
        case CaptureEnd::size: return "size";
        case CaptureEnd::disk: return "disk";
        case CaptureEnd::removed: return "removed";
        case CaptureEnd::client: return "client";
        case CaptureEnd::shutdown: return "shutdown";
        case CaptureEnd::failed: return "failed";
    }
    return "";
}

/// Ends the capture that it is thrown in.
class CaptureOver : public std::runtime_error {
   public:
    CaptureOver(CaptureEnd end, const std::string& what) : std::runtime_error(what), end_(end) {}
    CaptureEnd end() const noexcept { return end_; }

   private:
    CaptureEnd end_;
};

}  // namespace proxy
