// Where clients wait while no host of their upstream serves (wait_for_host): until one is said to,
// or until it is their turn to look. However many wait, one looks at a time, and they do not come
// all at once when there is news.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tls/asio.hpp"

namespace proxy {

/// From any thread. The io_contexts of those who wait outlive it, or are stopped.
class HostNews {
   public:
    using Clock = std::chrono::steady_clock;

    /// Between two looks of all that wait for one upstream, on average: longer than
    /// HostRoles::certain, so that none is in vain.
    static constexpr std::chrono::milliseconds look_interval{400};
    /// Those who hear of news go within that time, each at a moment of its own.
    static constexpr std::chrono::milliseconds spread{200};

    /// Ends when it is worth trying, at `until`, when `waiting` is cancelled, or by give_up().
    tls::Awaitable<> wait(std::string upstream, Clock::time_point until, std::shared_ptr<tls::Timer> waiting);
    /// A host of this upstream serves again, or is another kind of server than before.
    /// Where there is no memory to wake one of them, that one goes on waiting.
    void tell(const std::string& upstream) noexcept;
    /// Nobody waits any more, whatever for: at once, and from now on.
    void give_up() noexcept;
    /// How many wait, by upstream.
    std::map<std::string, unsigned> waiting() const;
    /// Nobody is woken any more. To be called before the threads that wait end.
    void close() noexcept;

   private:
    struct Waiter {
        tls::Executor executor;
        std::weak_ptr<tls::Timer> timer;
        bool told = false;  // on its own thread
    };
    struct Upstream {
        std::vector<std::weak_ptr<Waiter>> waiting;
        Clock::time_point next_look{};
    };

    std::shared_ptr<Waiter> join(const std::string& upstream, const std::shared_ptr<tls::Timer>& waiting);
    bool may_look(const std::string& upstream, Clock::time_point now);
    void wake(Upstream& upstream) noexcept;
    bool is_given_up() const;

    mutable std::mutex mutex_;
    std::map<std::string, Upstream> upstreams_;  // names of the configuration
    bool given_up_ = false;
    bool closed_ = false;
};

}  // namespace proxy
