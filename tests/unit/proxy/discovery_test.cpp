#include "proxy/upstream/discovery.hpp"

#include "config/load.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Discovery;
using Instances = std::vector<protocol::AuroraInstance>;
using Names = std::vector<std::string>;

constexpr const char* cluster = "orders.cluster-abc.eu-west-1.rds.amazonaws.com:5432";
constexpr const char* domain = "abc.eu-west-1.rds.amazonaws.com";

std::string host(const std::string& id, int port = 5432) { return id + "." + domain + ":" + std::to_string(port); }

Instances instances(std::initializer_list<const char*> ids) {
    Instances all;
    for (const char* const id : ids) all.push_back({.id = id});
    return all;
}

Names names(const std::vector<config::Address>& all) {
    Names found;
    for (const config::Address& one : all) found.push_back(config::to_string(one));
    return found;
}

/// A cluster whose writer's endpoint is configured.
struct Found {
    Discovery discovery{domain, {config::parse_address(cluster).value()}};
    Discovery::TimePoint now = Discovery::TimePoint() + 1h;
    std::vector<Discovery::Answer> answers;

    Discovery::Answer& answer(const std::string& asked, const std::string& address, const std::string& id,
                              const Instances& all, bool writer = false) {
        answers.push_back({.host = asked, .address = address, .writer = writer, .instance = id, .cluster = all});
        return answers.back();
    }
    void take() {
        discovery.take(answers, now);
        answers.clear();
    }
    Names known() const { return names(discovery.known()); }
    Names used() const { return names(discovery.confirmed()); }
};

const Instances both = instances({"orders-1", "orders-2"});
const Instances second = instances({"orders-2"});

}  // namespace

TEST_CASE("discovery: a host is used once it has said that it is that instance, and a neighbour of who told",
          "[discovery]") {
    Found found;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
    found.take();
    CHECK(found.known() == Names{host("orders-1"), host("orders-2")});
    CHECK(found.used().empty());

    // The configured name has led to the first one already, and it is asked once.
    found.discovery.resolved(host("orders-1"), {"10.0.0.1:5432"});
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});
    found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
    found.take();
    CHECK(found.used() == Names{host("orders-1")});

    SECTION("it says so") {
        found.answer(host("orders-2"), "10.0.0.2:5432", "orders-2", both);
        found.take();
        CHECK(found.used() == Names{host("orders-1"), host("orders-2")});
        // Whoever does not answer is not another one.
        found.take();
        CHECK(found.used() == Names{host("orders-1"), host("orders-2")});
        // The address is another's now.
        found.answer(host("orders-2"), "10.0.0.2:5432", "orders-3", both);
        found.take();
        CHECK(found.used() == Names{host("orders-1")});
    }
    SECTION("it is another instance") {
        found.answer(host("orders-2"), "10.0.0.2:5432", "billing-1", both);
        found.take();
        CHECK(found.used() == Names{host("orders-1")});
    }
    SECTION("it is of another cluster, which does not have the one that told of it") {
        found.answer(host("orders-2"), "10.0.0.2:5432", "orders-2", second);
        found.take();
        CHECK(found.used() == Names{host("orders-1")});
    }
    SECTION("it is no Aurora") {
        found.answer(host("orders-2"), "10.0.0.2:5432", "", {}, true);
        found.take();
        CHECK(found.used() == Names{host("orders-1")});
    }
}

TEST_CASE("discovery: writers are believed, and readers where no writer answers", "[discovery]") {
    Found found;
    const Instances stale = instances({"orders-1", "orders-9"});
    found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
    found.answer("reader:5432", "10.0.0.2:5432", "orders-2", stale);
    found.take();
    CHECK(found.known() == Names{host("orders-1"), host("orders-2")});
    found.answer("reader:5432", "10.0.0.2:5432", "orders-2", stale);
    found.take();
    CHECK(found.known() == Names{host("orders-1"), host("orders-2"), host("orders-9")});
}

TEST_CASE("discovery: a host that is only to be looked at tells of no others", "[discovery]") {
    Found found;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
    found.take();
    const Instances more = instances({"billing-1", "billing-2"});
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});
    found.answer(host("orders-2"), "10.0.0.2:5432", "billing-1", more, true);
    found.take();
    CHECK(found.known() == Names{host("orders-1"), host("orders-2")});
    CHECK(found.used().empty());
}

TEST_CASE("discovery: what a server says is a label below the domain, or nothing", "[discovery]") {
    Found found;
    const Instances hostile = instances({"evil.example", "Orders", "a/b", "orders-2", "", "-", "*"});
    found.answer(cluster, "10.0.0.1:5432", "orders-1", hostile, true);
    found.take();
    CHECK(found.known() == Names{host("orders-2")});
    // And who does not say which one it is tells nothing.
    Found nameless;
    nameless.answer(cluster, "10.0.0.1:5432", "", both, true);
    nameless.take();
    CHECK(nameless.known().empty());
}

TEST_CASE("discovery: a host that nobody tells of any more leaves after 300 s", "[discovery]") {
    Found found;
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});  // not found yet: of no effect
    found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
    found.take();
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});
    found.answer(host("orders-2"), "10.0.0.2:5432", "orders-2", both);
    found.take();
    REQUIRE(found.used() == Names{host("orders-2")});
    const Instances first = instances({"orders-1"});
    found.now += 299s;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", first, true);
    found.take();
    CHECK(found.used() == Names{host("orders-2")});
    found.now += 1s;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", first, true);
    found.take();
    CHECK(found.known() == Names{host("orders-1")});
    // Where those that answer tell of nobody, all of them do.
    found.now += 300s;
    found.answer(cluster, "10.0.0.1:5432", "", {});
    found.take();
    CHECK(found.known().empty());
}

TEST_CASE("discovery: hosts stay while no server answers us, however long that is", "[discovery]") {
    Found found;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
    found.take();
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});
    found.answer(host("orders-2"), "10.0.0.2:5432", "orders-2", both);
    found.take();
    REQUIRE(found.used() == Names{host("orders-2")});
    for (int round = 0; round < 100; ++round) {
        found.now += 30s;
        found.take();
    }
    CHECK(found.used() == Names{host("orders-2")});
    // What counts before and after it counts together.
    const Instances first = instances({"orders-1"});
    found.now += 299s;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", first, true);
    found.take();
    CHECK(found.used() == Names{host("orders-2")});
    found.now += 1s;
    found.answer(cluster, "10.0.0.1:5432", "orders-1", first, true);
    found.take();
    CHECK(found.used().empty());
}

TEST_CASE("discovery: hosts that are configured are not found, and of others there are not too many", "[discovery]") {
    Discovery one(domain, {config::parse_address("ORDERS-1.abc.eu-west-1.rds.amazonaws.com:6000").value(),
                           config::parse_address("unix:/run/s").value()});
    std::vector<Discovery::Answer> answers{{.host = "x:1",
                                            .port = 6543,
                                            .address = "10.0.0.1:6543",
                                            .writer = true,
                                            .instance = "orders-1",
                                            .cluster = both}};
    one.take(answers, {});
    CHECK(names(one.known()) == Names{host("orders-2", 6543)});

    Instances many;
    for (int i = 0; i < 100; ++i) many.push_back({.id = "n-" + std::to_string(i)});
    answers[0].cluster = many;
    one.take(answers, {});
    CHECK(one.known().size() == Discovery::max_hosts);
    CHECK(one.knows(host("orders-2", 6543)));
}

TEST_CASE("discovery: a host that is refused is not used until it has another address and says anew who it is",
          "[discovery]") {
    Found found;
    const auto answer = [&] {
        found.answer(cluster, "10.0.0.1:5432", "orders-1", both, true);
        found.answer(host("orders-2"), "10.0.0.2:5432", "orders-2", both);
        found.take();
    };
    answer();
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});
    answer();
    REQUIRE(found.used() == Names{host("orders-2")});
    found.discovery.refuse(host("orders-2"));
    answer();
    CHECK(found.used().empty());
    CHECK(found.known() == Names{host("orders-1"), host("orders-2")});
    found.discovery.resolved(host("orders-2"), {"10.0.0.2:5432"});
    answer();
    CHECK(found.used() == Names{host("orders-2")});
}
