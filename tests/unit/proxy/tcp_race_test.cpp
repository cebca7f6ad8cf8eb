#include "proxy/upstream/tcp_race.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::TcpRace;
using Clock = TcpRace::Clock;
using Tcp = asio::ip::tcp;

constexpr auto patience = 120s;

/// A listener on loopback. One with a full queue leaves whoever comes without an answer.
class Place {
   public:
    explicit Place(asio::io_context& io) : acceptor_(io, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

    void fall_silent(asio::io_context& io) {
        acceptor_.listen(0);
        for (int i = 0; i < 3; ++i) {
            waiting_.emplace_back(io).async_connect(acceptor_.local_endpoint(), [](boost::system::error_code) {});
        }
        io.run_for(50ms);
        io.restart();
    }
    void close() { acceptor_.close(); }
    Tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

   private:
    Tcp::acceptor acceptor_;
    std::vector<Tcp::socket> waiting_;
};

struct Race {
    asio::io_context io;
    TcpRace race{io.get_executor()};

    void begin(std::size_t number, const Tcp::endpoint& to, Clock::duration time = patience) {
        race.begin({.number = number, .endpoint = to, .options = {}, .deadline = Clock::now() + time});
    }
    std::optional<TcpRace::Arrival> next(Clock::duration time = patience) {
        std::optional<TcpRace::Arrival> arrival;
        bool done = false;
        asio::co_spawn(
            io,
            [](TcpRace& of, Clock::time_point until, std::optional<TcpRace::Arrival>& into) -> tls::Awaitable<> {
                into = co_await of.next(until);
            }(race, Clock::now() + time, arrival),
            [&](std::exception_ptr) { done = true; });
        io.restart();
        while (!done) REQUIRE(io.run_one_for(patience) == 1);  // no longer: some never arrive
        return arrival;
    }
};

}  // namespace

TEST_CASE("one that is there arrives before one that is silent", "[tcp_race]") {
    Race race;
    Place silent(race.io), open(race.io);
    silent.fall_silent(race.io);
    race.begin(7, silent.endpoint());
    CHECK_FALSE(race.next(10ms));
    CHECK(race.race.began_by(Clock::now()) == std::vector<std::size_t>{7});
    race.begin(8, open.endpoint());
    const auto arrival = race.next();
    REQUIRE(arrival);
    CHECK(arrival->number == 8);
    REQUIRE(arrival->socket);
    CHECK(arrival->socket->remote_endpoint() == TcpRace::Endpoint(open.endpoint()));
}

TEST_CASE("a refusal is told of at once, and silence at its deadline", "[tcp_race]") {
    Race race;
    Place silent(race.io), closed(race.io);
    silent.fall_silent(race.io);
    const auto nobody = closed.endpoint();
    closed.close();
    race.begin(1, silent.endpoint(), 300ms);
    race.begin(2, nobody);
    const auto first = race.next();
    REQUIRE(first);
    CHECK(first->number == 2);
    CHECK(first->error == asio::error::connection_refused);
    const auto second = race.next();
    REQUIRE(second);
    CHECK(second->number == 1);
    CHECK(second->error == asio::error::timed_out);
    CHECK_FALSE(second->socket);
}

TEST_CASE("a race that is closed is not waited for, and those that are left do not arrive", "[tcp_race]") {
    Race race;
    Place open(race.io);
    race.begin(1, open.endpoint());
    race.race.leave();
    race.begin(2, open.endpoint());
    const auto arrival = race.next();
    REQUIRE(arrival);
    CHECK(arrival->number == 2);
    asio::post(race.io, [&] { race.race.close(); });
    CHECK_FALSE(race.next());
}
