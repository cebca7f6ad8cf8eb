// Takes up what has changed while the process serves: the configuration on SIGHUP, files that it
// names by themselves, and generated certificates whose end comes near. Reading happens on a thread
// of its own, where a file that hangs holds up nobody; the result is handed over on the thread that
// accepts, whole or not at all. What failed is tried again until it succeeds, so that nothing is
// lost to a moment in which a file was not there, or there were no descriptors.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
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

    /// `why` not; empty: it was reloaded.
    using Outcome = std::function<void(const std::string& why)>;

    /// What is changed after `running` was read is seen, however soon.
    void begin(std::shared_ptr<const Snapshot> running);
    /// As long as the process serves.
    tls::Awaitable<> run();
    /// The configuration is read anew: at once, or once more after the reading that is going on.
    /// `by`: "SIGHUP", for the log. `outcome` is called once, unless the process ends before.
    void request(const std::string& by, Outcome outcome = {});
    /// True: what is asked for, and what is being read, waits until it is false again, or for ever
    /// where the phase changes.
    void hold(bool held);
    /// Somebody has asked for a reload that was not done.
    bool has_orders() const noexcept { return requested_ || reading_; }
    /// The phase has changed. A reading that is going on is left to itself.
    void wake();

   private:
    /// With the log's file, when it is another one.
    struct Loaded : LoadedSnapshot {
        std::unique_ptr<LogWriter> log;
    };

    /// That of the configuration, or of files, since it failed for the first time.
    struct Failing {
        std::string why;  // of the last attempt
        unsigned attempts = 0;
        std::chrono::system_clock::time_point since;
        std::chrono::steady_clock::time_point next;  // attempt

        bool is_due() const { return std::chrono::steady_clock::now() >= next; }
    };
    enum class Cause { asked, again };
    struct Attempt {
        std::string why;
        std::optional<Failing>& failing;  // of what it is one
        Cause cause;
    };

    static void open_log(Loaded& loaded, const config::Log& running);
    static Loaded load_all(const ConfigSource& source, const std::string& state_dir, const Snapshot& running);
    tls::Awaitable<> reload_all(Cause cause);
    tls::Awaitable<> reload_changed_files();
    tls::Awaitable<> wait_while_held();
    bool is_renewal_looked_for();
    template <class Work>
    auto on_thread(Work work);
    bool finish(Loaded loaded, const Attempt& attempt);
    bool fail(const std::vector<config::Diagnostic>& errors, const Attempt& attempt);
    void succeed(const Attempt& attempt);
    std::string status() const;
    void end_on_thread(std::shared_ptr<LogWriter> replaced);
    bool is_over() const noexcept { return phase_ != Phase::serving; }

    const tls::Executor executor_;
    const std::atomic<Phase>& phase_;
    const Uses uses_;
    std::shared_ptr<const Snapshot> running_;
    std::shared_ptr<FileWatch> watch_;      // used by one piece of work at a time
    std::shared_ptr<tls::Timer> waiting_;   // for the thread's result
    tls::Timer pause_;                      // until files are looked at again
    std::optional<Failing> configuration_;  // since a SIGHUP failed
    std::optional<Failing> files_;          // since files that have changed did
    std::chrono::system_clock::time_point looked_for_renewal_{};
    std::vector<Outcome> asked_;  // by those whose reload has not begun
    std::string asked_by_;        // of them all, or of the last reload that began
    bool requested_ = false;
    bool reading_ = false;
    bool held_ = false;
    Offload thread_{1};  // last: ends first
};

}  // namespace proxy
