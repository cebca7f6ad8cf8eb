#include "proxy/upstream/turns.hpp"

#include <optional>
#include <vector>

#include "support/catch.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Turns;

const auto later = std::chrono::steady_clock::now() + 1h;

/// Waits that are begun in order, all on one thread, and the turns that they got.
class Waiting {
   public:
    explicit Waiting(std::size_t at_once) : turns_(at_once) {}
    ~Waiting() { turns_.close(); }

    std::shared_ptr<tls::Timer> begin(const std::string& source) {
        auto timer = std::make_shared<tls::Timer>(io_.get_executor());
        asio::co_spawn(io_, wait(source, timer), asio::detached);
        go_on();
        return timer;
    }
    void go_on() {
        io_.restart();
        io_.poll();
    }
    /// Who holds a turn, in the order in which they got it.
    std::string holders() const {
        std::string all;
        for (const auto& [source, turn] : held_) all += source;
        return all;
    }
    /// The first holder is done.
    void end_one() {
        held_.erase(held_.begin());
        go_on();
    }
    int gave_up() const { return gave_up_; }

   private:
    tls::Awaitable<> wait(std::string source, std::shared_ptr<tls::Timer> timer) {
        Turns::Turn turn = co_await turns_.take(source, later, timer);
        if (turn) {
            held_.emplace_back(source, std::move(turn));
        } else {
            ++gave_up_;
        }
    }

    asio::io_context io_;
    Turns turns_;
    std::vector<std::pair<std::string, Turns::Turn>> held_;
    int gave_up_ = 0;
};

}  // namespace

TEST_CASE("turns: an address never has more than two under way, however many are free") {
    Waiting waiting(8);
    for (int i = 0; i < 5; ++i) waiting.begin("a");
    waiting.begin("b");
    CHECK(waiting.holders() == "aab");
    waiting.end_one();
    CHECK(waiting.holders() == "aba");
}

TEST_CASE("turns: who comes late from another address does not wait behind a flood") {
    Waiting waiting(1);
    for (int i = 0; i < 400; ++i) waiting.begin("a");
    waiting.begin("b");
    waiting.begin("c");
    waiting.end_one();
    waiting.end_one();
    waiting.end_one();
    CHECK(waiting.holders() == "c");  // a, then one more of a or b, each in turn
}

TEST_CASE("turns: who gives up makes room, and loses nobody else's") {
    Waiting waiting(1);
    waiting.begin("a");
    const auto leaves = waiting.begin("b");
    waiting.begin("b");
    leaves->cancel();
    waiting.go_on();
    CHECK(waiting.gave_up() == 1);
    waiting.end_one();
    CHECK(waiting.holders() == "b");
    waiting.end_one();
    waiting.begin("a");
    CHECK(waiting.holders() == "a");
}

TEST_CASE("turns: after the end nobody is woken, and turns may still be given back") {
    Turns::Turn turn;
    asio::io_context io;
    auto timer = std::make_shared<tls::Timer>(io.get_executor());
    {
        Turns turns(1);
        asio::co_spawn(
            io,
            [](Turns& of, auto on, Turns::Turn& to) -> tls::Awaitable<> { to = co_await of.take("a", later, on); }(
                                                        turns, timer, turn),
            asio::detached);
        io.poll();
        turns.close();
    }
    REQUIRE(turn);
    turn.reset();
}

TEST_CASE("turns: who finds no memory to wait keeps nobody from a turn") {
    const std::string source(100, 'b');
    for (std::size_t after = 0;; ++after) {
        Waiting waiting(1);
        waiting.begin("a");
        bool fails = false;
        {
            const support::NoMemory memory(after);
            try {
                waiting.begin(source);
            } catch (const std::bad_alloc&) {
                // It does not wait, or not any more.
            }
            fails = memory.failed();
        }
        if (!fails) break;
        waiting.go_on();
        waiting.begin(source);
        waiting.begin("c");
        waiting.end_one();
        CHECK(waiting.holders() == source);
        waiting.end_one();
        CHECK(waiting.holders() == "c");
    }
}
