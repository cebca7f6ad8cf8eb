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
#include "proxy/server/log_writer.hpp"
#include "proxy/server/systemd.hpp"
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
        /// Puts a snapshot in the place of the one that runs, with the log that its configuration
        /// asks for (prepare_log). Returns the log that is replaced, if one is. Throws when that
        /// cannot be; then the old one goes on as if nothing had been tried.
        std::function<std::shared_ptr<LogWriter>(std::shared_ptr<const Snapshot>, std::unique_ptr<LogWriter>)> take;
        std::function<void(EventKind, std::string message)> record;
        ServiceManager& manager;  ///< told of the beginning and the end
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
    /// With the log's file, when it is another one.
    struct Loaded : LoadedSnapshot {
        std::unique_ptr<LogWriter> log;
    };

    static void open_log(Loaded& loaded, const config::Log& running);
    static Loaded load_all(const ConfigSource& source, const std::string& state_dir, const Snapshot& running);
    tls::Awaitable<> reload_all();
    tls::Awaitable<> reload_changed_files();
    template <class Work>
    auto on_thread(Work work);
    bool finish(Loaded loaded, const std::string& why, std::string& refused);
    bool fail(const std::vector<config::Diagnostic>& errors, std::string& refused);
    std::string status() const;
    void end_on_thread(std::shared_ptr<LogWriter> replaced);
    bool is_over() const noexcept { return phase_ != Phase::serving; }

    const tls::Executor executor_;
    const std::atomic<Phase>& phase_;
    const Uses uses_;
    std::shared_ptr<const Snapshot> running_;
    std::vector<std::string> watched_;
    std::shared_ptr<FileWatch> watch_;     // used by one piece of work at a time
    std::shared_ptr<tls::Timer> waiting_;  // for the thread's result
    tls::Timer pause_;                     // until files are looked at again
    std::string refused_configuration_;    // why, if the last SIGHUP failed
    std::string refused_files_;            // likewise for files that have changed
    bool requested_ = false;
    bool reading_ = false;
    Offload thread_{1};  // last: ends first
};

}  // namespace proxy
