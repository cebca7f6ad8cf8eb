#include "protocol/host_role.hpp"

#include <string>

#include "support/catch.hpp"

using namespace std::string_literals;
using protocol::HostRole;

namespace {

HostRole told(const std::string& body) { return protocol::told_role(protocol::as_bytes(body)); }

}  // namespace

TEST_CASE("in_hot_standby is a server's role, and no other word is taken for one") {
    CHECK(told("in_hot_standby\0off\0"s) == HostRole::primary);
    CHECK(told("in_hot_standby\0on\0"s) == HostRole::standby);
    CHECK(told("in_hot_standby\0ON\0"s) == HostRole::unknown);
    CHECK(told("in_hot_standby\0\0"s) == HostRole::unknown);
    CHECK(told("IN_HOT_STANDBY\0on\0"s) == HostRole::unknown);
    CHECK(told("default_transaction_read_only\0on\0"s) == HostRole::unknown);
    CHECK(told("server_version\0on\0"s) == HostRole::unknown);
}

TEST_CASE("a ParameterStatus that is cut anywhere says nothing of a role") {
    const std::string whole = "in_hot_standby\0on\0"s;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK(told(whole.substr(0, size)) == HostRole::unknown);
    }
}

TEST_CASE("roles have names") {
    CHECK(protocol::to_string(HostRole::primary) == "primary");
    CHECK(protocol::to_string(HostRole::standby) == "standby");
    CHECK(protocol::to_string(HostRole::unknown) == "unknown");
}
