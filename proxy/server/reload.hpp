// Takes up what has changed while the process serves: the configuration on SIGHUP, and files that
// it names by themselves. Reading happens on a thread of its own, where a file that hangs holds up
// nobody; the result is handed over on the thread that accepts, whole or not at all.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "proxy/observation/event.hpp"
#include "proxy/route/snapshot.hpp"
#include "proxy/server/file_watch.hpp"
#include "proxy/session/phase.hpp"
#include "proxy/upstream/offload.hpp"

namespace proxy {

/// How a configuration is obtained again.
using ConfigSource = std::function<config::Loaded()>;

class Reload {
   public:
    struct Uses {
        ConfigSource source;    ///< called on the loading thread
        std::string state_dir;  ///< for load_snapshot
        /// Puts a snapshot in the place of the one that runs. Throws when that cannot be; then the
        /// old one goes on as if nothing had been tried.
        std::function<void(std::shared_ptr<const Snapshot>)> take;
        std::function<void(EventKind, std::string message)> record;
    };

    /// Takes up nothing unless `phase` is serving.
    Reload(tls::Executor executor, const std::atomic<Phase>& phase, Uses uses);

    /// Before anybody is served: what `running` was loaded from is how the files look now. What is
    /// changed later is seen, however soon.
    void begin(std::shared_ptr<const Snapshot> running);
    /// As long as the process serves.
    tls::Awaitable<> run();
    /// The configuration is read anew: at once, or once more after the reading that is going on.
    void request();
    /// The phase has changed. A reading that is going on is left to itself.
    void wake();

   private:
    tls::Awaitable<> reload_all();
    tls::Awaitable<> reload_changed_files();
    template <class Work>
    auto on_thread(Work work);
    void finish(LoadedSnapshot loaded, const std::string& why);
    void fail(const std::vector<config::Diagnostic>& errors);
    bool is_over() const noexcept { return phase_ != Phase::serving; }

    const tls::Executor executor_;
    const std::atomic<Phase>& phase_;
    const Uses uses_;
    std::shared_ptr<const Snapshot> running_;
    std::vector<std::string> watched_;
    std::shared_ptr<FileWatch> watch_;     // used by one piece of work at a time
    std::shared_ptr<tls::Timer> waiting_;  // for the thread's result
    tls::Timer pause_;                     // until files are looked at again
    bool requested_ = false;
    bool reading_ = false;
    Offload thread_{1};  // last: ends first
};

}  // namespace proxy
