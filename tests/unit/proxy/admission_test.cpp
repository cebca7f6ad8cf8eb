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

/// Of a listener before an upstream named `orders`.
ListenerRoute route(const std::string& name = "legacy", const config::Upstream& upstream = {}) {
    ListenerRoute made;
    made.settings.name = name;
    made.settings.allow = {*config::parse_cidr("10.0.0.0/8"), *config::parse_cidr("2001:db8::/32")};
    auto server = std::make_shared<UpstreamRoute>();
    server->settings = upstream;
    if (server->settings.name.empty()) server->settings.name = "orders";
    made.upstream = std::move(server);
    made.reserved_users = {"postgres"};
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

/// An upstream's limits, 0: none.
config::Upstream upstream(const std::string& name, unsigned per_user, unsigned per_database = 0) {
    config::Upstream made;
    made.name = name;
    made.max_user_connections = per_user;
    made.max_db_connections = per_database;
    return made;
}

/// What it is told when it asks to log in; "": it may.
std::string detail(Admission::Place& place) {
    const ListenerRoute anywhere = route();
    const auto rejection = place.begin_login({.route = anywhere, .user = "app", .database = "shop", .now = {}});
    return rejection ? rejection->response.detail : "";
}

/// Clients that log in, as long as they are let.
class Logins {
   public:
    explicit Logins(config::Runtime limits) : limits_(limits) {}

    struct Who {
        std::string user = "app";
        std::string database = "shop";
        std::string address = "10.0.0.1";
        std::chrono::milliseconds at{0};
    };
    /// "": it is in. Else the reason.
    std::string come(const ListenerRoute& where, const Who& who) {
        const Peer peer = who.address.empty() ? unix_peer : tcp(who.address);
        auto answer = admission_.ask(where, limits_, peer);
        const auto now = std::chrono::steady_clock::time_point(std::chrono::hours(1)) + who.at;
        const auto why_not =
            answer->place.begin_login({.route = where, .user = who.user, .database = who.database, .now = now});
        if (why_not) {
            told_ = why_not->response;
            return std::string(label(why_not->reason));
        }
        places_.push_back(std::move(answer->place));
        return "";
    }
    void first_leaves() { places_.erase(places_.begin()); }
    void all_leave() { places_.clear(); }
    /// As by an upgrade.
    void take_over_from(const Logins& before) { admission_.elsewhere(before.admission_.served_here()); }
    const protocol::ErrorResponse& told() const { return told_; }
    bool is_full() const { return admission_.is_full(limits_); }

   private:
    Admission admission_;
    config::Runtime limits_;
    std::vector<Admission::Place> places_;
    protocol::ErrorResponse told_;
};

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

// --- The other limits of logins

TEST_CASE("admission: a listener's max_connections counts its own clients, beside those of all") {
    Logins logins(limits(3));
    ListenerRoute one = route("one"), other = route("other");
    one.settings.max_connections = 1;
    CHECK(logins.come(one, {}) == "");
    CHECK(logins.come(one, {}) == "too_many_connections");
    CHECK(logins.told().sqlstate == "53300");
    CHECK(logins.told().message == "sorry, too many clients already");
    CHECK(logins.told().detail == "max_connections of listener \"one\" is reached: 1.");
    CHECK(logins.told().hint == "Raise max_connections of listener \"one\".");
    CHECK(logins.come(other, {}) == "");
    CHECK(logins.come(other, {}) == "");
    CHECK(logins.come(other, {}) == "too_many_connections");
    CHECK(logins.told().detail == "pgairlock's max_connections is reached.");
    logins.first_leaves();
    CHECK(logins.come(one, {}) == "");
}

TEST_CASE("admission: the last places are left for reserved_users, who may take all of them") {
    config::Runtime few = limits(3);
    few.reserved_connections = 2;
    Logins logins(few);
    CHECK_FALSE(logins.is_full());
    CHECK(logins.come(route(), {}) == "");
    CHECK(logins.is_full());
    CHECK(logins.come(route(), {}) == "reserved_connections");
    CHECK(logins.told().sqlstate == "53300");
    CHECK(logins.told().message == "remaining connection slots are reserved");
    CHECK(logins.told().detail == "The last 2 of pgairlock's max_connections are left for reserved_users.");
    CHECK(logins.come(route(), {.user = "Postgres"}) == "reserved_connections");  // names have a case
    CHECK(logins.come(route(), {.user = "postgres"}) == "");
    CHECK(logins.come(route(), {.user = "postgres"}) == "");
    CHECK(logins.come(route(), {.user = "postgres"}) == "too_many_connections");
    logins.first_leaves();
    CHECK(logins.come(route(), {}) == "reserved_connections");
    CHECK(logins.come(route(), {.user = "postgres"}) == "");
}

TEST_CASE("admission: the reserve is left of a listener's own max_connections too") {
    config::Runtime many = limits(100);
    many.reserved_connections = 1;
    Logins logins(many);
    ListenerRoute one = route("one");
    one.settings.max_connections = 2;
    CHECK(logins.come(one, {}) == "");
    CHECK(logins.come(one, {}) == "reserved_connections");
    CHECK(logins.told().detail == "The last 1 of listener \"one\"'s max_connections are left for reserved_users.");
    CHECK(logins.come(one, {.user = "postgres"}) == "");
    CHECK(logins.come(one, {.user = "postgres"}) == "too_many_connections");
}

TEST_CASE("admission: max_user_connections counts a user over all databases and listeners of one upstream") {
    Logins logins(limits(100));
    const config::Upstream two = upstream("orders", 2);
    const ListenerRoute here = route("here", two), there = route("there", two);
    const ListenerRoute elsewhere = route("here", upstream("stock", 2));
    CHECK(logins.come(here, {.database = "a"}) == "");
    CHECK(logins.come(there, {.database = "b"}) == "");
    CHECK(logins.come(here, {.database = "c"}) == "too_many_user_connections");
    CHECK(logins.told().sqlstate == "53300");
    CHECK(logins.told().message == "too many connections for role \"app\"");
    CHECK(logins.told().detail ==
          "max_user_connections of upstream \"orders\", to which listener \"here\" leads, is reached: 2.");
    CHECK(logins.told().hint == "Raise upstream.orders.max_user_connections.");
    CHECK(logins.come(here, {.user = "other"}) == "");
    CHECK(logins.come(elsewhere, {}) == "");
    logins.first_leaves();
    CHECK(logins.come(here, {}) == "");
}

TEST_CASE("admission: what is written behind the longest name that PostgreSQL takes makes no other user") {
    Logins logins(limits(100));
    const ListenerRoute one = route("one", upstream("orders", 1));
    const std::string longest(63, 'u');
    CHECK(logins.come(one, {.user = longest}) == "");
    CHECK(logins.come(one, {.user = longest + "x"}) == "too_many_user_connections");
    CHECK(logins.come(one, {.user = longest.substr(1)}) == "");
}

TEST_CASE("admission: max_db_connections counts a database over all users, and not where there is none") {
    Logins logins(limits(100));
    const ListenerRoute one = route("one", upstream("orders", 0, 1));
    CHECK(logins.come(one, {.user = "a"}) == "");
    CHECK(logins.come(one, {.user = "b"}) == "too_many_db_connections");
    CHECK(logins.told().message == "too many connections for database \"shop\"");
    CHECK(logins.told().hint == "Raise upstream.orders.max_db_connections.");
    CHECK(logins.come(one, {.user = "b", .database = "stock"}) == "");
    CHECK(logins.come(one, {.user = "replicator", .database = ""}) == "");
    CHECK(logins.come(one, {.user = "replicator", .database = ""}) == "");
}

TEST_CASE("admission: limits by user and database are not for reserved_users, who are counted") {
    Logins logins(limits(100));
    const ListenerRoute one = route("one", upstream("orders", 1, 2));
    CHECK(logins.come(one, {.user = "postgres"}) == "");
    CHECK(logins.come(one, {.user = "postgres"}) == "");
    CHECK(logins.come(one, {.user = "postgres"}) == "");
    CHECK(logins.come(one, {}) == "too_many_db_connections");
}

TEST_CASE("admission: what was let in without a limit counts once there is one") {
    Logins logins(limits(100));
    CHECK(logins.come(route(), {}) == "");
    CHECK(logins.come(route(), {}) == "");
    const ListenerRoute next = route("legacy", upstream("orders", 2));
    CHECK(logins.come(next, {}) == "too_many_user_connections");
    logins.all_leave();
    CHECK(logins.come(next, {}) == "");
}

TEST_CASE("admission: what another process serves counts by listener, user and database") {
    Logins before(limits(100)), after(limits(100));
    ListenerRoute one = route("one", upstream("orders", 2, 3));
    one.settings.max_connections = 4;
    CHECK(before.come(one, {.user = "a"}) == "");
    CHECK(before.come(one, {.user = "b"}) == "");
    after.take_over_from(before);
    CHECK(after.come(one, {.user = "a"}) == "");
    CHECK(after.come(one, {.user = "c"}) == "too_many_db_connections");
    CHECK(after.come(one, {.user = "a", .database = "stock"}) == "too_many_user_connections");
    CHECK(after.come(one, {.user = "c", .database = "stock"}) == "");
    CHECK(after.come(one, {.user = "d", .database = "stock"}) == "too_many_connections");
    before.all_leave();
    after.take_over_from(before);
    CHECK(after.come(one, {.user = "d", .database = "stock"}) == "");
}

TEST_CASE("admission: a refused login takes none of the places that it was not refused for") {
    Logins logins(limits(2));
    const ListenerRoute one = route("one", upstream("orders", 1));
    CHECK(logins.come(one, {}) == "");
    for (int i = 0; i < 10; ++i) CHECK(logins.come(one, {}) == "too_many_user_connections");
    CHECK(logins.come(one, {.user = "other"}) == "");
}

TEST_CASE("admission: login_rate_per_address is asked for by the StartupMessage, of addresses alone") {
    Logins logins(limits(1000));
    ListenerRoute one = route("one");
    one.settings.login_rate_per_address = 1;
    for (int i = 0; i < 5; ++i) CHECK(logins.come(one, {}) == "");
    CHECK(logins.come(one, {}) == "login_rate");
    CHECK(logins.told().sqlstate == "53300");
    CHECK(logins.told().detail == "login_rate_per_address of listener \"one\" is 1 a second.");
    CHECK(logins.come(one, {.user = "postgres"}) == "login_rate");  // nobody's name makes guessing quicker
    CHECK(logins.come(one, {.address = "10.0.0.2"}) == "");
    for (int i = 0; i < 20; ++i) CHECK(logins.come(one, {.address = ""}) == "");
    CHECK(logins.come(one, {.at = std::chrono::milliseconds(999)}) == "login_rate");
    CHECK(logins.come(one, {.at = std::chrono::milliseconds(1000)}) == "");
}

TEST_CASE("admission: who waits with a login takes none of the places before the login, and one of max_connections") {
    Admission admission;
    const config::Runtime most = limits(8, 0, 4);
    std::vector<Admission::Place> waiting;
    // So many of 8.
    for (unsigned i = 0; i < Admission::most_waiting(8); ++i) {
        auto answer = admission.ask(route(), most, tcp(i % 2 == 0 ? "10.0.0.1" : "10.0.0.4"));
        REQUIRE(answer);
        REQUIRE_FALSE(answer->rejection);
        CHECK(detail(answer->place).empty());
        CHECK(answer->place.wait());
        CHECK(answer->place.wait());  // again
        waiting.push_back(std::move(answer->place));
    }
    REQUIRE(waiting.size() == 6);
    CHECK(admission.served() == 6);
    CHECK_FALSE(admission.is_full(most));
    // One more is let in, may not wait, and has the place before the login that it had.
    auto other = admission.ask(route(), most, tcp("10.0.0.1"));
    REQUIRE_FALSE(other->rejection);
    CHECK(detail(other->place).empty());
    CHECK_FALSE(other->place.wait());
    CHECK(admission.served() == 7);
    Crowd crowd(admission, most);
    CHECK(crowd.come("10.0.0.2", 9) == 2);
    CHECK(crowd.come("10.0.0.3", 9) == 1);
    CHECK(admission.is_full(most));
    crowd.leave();
    // Whoever has waited in the end logs in, or leaves: another one may wait.
    waiting.back().logged_in();
    waiting.front().free();
    CHECK(admission.served() == 6);
    CHECK(other->place.wait());
    CHECK(crowd.come("10.0.0.2", 9) == 2);
    crowd.leave();
    other->place.free();
    waiting.clear();
    CHECK(admission.served() == 0);
    CHECK(admission.present() == 0);
    CHECK(crowd.come("10.0.0.1", 9) == 2);
}

TEST_CASE("admission: no address alone takes all places for waiting") {
    Admission admission;
    const config::Runtime most = limits(8);
    std::vector<Admission::Place> logins;
    const auto may_wait = [&](const Peer& peer) {
        logins.push_back(std::move(admission.ask(route(), most, peer)->place));
        CHECK(detail(logins.back()).empty());
        return logins.back().wait();
    };
    for (int i = 0; i < 3; ++i) CHECK(may_wait(tcp("10.0.0.1")));
    CHECK_FALSE(may_wait(tcp("10.0.0.1")));
    for (int i = 0; i < 3; ++i) CHECK(may_wait(i < 2 ? tcp("10.0.0.2") : unix_peer));
    CHECK_FALSE(may_wait(unix_peer));
}

}  // namespace
