// A thread for what may hang without an end: a write to a pipe that nobody reads, a file system
// that is gone. Whoever started it waits for it as long as it wants, and then does without.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

namespace proxy {

class OwnThread {
   public:
    /// `work` owns all that it uses, for it may outlive us, and lets no exception out.
    explicit OwnThread(std::function<void()> work);
    /// Work that is still going on is left behind.
    ~OwnThread() { end_within(std::chrono::milliseconds(0)); }
    OwnThread(const OwnThread&) = delete;
    OwnThread& operator=(const OwnThread&) = delete;

    /// Waits for the end of the work. False: it goes on, and is left behind.
    bool end_within(std::chrono::milliseconds patience);

    /// Some work that was left behind goes on: it uses what exit handlers would take away from it,
    /// so the process has to end without those (std::_Exit).
    static bool left_behind() noexcept;

   private:
    enum class Stage { going_on, left_behind, ended };

    std::shared_ptr<std::atomic<Stage>> stage_ = std::make_shared<std::atomic<Stage>>(Stage::going_on);
    std::future<void> done_;
    std::thread thread_;
};

}  // namespace proxy
