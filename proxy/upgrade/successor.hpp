// The old process's side of an upgrade: starts the new one, hands everything to it, and waits, on
// a thread of its own, until it serves or has failed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/record/own_thread.hpp"
#include "proxy/upgrade/channel.hpp"

namespace proxy {

/// How this process was started, for the one that follows it.
struct Launch {
    std::string program;  ///< the path: whatever stands there now is what is started
    std::vector<std::string> arguments;

    /// Noted as the process starts, before its path may be replaced.
    static void note(int count, char** arguments);
    static const Launch& noted();
};

class Successor {
   public:
    /// From its start until it is ready to serve.
    static constexpr std::chrono::seconds patience{60};

    /// On the thread, each at most once; `failed` is the last word, and so is `serving`.
    struct Told {
        std::function<void(const std::string& version)> ready;
        std::function<void(pid_t pid)> serving;
        /// The new process has been ended.
        std::function<void(const std::string& why)> failed;
    };
    using Given = std::vector<UpgradeChannel::Message>;

    /// Throws std::system_error when there is no thread for it.
    Successor(Launch launch, Given given, Told told);

    /// It may serve: what it needs has been let go.
    void go();
    /// Ends it, unless it serves already; `failed` is told `why`.
    void give_up(const std::string& why);
    /// It has said so: what was handed over is its own. After give_up() this does not change.
    bool serves() const;
    /// After that; false: something hangs, and is left behind.
    bool end_within(std::chrono::milliseconds time) { return thread_.end_within(time); }

   private:
    class Work;

    const std::shared_ptr<Work> work_;  // the thread's as well, which may outlive us
    OwnThread thread_;
};

}  // namespace proxy
