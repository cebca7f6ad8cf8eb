// Who is let in, and that a place is free again when its holder is gone.
#include "proxy/server/admission.hpp"

#include <utility>
#include <vector>

#include "config/load.hpp"
#include "support/catch.hpp"

namespace {

using namespace proxy;

Peer tcp(const std::string& address) {
    const auto parsed = config::parse_cidr(address);
    return {.family = 2, .address = address, .port = 1000, .bytes = parsed->bytes};
}

const Peer unix_peer{.family = 1, .address = {}, .port = -1, .bytes = {}};

ListenerRoute route() {
    ListenerRoute made;
    made.settings.name = "legacy";
    made.settings.allow = {*config::parse_cidr("10.0.0.0/8")};
    return made;
}

config::Runtime limits(unsigned all, unsigned per_address = 0) {
    config::Runtime made;
    made.max_connections = all;
    made.max_connections_per_address = per_address;
    return made;
}

TEST_CASE("admission: an address that is not allowed is refused by name") {
    Admission admission;
    const auto answer = admission.ask(route(), limits(1), tcp("192.168.0.1"));
    REQUIRE(answer);
    REQUIRE(answer->rejection);
    CHECK(answer->rejection->response.sqlstate == "28000");
    CHECK(answer->rejection->response.message == R"(no entry in "allow" of listener "legacy" for host "192.168.0.1")");
    CHECK(admission.served() == 0);
    CHECK(admission.present() == 1);
}

TEST_CASE("admission: a UNIX-domain peer is asked for no address") {
    Admission admission;
    const auto answer = admission.ask(route(), limits(1, 1), unix_peer);
    REQUIRE(answer);
    CHECK_FALSE(answer->rejection);
}

TEST_CASE("admission: one more than max_connections is refused, until a place is free") {
    Admission admission;
    auto first = admission.ask(route(), limits(1), tcp("10.0.0.1"));
    const auto second = admission.ask(route(), limits(1), tcp("10.0.0.2"));
    REQUIRE(second->rejection);
    CHECK(second->rejection->response.sqlstate == "53300");
    first->place.free();
    first->place.free();  // once is enough
    CHECK(admission.served() == 0);
    const auto third = admission.ask(route(), limits(1), tcp("10.0.0.3"));
    CHECK_FALSE(third->rejection);
    CHECK(admission.served() == 1);
}

TEST_CASE("admission: max_connections_per_address counts each address by itself") {
    Admission admission;
    auto one = admission.ask(route(), limits(10, 1), tcp("10.0.0.1"));
    CHECK_FALSE(one->rejection);
    CHECK(admission.ask(route(), limits(10, 1), tcp("10.0.0.1"))->rejection);
    CHECK_FALSE(admission.ask(route(), limits(10, 1), tcp("10.0.0.2"))->rejection);
    one.reset();
    CHECK_FALSE(admission.ask(route(), limits(10, 1), tcp("10.0.0.1"))->rejection);
}

TEST_CASE("admission: a place that was moved is freed once, where it is now") {
    Admission admission;
    auto answer = admission.ask(route(), limits(1), tcp("10.0.0.1"));
    Admission::Place kept = std::move(answer->place);
    answer.reset();
    CHECK(admission.served() == 1);
    kept = {};
    CHECK(admission.served() == 0);
}

TEST_CASE("admission: those who are refused take no place of those who are served") {
    Admission admission;
    const auto refused = admission.ask(route(), limits(1), tcp("192.168.0.1"));
    CHECK_FALSE(admission.ask(route(), limits(1), tcp("10.0.0.1"))->rejection);
}

TEST_CASE("admission: beyond the number of refusals in progress there is no answer") {
    Admission admission;
    std::vector<std::optional<Admission::Answer>> refused;
    for (unsigned i = 0; i < Admission::max_rejections; ++i)
        refused.push_back(admission.ask(route(), limits(1), tcp("192.168.0.1")));
    CHECK_FALSE(admission.ask(route(), limits(1), tcp("192.168.0.1")));
    CHECK(admission.ask(route(), limits(1), tcp("10.0.0.1")));
    refused.pop_back();
    CHECK(admission.ask(route(), limits(1), tcp("192.168.0.1")));
}

}  // namespace
