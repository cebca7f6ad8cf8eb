// The captures that run, and the tap of each session that one of them is about. Off, it costs a
// session one look at a flag.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/capture/capture_order.hpp"
#include "proxy/capture/capture_windows.hpp"
#include "proxy/capture/running_captures.hpp"
#include "proxy/capture/session_tap.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

class Captures {
   public:
    using Settings = RunningCaptures::Settings;
    using Uses = RunningCaptures::Uses;

    /// `proxy`: its name in audit lines.
    Captures(Settings settings, Uses uses, std::string proxy);
    ~Captures() { end(); }
    Captures(const Captures&) = delete;
    Captures& operator=(const Captures&) = delete;

    /// From now on the windows of the configuration start and stop captures.
    void begin();
    /// Captures that run go on as they began; those of windows that are no more end.
    void use(Settings settings);
    /// No more begin. Sessions may go on.
    void stop_windows();
    /// Ends all of them; whole files are left. What hangs is left behind (OwnThread).
    void end();

    /// From any thread. The files are made before it returns. `client`: a socket to write to
    /// instead, behind its CopyOutResponse.
    CaptureStarted start(CaptureOrder order, OwnedDescriptor client = {});
    /// From any thread. False: no such capture runs. 0: all that commands started. `by`: who wants
    /// that.
    bool stop(std::uint64_t id, std::string by = {});
    /// From any thread. Those that run or end, those that windows will start, and the last that
    /// are over.
    std::vector<CaptureStatus> status() const;

    // --- For sessions, on their threads.

    bool any() const noexcept { return running_->any(); }
    /// Those that may be about this session, and that it was not asked about before, into `tap`,
    /// which is made when there is one. True: the session is in a capture more. Without memory it
    /// is in none, and counted as left out.
    bool join(std::unique_ptr<SessionTap>& tap, const SessionRecord& record, bool from_start) noexcept;

   private:
    bool join(const std::shared_ptr<Capture>& capture, std::unique_ptr<SessionTap>& tap, const SessionRecord& record,
              bool from_start) noexcept;

    const std::shared_ptr<RunningCaptures> running_;  // the threads' as well, which may outlive us
    std::shared_ptr<CaptureWindows> windows_;         // its thread's as well
    std::unique_ptr<OwnThread> window_thread_;
    std::atomic<std::uint64_t> next_session_{1};
    HeldMemory memory_;
    const std::string proxy_;
};

}  // namespace proxy
