#include "proxy/server/several_primaries.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::HostRole;
using proxy::HostRoles;
using proxy::RoleSource;

const HostRoles::TimePoint roles_learnt{100s};
const HostRoles::Server old_primary{.upstream = "orders", .host = "a.internal:5432", .address = "10.0.0.1:5432"};
const HostRoles::Server new_primary{.upstream = "orders", .host = "b.internal:5432", .address = "10.0.0.2:5432"};

/// How many lines the log gets of this look.
std::size_t lines_of_a_look(proxy::SeveralPrimaries& primaries, const HostRoles& roles) {
    return primaries.look(roles.all(), {"orders"}).size();
}

void learn_role(HostRoles& roles, const HostRoles::Server& server, HostRole role) {
    roles.learn(server, role, RoleSource::monitor, roles_learnt);
}

}  // namespace

TEST_CASE("an old primary that comes back as one is told of once, when it lasts") {
    HostRoles roles;
    proxy::SeveralPrimaries primaries;
    learn_role(roles, old_primary, HostRole::primary);
    learn_role(roles, new_primary, HostRole::standby);
    CHECK(lines_of_a_look(primaries, roles) == 0);
    // A failover: whether the old one still is a primary is in doubt until it is seen.
    roles.doubt(old_primary, RoleSource::outage);
    learn_role(roles, new_primary, HostRole::primary);
    for (int look = 0; look < 3; ++look) CHECK(lines_of_a_look(primaries, roles) == 0);
    learn_role(roles, old_primary, HostRole::primary);
    CHECK(lines_of_a_look(primaries, roles) == 0);
    const auto told = primaries.look(roles.all(), {"orders"});
    REQUIRE(told.size() == 1);
    CHECK(told[0].find("upstream \"orders\" has 2 primaries: a.internal:5432 (10.0.0.1:5432), "
                       "b.internal:5432 (10.0.0.2:5432): ") == 0);
    CHECK(lines_of_a_look(primaries, roles) == 0);
    // It was mended, and happens again.
    learn_role(roles, old_primary, HostRole::standby);
    CHECK(lines_of_a_look(primaries, roles) == 0);
    learn_role(roles, old_primary, HostRole::primary);
    learn_role(roles, new_primary, HostRole::primary);
    CHECK(lines_of_a_look(primaries, roles) == 0);
    CHECK(lines_of_a_look(primaries, roles) == 1);
}

TEST_CASE("addresses of one host, and upstreams that want any server, are no several primaries") {
    HostRoles roles;
    proxy::SeveralPrimaries primaries;
    HostRoles::Server again = old_primary;
    again.address = "[2001:db8::1]:5432";
    HostRoles::Server foreign = new_primary;
    foreign.upstream = "stock";
    for (int look = 0; look < 3; ++look) {
        for (const auto& server : {old_primary, again, foreign}) learn_role(roles, server, HostRole::primary);
        CHECK(lines_of_a_look(primaries, roles) == 0);
    }
    learn_role(roles, new_primary, HostRole::primary);
    learn_role(roles, old_primary, HostRole::primary);
    CHECK(primaries.look(roles.all(), {"stock"}).empty());
    CHECK(primaries.look(roles.all(), {"stock"}).empty());
}
