// The captures that run, each with a thread that writes it, and what is recorded of their beginning
// and end. From any thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "config/config.hpp"
#include "proxy/capture/capture.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/record/own_thread.hpp"

namespace proxy {

/// Why a capture was not started, and what to do: for people.
struct CaptureRefused {
    std::string why;
};
using CaptureStarted = std::variant<CaptureStatus, CaptureRefused>;

class RunningCaptures : public std::enable_shared_from_this<RunningCaptures> {
   public:
    /// Each has a thread and a queue.
    static constexpr std::size_t max_running = 16;
    /// Of those that are over, so many of the last are still shown.
    static constexpr std::size_t max_shown = 20;

    /// What of the configuration counts.
    struct Settings {
        config::Capture config;
        std::string state_dir;  ///< what `config.dir` is relative to
        std::vector<std::string> listeners;
    };
    struct Uses {
        std::function<void(Event&&)> record;  ///< capture_started and capture_stopped
        std::function<void()> started;        ///< open sessions may join
    };
    enum class Wanted { by_command, by_window };

    RunningCaptures(Settings settings, Uses uses) : settings_(std::move(settings)), uses_(std::move(uses)) {}

    void use(Settings settings);
    Settings settings() const;
    /// `client`: a socket to write to instead of files, behind its CopyOutResponse.
    CaptureStarted start(CaptureOrder order, Wanted wanted, OwnedDescriptor client = {});
    /// False: no such one runs. `by`: who wants that; empty: nobody, but the reason.
    bool stop(std::uint64_t id, CaptureEnd why, std::string by = {});
    /// Moves the end of one that runs.
    void end_after(std::uint64_t id, std::chrono::milliseconds from_now);
    bool stop_commands(const std::string& by);
    bool runs(std::uint64_t id) const;
    /// Those that end as well, until all of theirs is written.
    std::vector<CaptureStatus> status() const;
    /// The last that are over, or were to begin by a window and could not, in that order.
    std::vector<CaptureStatus> past() const;
    /// One that was to begin by itself, and could not.
    void failed_to_start(CaptureOrder order, const std::string& why);
    /// None begins any more.
    bool closed() const;
    /// Where captures go that name no file. Absolute.
    static std::string dir(const Settings& settings);
    /// Those that began later than that one, in their order: none appears later with a lower id.
    std::vector<std::shared_ptr<Capture>> since(std::uint64_t id) const;
    bool any() const noexcept { return count_.load(std::memory_order_relaxed) > 0; }
    /// No more begin, from when this returns on.
    void close();
    /// All end. What is not written within `patience` is left behind, and said.
    void end(std::chrono::milliseconds patience);

   private:
    struct One {
        std::shared_ptr<Capture> capture;
        Wanted wanted{};
    };
    struct Thread {
        std::uint64_t id = 0;
        std::unique_ptr<OwnThread> thread;
        bool done = false;
    };

    std::string why_not(const CaptureOrder& order) const;
    std::string publish(const std::shared_ptr<Capture>& capture, Wanted wanted);
    void forget_finished_threads();
    void write(Capture& capture) noexcept;
    void ended(Capture& capture, CaptureEnd end, const std::string& why) noexcept;
    void remember(const CaptureStatus& status) noexcept;
    void record(Event&& event) noexcept;

    mutable std::mutex mutex_;
    Settings settings_;
    std::vector<One> running_;
    std::deque<CaptureStatus> past_;
    std::list<Thread> threads_;
    std::uint64_t next_id_ = 1;
    bool over_ = false;
    std::atomic<unsigned> count_{0};
    std::mutex uses_mutex_;  // of what outlives no end()
    Uses uses_;
};

}  // namespace proxy
