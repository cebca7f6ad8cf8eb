// The new process's side of an upgrade: what it has inherited, and what it tells the old one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "proxy/upgrade/channel.hpp"
#include "proxy/upgrade/overlap_text.hpp"

namespace proxy {

class Inheritance {
   public:
    /// Of the environment's variable by which a new process knows that it is one.
    static constexpr const char* variable = "PGAIRLOCK_UPGRADE";
    /// The new process's descriptors: its end of the channel, and what was standard error.
    static constexpr int channel_descriptor = 3;
    static constexpr int error_descriptor = 4;

    /// Before any thread is made: goes on in a process of its own, which nobody waits for but the
    /// service manager, and takes over what the old one hands on. Without an upgrade: nothing.
    static Inheritance& take();
    /// The one of this process; empty before take() and without an upgrade.
    static Inheritance& ours();

    bool is_one() const noexcept { return channel_.is_open(); }

    struct Socket {
        std::string name;  ///< as configured: "127.0.0.1:0"
        tls::OwnedDescriptor descriptor{};
    };
    std::vector<Socket> listening;  ///< ours to remove from the file system in the end
    std::vector<Socket> activated;  ///< the service manager's
    Socket http;
    std::string state_dir;
    tls::OwnedDescriptor state_lock;
    std::vector<pid_t> predecessors;  ///< that may still have sessions; the last is the one before us
    std::vector<InheritedRole> roles;

    /// Why the new process cannot serve; the old one goes on then. Does nothing once that let go.
    void failed(const std::string& why) noexcept;
    /// Everything is there to serve with. Waits until the old process lets go, or is gone itself.
    void ready(const std::string& version);
    /// Clients are accepted here.
    void serving() noexcept;

   private:
    void read_all();
    void take_over(UpgradeChannel::Message message);

    UpgradeChannel channel_;
};

}  // namespace proxy
