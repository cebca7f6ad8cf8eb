#include "proxy/upstream/resolver.hpp"

#include <atomic>
#include <condition_variable>
#include <set>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Resolved;
using proxy::Resolver;
using Clock = std::chrono::steady_clock;

constexpr auto patience = 120s;

config::Address host(const std::string& name, std::uint16_t port = 5432) {
    config::Address address;
    address.kind = config::Address::Kind::tcp;
    address.host = name;
    address.port = port;
    return address;
}

Resolved found(const char* address) { return {{asio::ip::tcp::endpoint(asio::ip::make_address(address), 0)}, {}}; }

/// Name servers as a test wants them: names hang until they are released, and every look-up is
/// counted.
class Names {
   public:
    Resolved look_up(const std::string& name) {
        std::unique_lock lock(mutex_);
        ++asked[name];
        changed_.notify_all();
        changed_.wait_for(lock, patience, [&] { return !hanging_.contains(name); });
        return answer;
    }
    void hang(const std::string& name) {
        const std::lock_guard lock(mutex_);
        hanging_.insert(name);
    }
    void release() {
        const std::lock_guard lock(mutex_);
        hanging_.clear();
        changed_.notify_all();
    }
    void wait_until_asked(const std::string& name, int times = 1) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, patience, [&] { return asked[name] >= times; }));
    }

    std::map<std::string, int> asked;
    Resolved answer = found("192.0.2.1");

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> hanging_;
};

/// Those who ask, all on this thread.
struct Asking {
    // Shared: a look-up that hangs outlives the resolver.
    std::shared_ptr<Names> shared = std::make_shared<Names>();
    Names& names = *shared;
    asio::io_context io;
    Resolver resolver{[names = shared](const std::string& name) { return names->look_up(name); }};

    ~Asking() { names.release(); }

    std::shared_ptr<std::optional<Resolved>> ask(const config::Address& address, Clock::duration time = patience) {
        const auto answer = std::make_shared<std::optional<Resolved>>();
        asio::co_spawn(
            io,
            [](Resolver& asked, config::Address wanted, Clock::time_point deadline,
               std::shared_ptr<std::optional<Resolved>> into) -> tls::Awaitable<> {
                const tls::Executor executor = co_await asio::this_coro::executor;
                *into = co_await asked.resolve(wanted, deadline, std::make_shared<tls::Timer>(executor));
            }(resolver, address, Clock::now() + time, answer),
            asio::detached);
        io.restart();
        io.poll();
        return answer;
    }
    void run() {
        io.restart();
        io.run_for(patience);
    }
};

}  // namespace

TEST_CASE("those who ask for one name share one look-up, and each gets its own port", "[resolver]") {
    Asking asking;
    asking.names.hang("db");
    std::vector<std::shared_ptr<std::optional<Resolved>>> answers;
    for (std::uint16_t port = 1; port <= 900; ++port) answers.push_back(asking.ask(host("db", port)));
    asking.names.release();
    asking.run();
    for (std::uint16_t port = 1; port <= 900; ++port) {
        const auto& answer = *answers[port - 1U];
        REQUIRE(answer);
        CHECK(proxy::to_string(answer->endpoints.at(0)) == "192.0.2.1:" + std::to_string(port));
        CHECK_FALSE(answer->stale);
    }
    CHECK(asking.names.asked["db"] == 1);
}

TEST_CASE("names that hang hold up no other", "[resolver]") {
    Asking asking;
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
        asking.names.hang(name);
        asking.ask(host(name), 60s);
        asking.names.wait_until_asked(name);
    }
    const auto answer = asking.ask(host("healthy"));
    while (!*answer) asking.io.run_one_for(patience);
    CHECK((*answer)->endpoints.size() == 1);
}

TEST_CASE("every connection that comes after an answer asks anew", "[resolver]") {
    Asking asking;
    for (int times = 1; times <= 3; ++times) {
        const auto answer = asking.ask(host("db"));
        asking.run();
        REQUIRE(*answer);
        CHECK(asking.names.asked["db"] == times);
    }
}

TEST_CASE("the last answer stands in for a look-up that hangs, and says so", "[resolver]") {
    Asking asking;
    const auto before = asking.ask(host("db"));
    asking.run();
    REQUIRE_FALSE((*before)->stale);
    asking.names.hang("db");
    const auto meanwhile = asking.ask(host("db"));
    asking.run();
    REQUIRE(*meanwhile);
    CHECK((*meanwhile)->stale);
    CHECK((*meanwhile)->endpoints.size() == 1);
    SECTION("and what comes of it at last is the next answer") {
        asking.names.answer = found("192.0.2.2");
        asking.names.release();
        auto after = asking.ask(host("db"));
        for (asking.run(); (*after)->stale; asking.run()) after = asking.ask(host("db"));
        CHECK(proxy::to_string((*after)->endpoints.at(0)) == "192.0.2.2:5432");
    }
}

TEST_CASE("the last answer stands in when the name's servers cannot be asked, but not when there is no such name",
          "[resolver]") {
    Asking asking;
    asking.ask(host("db"));
    asking.run();
    asking.names.answer = {.endpoints = {}, .error = "no", .passing = GENERATE(true, false)};
    const auto answer = asking.ask(host("db"));
    asking.run();
    CHECK((*answer)->stale == asking.names.answer.passing);
    CHECK((*answer)->error == (asking.names.answer.passing ? "" : "no"));
}

TEST_CASE("a name that hangs and has no answer yet is waited for until the deadline", "[resolver]") {
    Asking asking;
    asking.names.hang("db");
    const auto answer = asking.ask(host("db"), 10ms);
    asking.run();
    REQUIRE(*answer);
    CHECK((*answer)->error == "could not translate host name \"db\" to address: timeout expired");
}

TEST_CASE("a resolver that was closed answers nobody, and its look-ups hold up nothing", "[resolver]") {
    Asking asking;
    asking.names.hang("db");
    const auto answer = asking.ask(host("db"), 50ms);
    asking.names.wait_until_asked("db");
    asking.resolver.close();
    asking.names.release();
    const auto late = asking.ask(host("other"));
    asking.run();
    CHECK((*answer)->endpoints.empty());
    CHECK((*late)->endpoints.empty());
    CHECK(asking.names.asked["other"] == 0);
}
