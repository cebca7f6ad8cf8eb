#include "config/discovery.hpp"

#include "config/load.hpp"
#include "support/catch.hpp"

namespace {

using config::discovery_domain;
using config::instance_domain;
using config::instance_name;

std::vector<config::Address> hosts(std::initializer_list<const char*> names) {
    std::vector<config::Address> all;
    for (const char* const name : names) all.push_back(config::parse_address(name).value());
    return all;
}

constexpr const char* endpoint = "orders.cluster-abc123.eu-west-1.rds.amazonaws.com:5432";
constexpr const char* of_pattern =
    "is not of the form \"?.db.example.com\": \"?\" stands for the instance, as the first label";
constexpr const char* elsewhere =
    "is not within the domain of any of hosts: a server must not send clients anywhere else";

std::vector<std::string> said(const std::vector<config::Diagnostic>& all) {
    std::vector<std::string> texts;
    for (const config::Diagnostic& one : all) texts.push_back(one.origin.key + ": " + one.message);
    return texts;
}

using Lines = std::vector<std::string>;

config::Loaded load(const std::string& keys) {
    return config::load_text("[upstream.a]\nhosts = '" + std::string(endpoint) + "'\n" + keys, "t");
}

}  // namespace

TEST_CASE("discovery: instances of a cluster are beside its endpoints, as Amazon names them") {
    const std::string domain = "abc123.eu-west-1.rds.amazonaws.com";
    for (const char* name :
         {"orders.cluster-abc123.eu-west-1.rds.amazonaws.com", "orders.cluster-ro-abc123.eu-west-1.rds.amazonaws.com",
          "some.cluster-custom-abc123.eu-west-1.rds.amazonaws.com", "orders-1.abc123.eu-west-1.rds.amazonaws.com",
          "ORDERS-1.Abc123.eu-west-1.RDS.amazonaws.com."}) {
        CAPTURE(name);
        CHECK(instance_domain(name) == domain);
    }
    CHECK(instance_domain("orders.cluster-abc123.cn-north-1.rds.amazonaws.com.cn") ==
          "abc123.cn-north-1.rds.amazonaws.com.cn");
    CHECK(instance_domain("orders.cluster-abc123.rds.cn-north-1.amazonaws.com.cn") ==
          "abc123.rds.cn-north-1.amazonaws.com.cn");
}

TEST_CASE("discovery: what only looks like one of Amazon's names is none") {
    for (const char* name :
         {"db.example.com", "localhost", "10.0.0.1", "",
          "orders.proxy-abc123.eu-west-1.rds.amazonaws.com",  // no instance has such a name
          "orders.shardgrp-abc123.eu-west-1.rds.amazonaws.com", "abc123.eu-west-1.rds.amazonaws.com",
          "a.orders.cluster-abc123.eu-west-1.rds.amazonaws.com", "orders.cluster-.eu-west-1.rds.amazonaws.com",
          "orders.abc123.eu-west-1.rds.amazonaws.com.evil.example", "orders.abc123.eu-west-1.rds.amazonaws.comx",
          "orders.abc123.evil.eu-west-1.rds.amazonaws.com", "orders.abc123.eu-west-1rds.amazonaws.com",
          "orders.abc123.rds.amazonaws.com"}) {
        CAPTURE(name);
        CHECK_FALSE(instance_domain(name).has_value());
    }
}

TEST_CASE("discovery: one of the hosts names the domain, and two domains are none") {
    CHECK(discovery_domain(hosts({"10.0.0.1:5432", "unix:/run/x.s", endpoint}), "").domain ==
          "abc123.eu-west-1.rds.amazonaws.com");
    CHECK(discovery_domain(hosts({endpoint, "orders.cluster-ro-abc123.eu-west-1.rds.amazonaws.com:5433"}), "")
              .error.empty());
    CHECK(discovery_domain(hosts({"db.example.com:5432"}), "").error ==
          "needs a name that Amazon RDS has given in hosts, such as "
          "\"orders.cluster-abc123.eu-west-1.rds.amazonaws.com:5432\", or discover_pattern");
    const auto two = discovery_domain(hosts({endpoint, "orders.cluster-xyz9.eu-west-1.rds.amazonaws.com:5432"}), "");
    CHECK(two.domain.empty());
    CHECK(two.error ==
          "finds hosts of two domains: \"abc123.eu-west-1.rds.amazonaws.com\" and "
          "\"xyz9.eu-west-1.rds.amazonaws.com\". Give discover_pattern, or an upstream to each");
}

TEST_CASE("discovery: a pattern stays within the domain of a configured name") {
    const auto configured = hosts({"orders.db.example.com:5432", endpoint});
    CHECK(discovery_domain(configured, "?.db.example.com").domain == "db.example.com");
    CHECK(discovery_domain(configured, "?.Nodes.DB.example.com.").domain == "nodes.db.example.com");
    CHECK(discovery_domain(configured, "?.abc123.eu-west-1.rds.amazonaws.com").domain ==
          "abc123.eu-west-1.rds.amazonaws.com");
    for (const char* pattern : {"?.example.com", "?.evil.example", "?.xdb.example.com", "?.eu-west-1.rds.amazonaws.com",
                                "?.xyz9.eu-west-1.rds.amazonaws.com", "?.rds.amazonaws.com"}) {
        CAPTURE(pattern);
        const auto found = discovery_domain(configured, pattern);
        CHECK(found.domain.empty());
        CHECK(found.error == elsewhere);
        CHECK(found.of_pattern);
    }
    for (const char* pattern : {"db.example.com", "?", "?.", "?.com", "x?.db.example.com", "?.?.db.example.com",
                                "?.db..example.com", "?.db.example.com:5432", "?.10.0.0.1", "?.db.example.com/x"}) {
        CAPTURE(pattern);
        CHECK(discovery_domain(configured, pattern).error == of_pattern);
    }
    // The domain of a name of two labels is a whole zone of the root.
    CHECK(discovery_domain(hosts({"example.com:5432"}), "?.other.com").error == elsewhere);
    CHECK(discovery_domain(hosts({"10.0.0.1:5432", "unix:/run/x.s"}), "?.db.example.com").error == elsewhere);
}

TEST_CASE("discovery: an id that is no label of DNS names no host") {
    CHECK(instance_name("orders-1", "db.example.com") == "orders-1.db.example.com");
    for (const std::string& id :
         {std::string(), std::string("a.b"), std::string("Orders"), std::string("-a"), std::string("a-"),
          std::string("a_b"), std::string("a b"), std::string("evil.example/"), std::string("a\0b", 3),
          std::string("\xc3\xbc"), std::string("a:5432"), std::string(64, 'a')}) {
        CAPTURE(id);
        CHECK_FALSE(instance_name(id, "db.example.com").has_value());
    }
    CHECK(instance_name(std::string(63, 'a'), "db.example.com").has_value());
    std::string longest = "a";
    while (longest.size() < 240) longest += ".a";
    CHECK_FALSE(instance_name(std::string(63, 'a'), longest).has_value());
}

TEST_CASE("config: hosts are found by a monitor, by their own names") {
    const std::string monitor = "monitor_user = 'm'\ntarget_session_attrs = 'primary'\n";
    CHECK(load(monitor + "discover = true").errors.empty());
    CHECK(said(load(monitor + "discover = true").warnings).empty());
    CHECK(said(load("discover = true\ntarget_session_attrs = 'primary'").errors) ==
          Lines{"upstream.a.discover: needs monitor_user: it is the monitor that finds hosts"});
    CHECK(said(load(monitor + "discover = true\nssl_server_name = 'db.example.com'").errors) ==
          Lines{"upstream.a.ssl_server_name: is one name for all hosts, and those that are found are verified by their "
                "own: leave it out, or discover"});
    CHECK(said(load(monitor + "discover = true\ndiscover_pattern = '?.evil.example'").errors) ==
          Lines{std::string("upstream.a.discover_pattern: ") + elsewhere});
    CHECK(said(load(monitor + "discover_pattern = '?.evil.example'").warnings) ==
          Lines{"upstream.a.discover_pattern: has no effect without discover = true"});
    CHECK(said(load("monitor_user = 'm'\ndiscover = true").warnings) ==
          Lines{"upstream.a.discover: with target_session_attrs = \"any\" leads clients to any instance, readers too, "
                "while those in hosts do not serve"});
    CHECK(config::load_text("[upstream.a]\nhosts = 'db.example.com'\n" + monitor + "discover = true", "t")
              .errors.size() == 1);
}
