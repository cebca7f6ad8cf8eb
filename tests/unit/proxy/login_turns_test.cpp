// max_logins_in_flight: who has a turn at a host, who waits, and what those who wait are told.
#include "proxy/upstream/login_turns.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::LoginTurns;

const LoginTurns::Host host{"orders", "db:5432"}, other_host{"orders", "db2:5432"};

/// Logins that are begun in order, all on one thread, and what came of them.
class Logins {
   public:
    explicit Logins(unsigned at_once) : at_once_(at_once) {}
    ~Logins() { turns_.close(); }

    struct Login {
        std::string name;
        std::shared_ptr<tls::Timer> timer;
        LoginTurns::Turn turn{};
        std::string told{};  // "" while it waits or has its turn
    };

    Login& begin(const std::string& name, const LoginTurns::Host& where = host, std::chrono::milliseconds time = 1h,
                 const std::string& source = {}) {
        logins_.push_back(
            std::make_unique<Login>(Login{.name = name, .timer = std::make_shared<tls::Timer>(io_.get_executor())}));
        Login& one = *logins_.back();
        asio::co_spawn(
            io_,
            wait(one,
                 {.host = where, .source = source, .at_once = at_once_, .deadline = LoginTurns::Clock::now() + time}),
            asio::detached);
        go_on();
        return one;
    }
    void go_on() {
        io_.restart();
        io_.poll();
    }
    void end(Login& one) {
        one.turn.end();
        go_on();
    }
    /// Who have their turn.
    std::string holders() const {
        std::string all;
        for (const auto& one : logins_) all += one->turn ? one->name : "";
        return all;
    }
    LoginTurns::Numbers numbers(const LoginTurns::Host& where = host) const {
        const auto all = turns_.numbers();
        const auto found = all.find(where);
        return found == all.end() ? LoginTurns::Numbers{} : found->second;
    }
    asio::io_context& io() { return io_; }
    LoginTurns& turns() { return turns_; }
    void change_limit(unsigned at_once) { at_once_ = at_once; }

   private:
    tls::Awaitable<> wait(Login& one, LoginTurns::Wish wish) {
        LoginTurns::Outcome outcome = co_await turns_.take(std::move(wish), one.timer);
        if (auto* const turn = std::get_if<LoginTurns::Turn>(&outcome)) one.turn = std::move(*turn);
        if (std::holds_alternative<LoginTurns::TooLate>(outcome)) one.told = "too late";
        if (const auto* const told = std::get_if<LoginTurns::Unanswering>(&outcome)) one.told = *told->error;
    }

    LoginTurns turns_;  // outlives those who wait
    asio::io_context io_;
    unsigned at_once_;
    std::vector<std::unique_ptr<Login>> logins_;
};

}  // namespace

TEST_CASE("login turns: as many as may be at once, then the others in the order in which they came") {
    Logins logins(2);
    auto& a = logins.begin("a");
    auto& b = logins.begin("b");
    auto& c = logins.begin("c");
    logins.begin("d");
    CHECK(logins.holders() == "ab");
    CHECK(logins.numbers().in_flight == 2);
    CHECK(logins.numbers().waiting == 2);
    logins.end(b);
    CHECK(logins.holders() == "ac");
    logins.end(a);
    CHECK(logins.holders() == "cd");
    logins.end(a);  // once is enough
    logins.end(c);
    CHECK(logins.numbers().in_flight == 1);
    CHECK(logins.numbers().waiting == 0);
}

TEST_CASE("login turns: many logins of one address make another address wait for one of them at most") {
    Logins logins(1);
    auto& a = logins.begin("a", host, 1h, "10.6.6.6");
    auto& b = logins.begin("b", host, 1h, "10.6.6.6");
    auto& c = logins.begin("c", host, 1h, "10.6.6.6");
    auto& d = logins.begin("d", host, 1h, "10.6.6.6");
    auto& x = logins.begin("x", host, 1h, "10.1.0.1");
    logins.begin("y", host, 1h, "10.1.0.1");
    logins.end(a);
    CHECK(logins.holders() == "b");
    logins.end(b);
    CHECK(logins.holders() == "x");
    auto& e = logins.begin("e", host, 1h, "10.1.0.2");
    c.timer->cancel();
    logins.go_on();
    logins.end(x);
    CHECK(logins.holders() == "y");
    logins.begin("f", host, 1h, "10.1.0.3");
    CHECK(logins.numbers().waiting == 3);
    logins.turns().close();
    CHECK(d.told.empty());
    CHECK(e.told.empty());
}

TEST_CASE("login turns: hosts do not wait for each other, nor upstreams for a host of the same name") {
    Logins logins(1);
    logins.begin("a");
    logins.begin("b", other_host);
    logins.begin("c", {"stock", host.second});
    logins.begin("d");
    CHECK(logins.holders() == "abc");
}

TEST_CASE("login turns: who leaves the line makes nobody wait and takes nobody's turn") {
    Logins logins(1);
    auto& a = logins.begin("a");
    auto& b = logins.begin("b");
    logins.begin("c");
    b.timer->cancel();
    logins.go_on();
    CHECK(b.told == "too late");
    CHECK(logins.numbers().waiting == 1);
    logins.end(a);
    CHECK(logins.holders() == "c");
}

TEST_CASE("login turns: a turn that came to somebody who has just left is given on") {
    Logins logins(1);
    auto& a = logins.begin("a");
    auto& b = logins.begin("b");
    logins.begin("c");
    b.timer->cancel();
    a.turn.end();  // before b has heard of either
    logins.go_on();
    CHECK(logins.holders() == "b");
    logins.end(b);
    CHECK(logins.holders() == "c");
}

TEST_CASE("login turns: nobody waits beyond the deadline") {
    Logins logins(1);
    logins.begin("a");
    auto& b = logins.begin("b", host, 1ms);
    while (b.told.empty()) logins.io().run_one();
    CHECK(b.told == "too late");
    CHECK(logins.numbers().waiting == 0);
}

TEST_CASE("login turns: when a host answers nobody, all who wait for it are told, and none at other hosts") {
    Logins logins(1);
    auto& a = logins.begin("a");
    auto& b = logins.begin("b");
    auto& c = logins.begin("c");
    logins.begin("d", other_host);
    auto& e = logins.begin("e", other_host);
    a.turn.unanswered("timeout expired");
    logins.go_on();
    CHECK(b.told == "timeout expired");
    CHECK(c.told == "timeout expired");
    CHECK(e.told.empty());
    CHECK(logins.numbers().waiting == 0);
    auto& next = logins.begin("n");
    logins.end(a);
    CHECK(next.turn);
}

TEST_CASE("login turns: a host that answered somebody meanwhile is not given up for one that it did not") {
    Logins logins(2);
    auto& a = logins.begin("a");
    auto& b = logins.begin("b");
    auto& c = logins.begin("c");
    b.turn.answered();
    a.turn.unanswered("timeout expired");
    logins.go_on();
    CHECK(c.told.empty());
    logins.end(a);
    CHECK(logins.holders() == "bc");
    std::this_thread::sleep_for(1ms);  // c's turn began after that answer
    auto& d = logins.begin("d");
    c.turn.unanswered("timeout expired");
    logins.go_on();
    CHECK(d.told == "timeout expired");
}

TEST_CASE("login turns: where there is no memory to tell those who wait, they go on waiting") {
    const std::string error(500, 'x');
    bool fails = true;
    for (std::size_t after = 0; fails; ++after) {
        Logins logins(1);
        auto& a = logins.begin("a");
        auto& b = logins.begin("b");
        auto& c = logins.begin("c");
        {
            const support::NoMemory memory(after);
            try {
                a.turn.unanswered(error);
            } catch (const std::bad_alloc&) {
                CHECK(logins.numbers().waiting == 2);
            }
            fails = memory.failed();
        }
        b.timer->cancel();
        c.timer->cancel();
        logins.go_on();
        CHECK(b.told == c.told);
        CHECK((b.told == "too late" || b.told == error));
        CHECK(logins.numbers().waiting == 0);
        CHECK(logins.numbers().in_flight == 1);
    }
}

TEST_CASE("login turns: who finds no memory to wait keeps nobody from a turn") {
    const std::string source(100, 'x');
    for (std::size_t after = 0;; ++after) {
        Logins logins(1);
        auto& a = logins.begin("a");
        bool fails = false;
        {
            const support::NoMemory memory(after);
            try {
                logins.begin("b", host, 1h, source);
            } catch (const std::bad_alloc&) {
                // There is no such login, or not any more.
            }
            fails = memory.failed();
        }
        if (!fails) break;
        logins.go_on();
        auto& c = logins.begin("c", host, 1h, source);
        logins.end(a);
        CHECK(c.turn);
        logins.end(c);
        CHECK(logins.turns().numbers().empty());
    }
}

TEST_CASE("login turns: 0 is no limit, and is counted") {
    Logins logins(0);
    for (int i = 0; i < 100; ++i) logins.begin("a");
    CHECK(logins.holders().size() == 100);
    CHECK(logins.numbers().in_flight == 100);
}

TEST_CASE("login turns: a reload's limit is that of all from the next login on") {
    Logins logins(1);
    auto& a = logins.begin("a");
    logins.begin("b");
    logins.begin("c");
    logins.change_limit(3);
    logins.begin("d");
    CHECK(logins.holders() == "abc");
    logins.change_limit(2);
    logins.begin("e");
    logins.end(a);
    CHECK(logins.holders() == "bc");
}

TEST_CASE("login turns: what is taken at once is not taken before those who wait") {
    Logins logins(1);
    auto turn = logins.turns().take_at_once(host, 1);
    CHECK(turn);
    CHECK(turn.is_at(host));
    CHECK_FALSE(turn.is_at(other_host));
    auto& a = logins.begin("a");
    CHECK_FALSE(logins.turns().take_at_once(host, 1));
    turn.end();
    CHECK_FALSE(logins.turns().take_at_once(host, 1));  // a has it, and has not heard yet
    logins.go_on();
    CHECK(logins.holders() == "a");
    logins.end(a);
    CHECK(logins.turns().take_at_once(host, 1));
    CHECK(logins.turns().numbers().empty());
}

TEST_CASE("login turns: a turn that is moved or replaced ends once") {
    Logins logins(2);
    LoginTurns::Turn one = logins.turns().take_at_once(host, 2);
    LoginTurns::Turn moved = std::move(one);
    CHECK_FALSE(one);
    CHECK(logins.numbers().in_flight == 1);
    moved = logins.turns().take_at_once(other_host, 2);
    CHECK(logins.numbers().in_flight == 0);
    CHECK(logins.numbers(other_host).in_flight == 1);
}

TEST_CASE("login turns: threads that take and end turns at once never have more than may be") {
    LoginTurns turns;
    std::atomic<unsigned> now{0}, most{0}, done{0};
    const auto login = [&]() -> tls::Awaitable<> {
        const tls::Executor executor = co_await asio::this_coro::executor;
        LoginTurns::Turn turn = turns.take_at_once(host, 3);
        if (!turn) {
            LoginTurns::Wish wish{.host = host, .at_once = 3, .deadline = LoginTurns::Clock::now() + 1h};
            LoginTurns::Outcome outcome = co_await turns.take(std::move(wish), std::make_shared<tls::Timer>(executor));
            turn = std::move(std::get<LoginTurns::Turn>(outcome));
        }
        const unsigned here = ++now;
        unsigned before = most;
        while (before < here && !most.compare_exchange_weak(before, here)) {
        }
        co_await asio::post(executor, tls::returning());
        --now;
        ++done;
    };
    std::vector<std::unique_ptr<asio::io_context>> contexts;
    for (int i = 0; i < 3; ++i) {
        contexts.push_back(std::make_unique<asio::io_context>(1));
        for (int k = 0; k < 300; ++k) asio::co_spawn(*contexts.back(), login, asio::detached);
    }
    std::vector<std::thread> threads;
    for (auto& context : contexts) {
        threads.emplace_back([&] {
            const auto work = asio::make_work_guard(*context);
            while (done < 900) context->run_for(10ms);
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(most >= 1);
    CHECK(most <= 3);
    CHECK(turns.numbers().empty());
}
