// The addresses that clients connect to: bound, or inherited from systemd. A reload adds, removes
// and moves them; a socket whose address stays is not touched, whatever else its listener changes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/route/snapshot.hpp"
#include "proxy/server/listener.hpp"
#include "tls/owned_descriptor.hpp"

namespace proxy {

class ListeningSockets {
   public:
    using OnAccept = std::function<void(const std::shared_ptr<const ListenerRoute>& route, int fd, const Peer& peer)>;

    /// One address as configured, and whose it is.
    struct Open {
        std::string configured;  ///< "127.0.0.1:0" where the kernel chose the port
        std::shared_ptr<const ListenerRoute> route;
        std::shared_ptr<Listener> socket;
        std::string file{};  ///< of a socket that another process has made: its own until take_over()
    };
    /// The sockets of a snapshot, before they are used.
    using Prepared = std::vector<std::shared_ptr<Open>>;

    /// One that listens already, by the name that the configuration has for it.
    struct Passed {
        std::string configured;
        tls::OwnedDescriptor descriptor;
    };

    /// `inherited`: descriptors that are listening already; each serves the address it is bound to.
    /// `passed`: likewise, by the process before us, whose place we take.
    ListeningSockets(asio::io_context& io, OnAccept on_accept, const std::vector<int>& inherited,
                     std::vector<Passed> passed = {});
    ~ListeningSockets();

    /// Binds what `snapshot` names and is not open yet. Throws std::runtime_error naming the
    /// address and the reason; then, or when the result is dropped, all is as before.
    Prepared prepare(const Snapshot& snapshot);
    /// From now on clients are taken on these and on no others. Connections that were accepted
    /// before are not touched. Returns those that are new.
    Prepared use(Prepared prepared);
    /// The process before us has let go: its paths are ours to remove in the end, and those that
    /// nothing names any more are removed now.
    void take_over();
    /// No more connections.
    void stop();
    /// No more connections here: another process has the sockets, and goes on.
    void leave_to_another();
    /// Of those that clients are taken on, as bound: "0.0.0.0:5432", "unix:/path".
    std::set<std::string> addresses() const;
    /// Copies of all that listen, for that process: our own, and those of the service manager.
    std::vector<Passed> own() const;
    std::vector<Passed> of_service_manager() const;

   private:
    BoundSocket inherit_or_bind(const config::Address& address);
    void close_what_is_not_named();

    asio::io_context& io_;
    const OnAccept on_accept_;
    std::map<std::string, int> inherited_;  // by address; what serves is a duplicate
    std::vector<Passed> passed_;            // what is not used yet
    Prepared open_;
};

}  // namespace proxy
