#include "bench/replay/session_run.hpp"

#include <algorithm>

#include "bench/replay/opening_of.hpp"
#include "bench/replay/own_words.hpp"
#include "bench/target/interrupt.hpp"

namespace bench::replay {
namespace {

/// How often a session looks whether it has waited too long, or is to end.
constexpr std::chrono::milliseconds look{100};
class Run : public std::enable_shared_from_this<Run> {
   public:
    Run(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules, Latency& latency)
        : target_(target), session_(session), rules_(rules), latency_(latency), answers_(rules.rows) {}

    tls::Awaitable<Outcome> play();

   private:
    static constexpr auto never = Clock::time_point::max();

    const std::vector<Unit>& units() const { return session_.plan.units; }
    tls::Awaitable<bool> open();
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
    const PlayRules& rules_;
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

tls::Awaitable<Outcome> Run::play() {
    const auto self = shared_from_this();
    const tls::Executor executor = co_await asio::this_coro::executor;
    change_.emplace(executor);
    const bool opened = co_await open();
    if (!opened) co_return std::move(outcome_);
    if (rules_.openings) {
        co_await close_opened();
        co_return std::move(outcome_);
    }
    client_->stream().begin_relay();
    asked_.resize(units().size());
    skip_left_out();
    take(client_->ahead());
    progress_ = Clock::now();
    others_ = 2;
    const auto ended = [self](std::exception_ptr thrown) { self->other_ended(thrown); };
    asio::co_spawn(
        executor, [self] { return self->hear(); }, ended);
    asio::co_spawn(
        executor, [self] { return self->watch(); }, ended);
    try {
        co_await say_all();
    } catch (const std::exception& error) {
        fail(error.what());
    }
    while (others_ > 0) {
        change_->expires_at(Clock::now() + look);
        co_await change_->async_wait(tls::returning());
    }
    co_return std::move(outcome_);
}

/// False: there is no session.
tls::Awaitable<bool> Run::open() {
    std::string error;
    std::string sqlstate;
    try {
        Opening opening = opening_of(target_, session_, rules_);
        Client opened = co_await Client::open_as(*target_.route, std::move(opening));
        client_.emplace(std::move(opened));
    } catch (const ServerError& refusal) {
        error = refusal.what();
        sqlstate = refusal.sqlstate;
    } catch (const std::exception& failure) {
        error = failure.what();
    }
    const bool tls_failed = session_.facts.failed == "tls_failed";
    compare_login(session_.plan, tls_failed ? "TLS failed" : "", sqlstate, error, outcome_);
    if (error.empty()) co_return true;
    for (const Unit& unit : units()) {
        for (const Statement& statement : unit.statements) outcome_.not_played += statement.left_out == LeftOut::no;
    }
    co_return false;
}

tls::Awaitable<> Run::close_opened() {
    try {
        co_await client_->close();
    } catch (const std::exception&) {
        // It was opened, and nothing else is asked.
    }
}

tls::Awaitable<> Run::say_all() {
    for (std::size_t i = 0; i < units().size() && !over_; ++i) {
        for (const Request& request : units()[i].requests) {
            co_await wait_for(request.awaited);
            if (over_ || current_ > i) break;  // answered already: what follows is data for a COPY that failed
            co_await think(request.delay);
            if (over_ || current_ > i) break;
            co_await say(request, i);
        }
    }
    co_await wait_for({.unit = units().size(), .parts = 0});
    ending_ = true;
    if (over_) co_return;
    const protocol::Buffer farewell = terminate();
    co_await send(farewell);
    client_->stream().close_send(true);
    progress_ = Clock::now();
    busy_ = true;  // until it closes too
}

tls::Awaitable<> Run::say(const Request& request, std::size_t unit) {
    if (request.asks) {
        asked_[unit] = Clock::now();
        const tls::Executor executor = co_await asio::this_coro::executor;
        for (const Cancel& one : session_.plan.cancels) {
            if (one.unit != unit) continue;
            ++others_;
            const auto self = shared_from_this();
            asio::co_spawn(
                executor, [self, one] { return self->cancel_later(one); },
                [self](std::exception_ptr thrown) {
                    if (thrown) ++self->outcome_.cancels_failed;
                    self->other_ended(nullptr);
                });
        }
    }
    co_await send(request.bytes);
}

tls::Awaitable<> Run::send(protocol::Bytes bytes) {
    tls::Stream& stream = client_->stream();
    busy_ = true;
    progress_ = Clock::now();
    for (bool sent = stream.send(bytes); !sent && !over_; sent = stream.flush()) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_write, tls::returning());
        if (error) break;
        progress_ = Clock::now();
    }
    busy_ = false;
}

tls::Awaitable<> Run::wait_for(Awaited awaited) {
    progress_ = Clock::now();
    while (!over_) {
        const bool far_enough = current_ > awaited.unit ||
                                (current_ == awaited.unit && (answers_.parts() >= awaited.parts || answers_.failed()));
        if (copy_stuck_) co_await fail_copy();
        if (far_enough || over_) break;
        busy_ = true;
        change_->expires_at(never);
        co_await change_->async_wait(tls::returning());
    }
    busy_ = false;
}

/// As long as the client did, or less where it is to be faster.
tls::Awaitable<> Run::think(Duration delay) {
    if (rules_.speed <= 0 || delay.count() == 0) co_return;
    const auto until =
        Clock::now() + Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) / rules_.speed));
    while (!over_ && Clock::now() < until) {
        if (copy_stuck_) co_await fail_copy();
        change_->expires_at(until);
        co_await change_->async_wait(tls::returning());
    }
}

tls::Awaitable<> Run::fail_copy() {
    copy_stuck_ = false;
    const protocol::Buffer message = refuse_copy(current_ < units().size() && units()[current_].extended);
    co_await send(message);
}

tls::Awaitable<> Run::hear() {
    tls::Stream& stream = client_->stream();
    while (!over_) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_read, tls::returning());
        if (error || over_) break;
        const tls::Stream::Received received = stream.receive();
        progress_ = Clock::now();
        take(received.bytes);
        if (received.end != tls::End::open) stop("the server closed the connection");
    }
}

/// However it did: play() waits for all of them.
void Run::other_ended(std::exception_ptr thrown) {
    if (thrown) fail(what_of(thrown));
    --others_;
    changed();
}

void Run::take(protocol::Bytes bytes) {
    while (const auto type = answers_.next(bytes)) {
        if (*type == 'Z') answered();
        const bool wants_data = *type == 'G' || *type == 'W';
        if (wants_data && current_ < units().size() && !units()[current_].copies_in) copy_stuck_ = true;
    }
    if (answers_.broken()) stop("the server sent what is no message of the protocol");
    changed();
}

void Run::answered() {
    const Answer answer = answers_.take();
    if (current_ >= units().size()) return stop("the server answered what nobody asked");
    const Unit& unit = units()[current_];
    compare(unit, answer, rules_.rows, outcome_);
    if (asked_[current_] != Clock::time_point()) {
        latency_.here.record(Clock::now() - asked_[current_]);
        latency_.captured.record(unit.took);
    }
    ++current_;
    skip_left_out();
}

void Run::skip_left_out() {
    while (current_ < units().size() && units()[current_].requests.empty()) ++current_;
}

/// Nothing more comes of it. What was asked and not answered is a difference, unless all was said.
void Run::stop(const std::string& why) {
    if (over_) return;
    over_ = true;
    client_->stream().close();
    changed();
    if (ending_) return;
    const Answer rest = answers_.take();
    outcome_.failure = rest.results.empty() ? why : why + ": " + rest.results.back().shown();
    bool first = !interrupted();
    for (std::size_t i = current_; i < units().size(); ++i) {
        for (const Statement& statement : units()[i].statements) {
            if (statement.left_out != LeftOut::no) continue;
            ++outcome_.not_played;
            const auto& results = units()[i].expected.results;
            if (std::exchange(first, false)) {
                outcome_.differs({.statement = statement.number,
                                  .sql = statement.sql,
                                  .was = results.empty() ? "answered" : results.front().shown(),
                                  .is = outcome_.failure});
            }
        }
    }
}

/// What is no answer of the server: a failure whenever it comes.
void Run::fail(const std::string& why) {
    ending_ = false;
    stop(why);
    if (outcome_.failure.empty()) outcome_.failure = why;
}

tls::Awaitable<> Run::watch() {
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer timer(executor);
    while (!over_) {
        timer.expires_at(Clock::now() + look);
        co_await timer.async_wait(tls::returning());
        if (interrupted()) stop("interrupted");
        if (busy_ && Clock::now() - progress_ > rules_.timeout)
            stop("no answer within " + std::to_string(rules_.timeout.count() / 1000) + " s");
    }
}

/// As late as it came in the capture, at any speed: the server needs its time to get there.
tls::Awaitable<> Run::cancel_later(Cancel one) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Timer timer(executor);
    const auto due = Clock::now() + one.delay;
    while (!over_ && Clock::now() < due) {
        timer.expires_at(std::min(due, Clock::now() + look));
        co_await timer.async_wait(tls::returning());
    }
    const auto& key = client_->key();
    const bool too_late = over_ || current_ > one.unit;
    bool sent = too_late;
    if (!too_late && key) sent = co_await cancel(*target_.route, *key);
    if (!sent) ++outcome_.cancels_failed;
}

}  // namespace

std::string what_of(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an error without a name";
    }
}

tls::Awaitable<Outcome> play_session(const ReplayTarget& target, const CapturedSession& session, const PlayRules& rules,
                                     Latency& latency) {
    if (std::string why = cannot_open(target, session, rules); !why.empty()) {
        Outcome outcome;
        outcome.left_out = std::move(why);
        co_return outcome;
    }
    const auto run = std::make_shared<Run>(target, session, rules, latency);
    co_return co_await run->play();
}

}  // namespace bench::replay
