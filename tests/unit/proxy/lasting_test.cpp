#include "proxy/upstream/lasting.hpp"

#include <stdexcept>

#include "support/catch.hpp"

using proxy::spawn_lasting;

namespace {

tls::Awaitable<> coroutine(int* runs, int fails) {
    if (++*runs <= fails) throw std::runtime_error("the first ones fail");
    co_return;
}

}  // namespace

TEST_CASE("a coroutine that throws is begun anew until it does not") {
    asio::io_context io;
    int runs = 0;
    spawn_lasting(io.get_executor(), [&] { return coroutine(&runs, 2); });
    io.run();
    CHECK(runs == 3);
}

TEST_CASE("a coroutine for which there is no memory is begun once there is some") {
    asio::io_context io;
    int runs = 0;
    int asked = 0;
    spawn_lasting(io.get_executor(), [&] {
        if (++asked <= 3) throw std::bad_alloc();
        return coroutine(&runs, 0);
    });
    io.run();
    CHECK(asked == 4);
    CHECK(runs == 1);
}

TEST_CASE("neither does a lack of memory after its rest end it") {
    asio::io_context io;
    int runs = 0;
    int asked = 0;
    spawn_lasting(io.get_executor(), [&] {
        if (++asked == 2 || asked == 3) throw std::bad_alloc();
        return coroutine(&runs, 1);
    });
    io.run();
    CHECK(asked == 4);
    CHECK(runs == 2);
}
