// One session that is being played to one target: what session_run.hpp starts. Saying, hearing and
// watching go on beside each other, in one thread.
#pragma once

#include "bench/replay/session_run.hpp"

namespace bench::replay {

/// How often a session looks whether it has waited too long, or is to end.
inline constexpr std::chrono::milliseconds look_again{100};

class Run : public std::enable_shared_from_this<Run> {
   public:
    Run(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules, Latency& latency)
        : target_(target), session_(session), rules_(rules), latency_(latency), answers_(rules.rows) {}

    tls::Awaitable<Outcome> play();

   private:
    static constexpr auto never = Clock::time_point::max();

    const std::vector<Unit>& units() const { return session_.plan.units; }
    tls::Awaitable<bool> open();
    void note_groups();
    tls::Awaitable<> close_opened();
    tls::Awaitable<> say_all();
    tls::Awaitable<> say(const Request& request, std::size_t unit);
    tls::Awaitable<> send(protocol::Bytes bytes);
    tls::Awaitable<> wait_for(Awaited awaited);
    tls::Awaitable<> think(Duration delay);
    tls::Awaitable<> fail_copy();
    tls::Awaitable<> hear();
    tls::Awaitable<> watch();
    tls::Awaitable<> cancel_later(Cancel one);
    void other_ended(std::exception_ptr thrown);
    void take(protocol::Bytes bytes);
    void answered();
    void skip_left_out();
    void stop(const std::string& why);
    void fail(const std::string& why);
    void changed() { change_->cancel(); }

    const ReplayTarget& target_;
    const CapturedSession& session_;
    const PlayRules rules_;  // of this session
    Latency& latency_;
    AnswerReader answers_;
    std::optional<Client> client_;
    std::optional<tls::Timer> change_;  // wakes whoever waits for the server
    Outcome outcome_;
    std::size_t current_ = 0;               // the unit that is answered next
    std::vector<Clock::time_point> asked_;  // by unit: when it was
    Clock::time_point progress_{};
    bool busy_ = false;        // something is waited for
    bool over_ = false;        // nothing more can be said or heard
    bool ending_ = false;      // all is said
    bool copy_stuck_ = false;  // the server wants data that there is none of
    unsigned others_ = 0;      // coroutines beside play()
};

}  // namespace bench::replay
