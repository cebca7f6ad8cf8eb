#include "proxy/upstream/own_addresses.hpp"

#include "support/catch.hpp"

namespace {

using proxy::OwnAddresses;

asio::generic::stream_protocol::endpoint at(const char* address, std::uint16_t port) {
    return asio::ip::tcp::endpoint(asio::ip::make_address(address), port);
}

}  // namespace

TEST_CASE("an address that we listen on is ours, by its port as well", "[own_addresses]") {
    const OwnAddresses own({"127.0.0.2:5432", "unix:/run/pg/.s.PGSQL.5432"});
    CHECK(own.contains(at("127.0.0.2", 5432)));
    CHECK_FALSE(own.contains(at("127.0.0.2", 5433)));
    CHECK_FALSE(own.contains(at("127.0.0.1", 5432)));
    CHECK_FALSE(OwnAddresses().contains(at("127.0.0.2", 5432)));
    CHECK(own.contains(asio::local::stream_protocol::endpoint("/run/pg/.s.PGSQL.5432")));
    CHECK_FALSE(own.contains(asio::local::stream_protocol::endpoint("/run/pg/.s.PGSQL.5433")));
}

TEST_CASE("who listens everywhere is at each address of the machine, and at no other", "[own_addresses]") {
    const OwnAddresses own({"0.0.0.0:5432"});
    CHECK(own.contains(at("127.0.0.1", 5432)));
    CHECK(own.contains(at("127.0.0.9", 5432)));
    CHECK_FALSE(own.contains(at("127.0.0.1", 5433)));
    CHECK_FALSE(own.contains(at("192.0.2.1", 5432)));
    CHECK_FALSE(own.contains(at("2001:db8::1", 5432)));
    const OwnAddresses both({"[::]:5432"});
    CHECK(both.contains(at("127.0.0.1", 5432)));
    CHECK_FALSE(both.contains(at("2001:db8::1", 5432)));
}
