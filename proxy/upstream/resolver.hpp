// Names to addresses, anew for every connection: Aurora's endpoints move within seconds. Whoever
// asks for a name while it is being looked up shares that look-up. The last answer stands in for a
// few seconds while a name server is silent; nothing else is remembered.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/asio.hpp"

namespace proxy {

struct Resolved {
    std::vector<asio::generic::stream_protocol::endpoint> endpoints;  ///< in the order of getaddrinfo
    std::string error;                                                ///< set when there are none
    bool stale = false;    ///< the answer before, because there is none yet to this question
    bool is_ours = false;  ///< it says nothing about the name: we had no descriptor or no memory
    bool passing = false;  ///< the error says nothing about the name: its servers could not be asked
};

/// getaddrinfo blocks, so each name that was asked for has a thread of its own, and a name that
/// hangs holds up nobody who wants another. Names come from the configuration, so they are few. An
/// IP literal or a UNIX-domain path takes no thread.
class Resolver {
   public:
    /// What a name's addresses are; ports do not matter. Runs on the name's thread, and may take
    /// long.
    using LookUp = std::function<Resolved(const std::string& host)>;

    /// How long a look-up may be silent before the last answer stands in for it, and how old that
    /// may be.
    static constexpr std::chrono::milliseconds patience{250};
    static constexpr std::chrono::seconds max_age{10};

    /// With getaddrinfo.
    Resolver();
    explicit Resolver(LookUp look_up);
    ~Resolver();
    /// As Offload's: nobody is answered any more.
    void close();

    /// Ends at the deadline, or when `waiting` is cancelled.
    tls::Awaitable<Resolved> resolve(const config::Address& address, std::chrono::steady_clock::time_point deadline,
                                     std::shared_ptr<tls::Timer> waiting);

   private:
    struct Pending;
    struct Waiter;
    class Answers;
    struct Name;

    std::shared_ptr<Answers> ask(const std::string& host, Waiter waiter);

    const LookUp look_up_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<Name>> names_;
    bool closed_ = false;
};

/// "10.0.0.1:5432", "[::1]:5432", "unix:/path".
std::string to_string(const asio::generic::stream_protocol::endpoint& endpoint);

}  // namespace proxy
