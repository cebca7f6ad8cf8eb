// Whose login begins next at a host (`max_logins_in_flight`): so that a host that has just come
// back, or has just become the primary, is not asked by all at once. Those who wait hold no
// connection. They wait in order, those of one address in a line of their own, and the lines take
// turns: who may connect need have proved nothing. And when the host turns out to answer nobody,
// they hear of it at once instead of trying it one after the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>

#include "tls/asio.hpp"

namespace proxy {

/// From any thread, a login a few times. Outlives all turns.
class LoginTurns {
   public:
    using Clock = std::chrono::steady_clock;
    using Host = std::pair<std::string, std::string>;  ///< upstream, and the host as configured
    class Turn;

    /// The host has not answered those who had their turn.
    struct Unanswering {
        std::shared_ptr<const std::string> error;  ///< never nullptr
    };
    /// Not until the deadline, or `waiting` was cancelled.
    struct TooLate {};
    using Outcome = std::variant<TooLate, Unanswering, Turn>;

    /// One login's wish.
    struct Wish {
        Host host;
        std::string source{};  ///< whose it is: an address
        unsigned at_once = 0;  ///< so many may be under way, from now on and for all; 0: no limit
        Clock::time_point deadline{};
    };
    /// Waits for its turn.
    tls::Awaitable<Outcome> take(Wish wish, std::shared_ptr<tls::Timer> waiting);
    /// An empty one when it would have to wait.
    Turn take_at_once(const Host& host, unsigned at_once);

    struct Numbers {
        unsigned in_flight = 0;
        unsigned waiting = 0;
    };
    /// Of hosts that have any.
    std::map<Host, Numbers> numbers() const;

    /// Nobody is woken any more. To be called before the threads that wait end.
    void close();

   private:
    struct Waiter;
    class Stay;
    /// In which round it comes, one of each source, and as which of that.
    using Place = std::pair<std::uint64_t, std::uint64_t>;
    struct Source {
        unsigned waiting = 0;
        std::uint64_t last_round = 0;  // of those that wait
    };
    struct Line {
        unsigned at_once = 0;
        unsigned in_flight = 0;
        std::map<Place, std::shared_ptr<Waiter>> waiting;  // the first comes next
        std::map<std::string, Source> sources;             // of those
        std::uint64_t round = 0;                           // whose turn it was last
        std::uint64_t came = 0;
        Clock::time_point answered{};  // when the host last said something to one of them
    };
    using Lines = std::map<Host, Line>;

    Turn begin(Lines::iterator line);
    void join(Lines::iterator line, const std::shared_ptr<Waiter>& waiter);
    static void leave(Line& line, Waiter& waiter);
    void grant(Line& line);
    void wake(const std::shared_ptr<Waiter>& waiter) const;
    void end(Lines::iterator line);
    void forget_unused(Lines::iterator line);
    void failed(Lines::iterator line, Clock::time_point since, const std::string& error);

    mutable std::mutex mutex_;
    Lines lines_;
    bool closed_ = false;
};

/// One login under way, until this is destroyed or ended, on whatever thread.
class LoginTurns::Turn {
   public:
    Turn() = default;
    Turn(Turn&& other) noexcept;
    Turn& operator=(Turn&& other) noexcept;
    ~Turn() { end(); }

    explicit operator bool() const noexcept { return turns_ != nullptr; }
    bool is_at(const Host& host) const { return turns_ != nullptr && line_->first == host; }
    /// The host has said something. Nothing without a turn, as the next two.
    void answered();
    /// It was not reached, or has not answered. Unless it has answered somebody since this turn
    /// began, those who wait are told.
    void unanswered(const std::string& error);
    void end() noexcept;

   private:
    friend class LoginTurns;
    Turn(LoginTurns& turns, Lines::iterator line) : turns_(&turns), line_(line), began_(Clock::now()) {}

    LoginTurns* turns_ = nullptr;
    Lines::iterator line_{};
    Clock::time_point began_{};
};

}  // namespace proxy
