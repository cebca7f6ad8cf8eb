#include "proxy/upstream/derived_keys.hpp"

#include <future>

#include "support/catch.hpp"
#include "tls/scram_crypto.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Key = std::optional<protocol::ScramKey>;

protocol::Buffer bytes(std::string_view text) { return {text.begin(), text.end()}; }
protocol::ScramSalt salt(std::string_view text) { return {.salt = bytes(text), .iterations = 4096}; }

/// A thread that waits for keys, and does other things meanwhile.
struct Waiting {
    void begin(proxy::DerivedKeys& keys, const protocol::ScramSalt& wanted, Clock::time_point deadline) {
        ended = false;
        asio::co_spawn(io, wait(keys, wanted, deadline), asio::detached);
    }
    tls::Awaitable<> wait(proxy::DerivedKeys& keys, protocol::ScramSalt wanted, Clock::time_point deadline) {
        key = co_await keys.of(wanted, deadline);
        ended = true;
    }
    Key get(proxy::DerivedKeys& keys, const protocol::ScramSalt& wanted, std::chrono::milliseconds patience = 60s) {
        begin(keys, wanted, Clock::now() + patience);
        io.restart();
        io.run();
        return key;
    }

    asio::io_context io{1};
    Key key;
    bool ended = false;
};

}  // namespace

TEST_CASE("a key is derived on another thread, and whoever waits for it serves others", "[derived_keys]") {
    proxy::Offload derivations(1);
    proxy::DerivedKeys keys(derivations, bytes("password"));
    std::promise<void> go_on;
    derivations.submit([gate = std::make_shared<std::future<void>>(go_on.get_future())] { return gate->wait(), 0; },
                       [](std::optional<int>) {});
    Waiting waiting;
    waiting.begin(keys, salt("one"), Clock::now() + 60s);
    bool served = false;
    asio::post(waiting.io, [&] { served = true; });
    waiting.io.poll();
    CHECK(served);
    CHECK_FALSE(waiting.ended);
    go_on.set_value();
    waiting.io.run();
    CHECK(waiting.key == tls::salted_password(bytes("password"), salt("one")));
}

TEST_CASE("a key that is known is not derived again, and others are", "[derived_keys]") {
    proxy::Offload derivations(1);
    proxy::DerivedKeys keys(derivations, bytes("password"));
    Waiting waiting;
    const Key one = waiting.get(keys, salt("one"));
    const Key two = waiting.get(keys, salt("two"));
    REQUIRE((one && two));
    CHECK(*one != *two);
    protocol::ScramSalt longer = salt("one");
    longer.iterations = 4097;
    CHECK(waiting.get(keys, longer) != one);

    derivations.end();  // nothing can be derived any more
    CHECK(waiting.get(keys, salt("one")) == one);
    CHECK(waiting.get(keys, salt("two")) == two);
    CHECK_FALSE(waiting.get(keys, salt("three"), 10ms).has_value());
}

TEST_CASE("a server that names another salt each time makes the oldest key be forgotten, and no more",
          "[derived_keys]") {
    proxy::Offload derivations(1);
    proxy::DerivedKeys keys(derivations, bytes("password"));
    Waiting waiting;
    const auto numbered = [](std::size_t i) {
        protocol::ScramSalt one = salt("salt " + std::to_string(i));
        one.iterations = 1;
        return one;
    };
    for (std::size_t i = 0; i <= proxy::DerivedKeys::max_kept; ++i) REQUIRE(waiting.get(keys, numbered(i)));
    derivations.end();
    CHECK_FALSE(waiting.get(keys, numbered(0), 10ms).has_value());
    for (std::size_t i = 1; i <= proxy::DerivedKeys::max_kept; ++i) CHECK(waiting.get(keys, numbered(i)));
}
