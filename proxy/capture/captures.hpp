// The captures that run, and the tap of each session that one of them is about. Off, it costs a
// session one look at a flag.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "config/config.hpp"
#include "proxy/capture/capture_order.hpp"
#include "proxy/capture/session_tap.hpp"
#include "proxy/observation/event.hpp"

namespace proxy {

/// Why a capture was not started, and what to do: for people.
struct CaptureRefused {
    std::string why;
};

class Captures {
   public:
    /// Each has a thread and a queue.
    static constexpr std::size_t max_running = 16;
    /// How long the end of the process waits for what is not written yet.
    static constexpr std::chrono::seconds farewell{3};

    /// What of the configuration counts; a reload brings another one.
    struct Settings {
        config::Capture config;
        std::string state_dir;  ///< what `config.dir` is relative to
        std::vector<std::string> listeners;
    };
    struct Uses {
        std::function<void(Event&&)> record;  ///< capture_started and capture_stopped; from any thread
        std::function<void()> started;        ///< open sessions may join; from any thread
        std::string proxy;                    ///< its name in audit lines
    };

    Captures(Settings settings, Uses uses);
    ~Captures() { end(); }
    Captures(const Captures&) = delete;
    Captures& operator=(const Captures&) = delete;

    /// From now on the windows of the configuration start and stop captures.
    void begin();
    /// Captures that run go on as they began; those of windows that are no more end.
    void use(Settings settings);
    /// Ends all of them; whole files are left. What hangs is left behind (OwnThread).
    void end();

    /// From any thread. The files are made before it returns. Its `stream` is taken over in any
    /// case.
    std::variant<CaptureStatus, CaptureRefused> start(CaptureOrder order);
    /// From any thread. False: no such capture runs. 0: all that commands started.
    bool stop(std::uint64_t id);
    /// From any thread.
    std::vector<CaptureStatus> status() const;

    // --- For sessions, on their threads.

    bool any() const noexcept { return running_->load(std::memory_order_relaxed) > 0; }
    /// Those that may be about this session, and that it was not asked about before, into `tap`,
    /// which is made when there is one. True: the session is in a capture more.
    bool join(std::unique_ptr<SessionTap>& tap, const SessionRecord& record, bool from_start);

   private:
    class Running;
    class Windows;

    const std::shared_ptr<std::atomic<unsigned>> running_ = std::make_shared<std::atomic<unsigned>>(0);
    const std::shared_ptr<Running> shared_;  // the threads' as well, which may outlive us
    std::unique_ptr<Windows> windows_;
    std::atomic<std::uint64_t> next_session_{1};
    HeldMemory memory_;
};

}  // namespace proxy
