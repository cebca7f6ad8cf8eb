#include "proxy/upstream/host_news.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::HostNews;

/// Far more than looks alone would need for so many: one each.
constexpr int many = 1000;
constexpr auto patience = 30s;

class Waiting {
   public:
    std::shared_ptr<tls::Timer> begin(const std::string& upstream, HostNews::Clock::time_point until) {
        auto timer = std::make_shared<tls::Timer>(io.get_executor());
        asio::co_spawn(io, wait(upstream, until, timer), asio::detached);
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

    asio::io_context io;
    HostNews news;
    int ended = 0;

   private:
    tls::Awaitable<> wait(std::string upstream, HostNews::Clock::time_point until, std::shared_ptr<tls::Timer> timer) {
        co_await news.wait(upstream, until, timer);
        ++ended;
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

namespace {

/// Those whose logins are lost by a look.
class Reserved : public Waiting {
   public:
    std::shared_ptr<tls::Timer> begin_reserved() {
        auto timer = std::make_shared<tls::Timer>(io.get_executor());
        asio::co_spawn(io, wait_reserved(timer), asio::detached);
        io.restart();
        io.poll();
        return timer;
    }
    void go_on_for(std::chrono::milliseconds time) {
        io.restart();
        io.run_for(time);
    }

    bool promising = false;
    bool asked = false;
    int looks = 0, news_heard = 0;

   private:
    tls::Awaitable<> wait_reserved(std::shared_ptr<tls::Timer> timer) {
        HostNews::Reserved rules;
        rules.is_promising = [this] { return promising; };
        rules.others_ask = [this] { return asked; };
        const auto woken = co_await news.wait("orders", later, timer, std::move(rules));
        ++(woken == HostNews::Woken::to_look ? looks : news_heard);
    }
};

}  // namespace

TEST_CASE("whose login would be lost does not look while a monitor asks, and goes once a host is promising") {
    Reserved waiting;
    waiting.asked = true;
    for (int i = 0; i < many; ++i) waiting.begin_reserved();
    waiting.go_on_for(HostNews::sacrifice_interval + 3 * HostNews::look_interval);
    waiting.news.tell("orders");  // of no use to them
    waiting.go_on_for(2 * HostNews::look_interval);
    CHECK(waiting.looks + waiting.news_heard == 0);
    waiting.promising = true;
    waiting.go_on();
    CHECK(waiting.looks == 0);
    CHECK(waiting.news_heard == many);
}

TEST_CASE("where nobody else looks one login at a time is lost, and at once when there is news") {
    Reserved waiting;
    std::vector<std::shared_ptr<tls::Timer>> timers;
    for (int i = 0; i < many; ++i) timers.push_back(waiting.begin_reserved());
    waiting.io.restart();
    const auto began = HostNews::Clock::now();
    while (waiting.looks == 0) waiting.io.run_one();
    CHECK(HostNews::Clock::now() - began >= HostNews::sacrifice_interval);
    CHECK(waiting.looks == 1);
    const auto told = HostNews::Clock::now();
    waiting.news.tell("orders");
    while (waiting.looks == 1) waiting.io.run_one();
    CHECK(HostNews::Clock::now() - told < HostNews::sacrifice_interval);
    waiting.news.tell("orders", false);  // a doubt is not worth one
    waiting.go_on_for(2 * HostNews::look_interval);
    CHECK(waiting.looks == 2);
    for (const auto& timer : timers) timer->cancel();
    waiting.go_on();
    CHECK(waiting.news_heard == many - 2);
}

TEST_CASE("who may look goes before those whose login would be lost") {
    Reserved waiting;
    std::vector<std::shared_ptr<tls::Timer>> timers;
    for (int i = 0; i < many; ++i) timers.push_back(waiting.begin_reserved());
    const auto end = HostNews::Clock::now() + HostNews::sacrifice_interval + 4 * HostNews::look_interval;
    while (HostNews::Clock::now() < end) {
        const int before = waiting.ended;
        waiting.begin("orders", later);  // one is always there
        waiting.io.restart();
        while (waiting.ended == before) waiting.io.run_one();
    }
    CHECK(waiting.looks == 0);
    for (const auto& timer : timers) timer->cancel();
    waiting.go_on();
}

TEST_CASE("whether a kind of login can be repeated is known from the last of it") {
    HostNews news;
    CHECK(news.can_be_repeated("reader") == std::nullopt);
    news.learn_repeatable("reader", false);
    CHECK(news.can_be_repeated("reader") == false);
    news.learn_repeatable("reader", true);
    CHECK(news.can_be_repeated("reader") == true);
    CHECK(news.can_be_repeated("writer") == std::nullopt);
    for (int i = 0; i < 10'000; ++i) news.learn_repeatable(std::to_string(i), true);
    CHECK(news.can_be_repeated("9999") == true);
}
