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
    made.settings.allow = {*config::parse_cidr("10.0.0.0/8"), *config::parse_cidr("2001:db8::/32")};
    return made;
}

config::Runtime limits(unsigned all, unsigned per_address = 0, unsigned before_login = 1000) {
    config::Runtime made;
    made.max_connections = all;
    made.max_connections_per_address = per_address;
    made.max_connections_before_login = before_login;
    return made;
}

/// Connections that do nothing but stay.
class Crowd {
   public:
    Crowd(Admission& admission, config::Runtime limits) : admission_(admission), limits_(limits) {}

    /// How many of `count` were let in.
    unsigned come(const std::string& address, unsigned count) {
        unsigned let_in = 0;
        for (; count > 0; --count) {
            answers_.push_back(admission_.ask(route(), limits_, tcp(address)));
            if (answers_.back() && !answers_.back()->rejection) ++let_in;
        }
        return let_in;
    }
    void leave() { answers_.clear(); }

   private:
    Admission& admission_;
    config::Runtime limits_;
    std::vector<std::optional<Admission::Answer>> answers_;
};

/// What it is told when it asks to log in; "": it may.
std::string detail(Admission::Place& place) {
    const auto rejection = place.begin_login();
    return rejection ? rejection->response.detail : "";
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
    const auto one = admission.ask(route(), limits(2, 1, 2), unix_peer);
    const auto other = admission.ask(route(), limits(2, 1, 2), unix_peer);
    REQUIRE((one && other));
    CHECK_FALSE(one->rejection);
    CHECK_FALSE(other->rejection);
}

TEST_CASE("admission: one more than max_connections is refused, until a place is free") {
    Admission admission;
    auto first = admission.ask(route(), limits(1), tcp("10.0.0.1"));
    auto second = admission.ask(route(), limits(1), tcp("10.0.0.2"));
    CHECK(detail(first->place) == "");
    CHECK(detail(second->place) == "pgairlock's max_connections is reached.");
    first->place.logged_in();
    CHECK(detail(second->place) == "pgairlock's max_connections is reached.");
    first->place.free();
    first->place.free();  // once is enough
    CHECK(admission.served() == 0);
    CHECK(detail(second->place) == "");
    CHECK(admission.served() == 1);
}

TEST_CASE("admission: connections that do not ask to log in take none of max_connections") {
    Admission admission;
    Crowd crowd(admission, limits(10));
    CHECK(crowd.come("10.0.0.1", 300) == 300);
    auto client = admission.ask(route(), limits(10), tcp("10.0.0.1"));
    CHECK(detail(client->place) == "");
    CHECK(admission.served() == 1);
    CHECK(admission.present() == 301);
}

TEST_CASE("admission: a client meets neither limit of those who log in before it asks to") {
    Admission admission;
    auto first = admission.ask(route(), limits(1, 1), tcp("10.0.0.1"));
    CHECK(detail(first->place) == "");
    const auto cancel = admission.ask(route(), limits(1, 1), tcp("10.0.0.1"));
    REQUIRE(cancel);
    CHECK_FALSE(cancel->rejection);
}

TEST_CASE("admission: max_connections_per_address counts each address by itself") {
    Admission admission;
    auto one = admission.ask(route(), limits(10, 1), tcp("10.0.0.1"));
    auto same = admission.ask(route(), limits(10, 1), tcp("10.0.0.1"));
    auto other = admission.ask(route(), limits(10, 1), tcp("10.0.0.2"));
    CHECK(detail(one->place) == "");
    CHECK(detail(same->place) == "pgairlock's max_connections_per_address is reached.");
    CHECK(detail(other->place) == "");
    one.reset();
    CHECK(detail(same->place) == "");
}

TEST_CASE("admission: an IPv6 network of 64 bits is one address") {
    Admission admission;
    auto one = admission.ask(route(), limits(10, 1), tcp("2001:db8:0:1::1"));
    auto neighbour = admission.ask(route(), limits(10, 1), tcp("2001:db8:0:1:ffff::2"));
    auto other = admission.ask(route(), limits(10, 1), tcp("2001:db8:0:2::1"));
    CHECK(detail(one->place) == "");
    CHECK(detail(neighbour->place) == "pgairlock's max_connections_per_address is reached.");
    CHECK(detail(other->place) == "");
    Crowd crowd(admission, limits(10, 0, 40));
    CHECK(crowd.come("2001:db8:0:3::1", 15) == 15);
    CHECK(crowd.come("2001:db8:0:3::2", 15) == 5);
}

TEST_CASE("admission: beyond max_connections_before_login a client is refused, until others log in or leave") {
    Admission admission;
    const auto few = limits(100, 0, 2);
    auto first = admission.ask(route(), few, tcp("10.0.0.1"));
    const auto second = admission.ask(route(), few, tcp("10.0.0.2"));
    const auto third = admission.ask(route(), few, tcp("10.0.0.3"));
    REQUIRE(third->rejection);
    CHECK(third->rejection->response.sqlstate == "53300");
    CHECK(third->rejection->response.detail == "pgairlock's max_connections_before_login is reached.");
    CHECK(detail(first->place) == "");
    CHECK(admission.ask(route(), few, tcp("10.0.0.3"))->rejection);  // it is still logging in
    first->place.logged_in();
    CHECK_FALSE(admission.ask(route(), few, tcp("10.0.0.3"))->rejection);
    CHECK(admission.served() == 1);
}

TEST_CASE("admission: one address may take half of max_connections_before_login") {
    Admission admission;
    Crowd crowd(admission, limits(100, 0, 10));
    CHECK(crowd.come("10.0.0.1", 10) == 5);
    const auto refused = admission.ask(route(), limits(100, 0, 10), tcp("10.0.0.1"));
    CHECK(refused->rejection->response.detail ==
          "One address may take half of pgairlock's max_connections_before_login, and has.");
    CHECK(crowd.come("10.0.0.2", 10) == 5);
    crowd.leave();
    CHECK(crowd.come("10.0.0.1", 1) == 1);
}

TEST_CASE("admission: a place that was moved is freed once, where it is now") {
    Admission admission;
    auto answer = admission.ask(route(), limits(1), tcp("10.0.0.1"));
    Admission::Place kept = std::move(answer->place);
    answer.reset();
    CHECK(admission.present() == 1);
    CHECK(detail(kept) == "");
    Admission::Place moved = std::move(kept);
    moved.logged_in();
    CHECK(admission.served() == 1);
    moved = {};
    CHECK(admission.served() == 0);
    CHECK(admission.present() == 0);
}

TEST_CASE("admission: strangers take no place of anybody else, and there are never more than a few") {
    Admission admission;
    Crowd crowd(admission, limits(1, 0, 1));
    crowd.come("192.168.0.1", Admission::max_strangers);
    CHECK_FALSE(admission.ask(route(), limits(1, 0, 1), tcp("192.168.0.2")));
    CHECK(admission.present() == Admission::max_strangers);
    auto client = admission.ask(route(), limits(1, 0, 1), tcp("10.0.0.1"));
    REQUIRE(client);
    CHECK(detail(client->place) == "");
    CHECK(admission.ask(route(), limits(1, 0, 1), tcp("10.0.0.2")));  // to be told that there are too many
    crowd.leave();
    CHECK(admission.ask(route(), limits(1, 0, 1), tcp("192.168.0.2")));
}

TEST_CASE("admission: beyond the number of refusals in progress there is no answer, to one address sooner") {
    Admission admission;
    const auto few = limits(100, 0, 1);
    const auto only = admission.ask(route(), few, tcp("10.0.0.1"));
    Crowd crowd(admission, few);
    crowd.come("10.0.1.1", Admission::max_rejections_per_address);
    CHECK_FALSE(admission.ask(route(), few, tcp("10.0.1.1")));
    CHECK(admission.ask(route(), few, tcp("10.0.1.2")));
    for (unsigned host = 2; host <= Admission::max_rejections / Admission::max_rejections_per_address; ++host)
        crowd.come("10.0.1." + std::to_string(host), Admission::max_rejections_per_address);
    CHECK_FALSE(admission.ask(route(), few, tcp("10.0.2.1")));
    crowd.leave();
    CHECK(admission.ask(route(), few, tcp("10.0.1.1")));
}

}  // namespace
