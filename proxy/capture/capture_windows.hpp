// Starts and stops captures by the windows of the configuration. Its thread may wait for a disk.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "proxy/capture/running_captures.hpp"

namespace proxy {

class CaptureWindows {
   public:
    using Time = std::chrono::system_clock::time_point;

    explicit CaptureWindows(std::shared_ptr<RunningCaptures> captures) : captures_(std::move(captures)) {}

    /// The thread: until end().
    void run();
    /// From any thread: the settings of the captures have changed.
    void changed();
    void end();

    /// One round: what is due at `now` is started and stopped. When the next round is due.
    Time turn(Time now);

   private:
    using Window = std::pair<Time, Time>;
    struct Begun {
        std::uint64_t id = 0;
        Time end{};
    };

    void start(const config::TimeWindow& window, const config::Capture& config, Time now);
    void look_ahead(Time now) const;

    const std::shared_ptr<RunningCaptures> captures_;
    std::map<Time, Begun> begun_;  // by the window's begin: which capture; also once that is over
    std::set<Window> refused_;     // not tried again but for a reload
    std::mutex mutex_;
    std::condition_variable wake_;
    bool changed_ = true;  // since look_ahead()
    bool over_ = false;
};

/// What the windows that are to open after `now` will start, the next one first.
std::vector<CaptureStatus> planned_captures(const RunningCaptures::Settings& settings,
                                            std::chrono::system_clock::time_point now);

/// What the configuration wants captured.
CaptureOrder order_of(const config::Capture& config);

}  // namespace proxy
