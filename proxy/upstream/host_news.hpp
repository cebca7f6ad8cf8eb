// Where clients wait while no host of their upstream serves (wait_for_host): until one is said to,
// or until it is their turn to look. However many wait, one looks at a time, and they do not come
// all at once when there is news. Whose login cannot be repeated takes no turn from others.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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

    /// By whose looks something is found out: those of a login that cannot be repeated leave out
    /// what is known to be of another kind, unless nobody else looks (HostRoles::Looks).
    enum class Turn { of_all, of_the_last };

    /// Ends when it is worth trying, at `until`, when `waiting` is cancelled, or by give_up().
    tls::Awaitable<> wait(std::string upstream, Clock::time_point until, std::shared_ptr<tls::Timer> waiting,
                          Turn turn = Turn::of_all);
    /// A host of this upstream serves again, or is another kind of server than before.
    /// Where there is no memory to wake one of them, that one goes on waiting.
    void tell(const std::string& upstream) noexcept;
    /// Nobody waits any more, whatever for: at once, and from now on.
    void give_up() noexcept;
    /// How many wait, by upstream.
    std::map<std::string, unsigned> waiting() const;
    /// Whether the last login of this kind could be repeated, by names of the caller's own.
    /// nullopt: there was none lately.
    std::optional<bool> can_be_repeated(const std::string& upstream, const std::string& kind) const;
    void learn_repeatable(const std::string& upstream, const std::string& kind, bool can_be);
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
        std::map<Turn, Clock::time_point> next_look{};
        std::map<std::string, bool> repeatable{};  // by kind
    };
    static constexpr std::size_t max_kinds = 1000;

    std::shared_ptr<Waiter> join(const std::string& upstream, const std::shared_ptr<tls::Timer>& waiting);
    bool may_look(const std::string& upstream, Turn turn, Clock::time_point now);
    void wake(Upstream& upstream) noexcept;
    bool is_given_up() const;

    mutable std::mutex mutex_;
    std::map<std::string, Upstream> upstreams_;  // names of the configuration
    bool given_up_ = false;
    bool closed_ = false;
};

}  // namespace proxy
