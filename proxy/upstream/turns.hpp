// Whose key is derived next: PBKDF2 takes long, and whoever may connect can ask for it without
// having proved anything. So every address waits in a line of its own, the lines take turns, and
// one address never has more than two under way. Work that began holds its turn even when nobody
// waits for it any more; that of logins, with a limit by host and news of one that answers nobody,
// is LoginTurns.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tls/asio.hpp"

namespace proxy {

class Turns {
   public:
    /// Whoever holds it has the turn; to be moved into the work, which may outlive who waits.
    using Turn = std::shared_ptr<const void>;
    static constexpr unsigned max_of_one_source = 2;

    /// `at_once`: as many as there are threads.
    explicit Turns(std::size_t at_once);
    /// Nobody is woken any more. To be called before the threads that wait end.
    void close();

    /// Waits in the line of `source`. Empty: not until the deadline, or `waiting` was cancelled.
    tls::Awaitable<Turn> take(std::string source, std::chrono::steady_clock::time_point deadline,
                              std::shared_ptr<tls::Timer> waiting);

   private:
    struct Waiter {
        std::string source;
        tls::Executor executor;
        std::weak_ptr<tls::Timer> timer;
        bool granted = false;  // under the mutex
        bool waits = true;     // on its own thread
    };
    struct Line {
        std::deque<std::shared_ptr<Waiter>> waiting;
        unsigned under_way = 0;
        bool listed = false;
    };
    /// Shared with the work, which may outlive us.
    struct State {
        std::mutex mutex;
        std::size_t free = 0;
        std::map<std::string, Line> lines;
        std::list<std::string> next;  // lines in which somebody may wait
        bool closed = false;
    };

    class Stay;

    static void join(State& state, const std::shared_ptr<Waiter>& waiter);
    static void leave(State& state, const std::shared_ptr<Waiter>& waiter) noexcept;
    static void grant(State& state) noexcept;
    static bool grant_one(State& state) noexcept;
    static void wake(const std::shared_ptr<Waiter>& waiter) noexcept;
    static void release(State& state, const std::string& source) noexcept;

    const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace proxy
