// Where clients wait while no host of their upstream serves (wait_for_host): until one is said to,
// or until it is their turn to look. However many wait, one looks at a time, and they do not come
// all at once when there is news. Whose login is lost at a server of another kind, because it
// cannot be repeated, looks only when nobody else does.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
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

    /// Between two looks of those whose login is lost by it, while nobody else looks.
    static constexpr std::chrono::seconds sacrifice_interval{3};

    /// Of one whose login cannot be repeated. Both are asked on its own thread, a few times a
    /// second.
    struct Reserved {
        std::function<bool()> is_promising{};  ///< a host is known to serve, and to be what is wanted
        std::function<bool()> others_ask{};    ///< somebody does who is no client
    };
    enum class Woken {
        by_news,  // it is worth trying, the time is over, or `waiting` was cancelled
        to_look,  // nobody knows more than before: this is the one to look
    };
    /// Ends when it is worth trying, at `until`, or when `waiting` is cancelled. `reserved`: who is
    /// not to look in vain; empty: whoever may.
    tls::Awaitable<Woken> wait(std::string upstream, Clock::time_point until, std::shared_ptr<tls::Timer> waiting,
                               Reserved reserved);
    tls::Awaitable<Woken> wait(std::string upstream, Clock::time_point until, std::shared_ptr<tls::Timer> waiting) {
        return wait(std::move(upstream), until, std::move(waiting), Reserved());
    }
    /// A host of this upstream serves again, or is another kind of server than before.
    /// `is_certain`: more than a doubt about what it is, so that it is worth the login of somebody
    /// who is reserved, where nobody else is there.
    void tell(const std::string& upstream, bool is_certain = true);

    /// Whether logins of this kind could be repeated, when one of them came so far; the names of
    /// its kind are the caller's. nullopt: none did lately.
    std::optional<bool> can_be_repeated(const std::string& kind) const;
    void learn_repeatable(const std::string& kind, bool can_be);

   private:
    struct Waiter {
        tls::Executor executor;
        std::weak_ptr<tls::Timer> timer;
        bool told = false;  // on its own thread
    };
    struct Upstream {
        std::vector<std::weak_ptr<Waiter>> waiting;
        Clock::time_point next_look{};
        Clock::time_point looked{};  // when somebody last waited who may look
        Clock::time_point next_sacrifice{};
    };

    std::shared_ptr<Waiter> join(const std::string& upstream, const std::shared_ptr<tls::Timer>& waiting);
    bool may_look(const std::string& upstream, Clock::time_point now);
    bool may_sacrifice(const std::string& upstream, Clock::time_point now);

    static constexpr std::size_t max_kinds = 1000;

    mutable std::mutex mutex_;
    std::map<std::string, bool> repeatable_;
    std::map<std::string, Upstream> upstreams_;  // names of the configuration
};

}  // namespace proxy
