#include "proxy/upstream/host_news.hpp"

#include "support/catch.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::HostNews;

/// Far more than looks alone would need for so many: one each.
constexpr int many = 1000;
constexpr auto patience = 30s;

class Waiting {
   public:
    Waiting() = default;
    explicit Waiting(HostNews& shared) : news(shared) {}

    std::shared_ptr<tls::Timer> begin(const std::string& upstream, HostNews::Clock::time_point until,
                                      HostNews::Turn turn = HostNews::Turn::of_all) {
        auto timer = std::make_shared<tls::Timer>(io.get_executor());
        asio::co_spawn(io, wait(upstream, until, timer, turn), asio::detached);
        io.restart();
        io.poll();
        return timer;
    }
    void go_on_until_first() {
        io.restart();
        while (ended == 0) io.run_one();
    }
    void go_on() {
        io.restart();
        io.run_for(patience);
    }

    HostNews own;
    asio::io_context io;
    HostNews& news = own;
    int ended = 0;
    int ended_of_the_last = 0;  // among these

   private:
    tls::Awaitable<> wait(std::string upstream, HostNews::Clock::time_point until, std::shared_ptr<tls::Timer> timer,
                          HostNews::Turn turn) {
        co_await news.wait(upstream, until, timer, turn);
        ++ended;
        if (turn == HostNews::Turn::of_the_last) ++ended_of_the_last;
    }
};

const auto later = HostNews::Clock::now() + 1h;

}  // namespace

TEST_CASE("of many that wait for a host one looks") {
    Waiting waiting;
    std::vector<std::shared_ptr<tls::Timer>> timers;
    for (int i = 0; i < many; ++i) timers.push_back(waiting.begin("orders", later));
    CHECK(waiting.ended == 0);
    waiting.go_on_until_first();
    CHECK(waiting.ended == 1);
    for (const auto& timer : timers) timer->cancel();
    waiting.go_on();
    CHECK(waiting.ended == many);
}

TEST_CASE("whose login cannot be repeated takes no turn from those whose can, and has its own") {
    Waiting waiting;
    std::vector<std::shared_ptr<tls::Timer>> timers;
    waiting.begin("orders", later);
    for (int i = 0; i < many; ++i) timers.push_back(waiting.begin("orders", later, HostNews::Turn::of_the_last));
    waiting.io.restart();
    while (waiting.ended == waiting.ended_of_the_last) waiting.io.run_one();
    CHECK(waiting.ended_of_the_last < many / 50);  // with one turn for all it would come after half of them
    while (waiting.ended_of_the_last == 0) waiting.io.run_one();
    for (const auto& timer : timers) timer->cancel();
    waiting.go_on();
    CHECK(waiting.ended == many + 1);
}

TEST_CASE("whether a kind of login can be repeated is known from the last of it") {
    HostNews news;
    CHECK(news.can_be_repeated("orders", "reader") == std::nullopt);
    news.learn_repeatable("orders", "reader", false);
    CHECK(news.can_be_repeated("orders", "reader") == false);
    news.learn_repeatable("orders", "reader", true);
    CHECK(news.can_be_repeated("orders", "reader") == true);
    CHECK(news.can_be_repeated("orders", "writer") == std::nullopt);
    for (int i = 0; i < 10'000; ++i) news.learn_repeatable("orders", std::to_string(i), true);
    CHECK(news.can_be_repeated("orders", "9999") == true);
    CHECK(news.can_be_repeated("stock", "9999") == std::nullopt);
    CHECK(news.waiting() == std::map<std::string, unsigned>{{"orders", 0}});
}

TEST_CASE("all that wait for an upstream hear of its news, and no others") {
    Waiting waiting;
    std::vector<std::shared_ptr<tls::Timer>> others;
    for (int i = 0; i < many; ++i) waiting.begin("orders", later);
    for (int i = 0; i < many; ++i) others.push_back(waiting.begin("stock", later));
    waiting.news.tell("orders");
    waiting.news.tell("no such upstream");
    while (waiting.ended < many) waiting.io.run_one();
    CHECK(waiting.ended < many + many / 2);  // but for those whose turn it was to look
    for (const auto& timer : others) timer->cancel();
    waiting.go_on();
    CHECK(waiting.ended == 2 * many);
}

TEST_CASE("nobody waits longer than it may") {
    Waiting waiting;
    waiting.begin("orders", HostNews::Clock::now());
    waiting.go_on();
    CHECK(waiting.ended == 1);
}

TEST_CASE("news of a wait that is over, or of one whose session has gone, does no harm") {
    Waiting waiting;
    waiting.begin("orders", HostNews::Clock::now());
    waiting.go_on();
    waiting.news.tell("orders");
    waiting.go_on();
    CHECK(waiting.ended == 1);
}

TEST_CASE("when waiting is given up all are told at once, and nobody waits any more") {
    Waiting waiting;
    for (int i = 0; i < many; ++i) waiting.begin(i % 2 == 0 ? "orders" : "stock", later);
    CHECK(waiting.news.waiting() == std::map<std::string, unsigned>{{"orders", many / 2}, {"stock", many / 2}});
    waiting.news.give_up();
    waiting.io.restart();
    waiting.io.poll();
    CHECK(waiting.ended == many);
    CHECK(waiting.news.waiting() == std::map<std::string, unsigned>{{"orders", 0}, {"stock", 0}});
    waiting.begin("orders", later);
    CHECK(waiting.ended == many + 1);
}

TEST_CASE("once closed nobody is woken: whoever waited may be no more") {
    HostNews news;
    {
        Waiting waiting(news);
        waiting.begin("orders", later);
        news.close();
        news.tell("orders");
        news.give_up();
        waiting.io.restart();
        CHECK(waiting.io.poll() == 0);
    }
    news.tell("orders");
}

TEST_CASE("whom there is no memory to wake hears of the next news, and whoever tells it is not troubled") {
    bool fails = true;
    for (std::size_t after = 0; fails; ++after) {
        Waiting waiting;
        for (int i = 0; i < 3; ++i) waiting.begin("orders", later);
        {
            const support::NoMemory memory(after);
            waiting.news.tell("orders");
            fails = memory.failed();
        }
        waiting.news.give_up();
        waiting.io.restart();
        waiting.io.poll();
        CHECK(waiting.ended == 3);
    }
}
