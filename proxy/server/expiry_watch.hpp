// Watches how long the certificates in use are valid, and tells when one comes near its end, has
// ended, or does not begin yet: those that the configuration names, and those that servers have
// shown. On a thread of its own, which also keeps on the disk what was told; nobody waits for it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/observation/event.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/route/in_use.hpp"

namespace proxy {

class ExpiryWatch {
   public:
    using Record = std::function<void(Event&&)>;

    ExpiryWatch();
    /// As end().
    ~ExpiryWatch();

    /// Starts the thread, which does nothing until use(). `file`: where what was told is kept, so
    /// that a restart tells nothing twice. `record`: waits for nothing; not called after end().
    void begin(std::string file, Record record);
    /// Looked at now, and then every hour. From any thread, as all that follows.
    void use(std::shared_ptr<const Snapshot> snapshot);
    /// Of each event that was written down: a login shows what its server shows.
    void notice(const Event& event);
    /// At the last look, what is_watched(); nullptr: there was none yet.
    std::shared_ptr<const std::vector<InUse>> watched() const;
    /// Nothing is told any more.
    void end();

   private:
    class Work;

    const std::shared_ptr<Work> work_;  // the thread's as well, which may outlive us
    std::optional<OwnThread> thread_;
};

}  // namespace proxy
