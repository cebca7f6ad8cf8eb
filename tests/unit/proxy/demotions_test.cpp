#include "proxy/server/demotions.hpp"

#include "support/catch.hpp"

using namespace proxy;
using config::TargetSessionAttrs;
using protocol::HostRole;

namespace {

const std::string address = "10.0.0.1:5432";

config::Upstream upstream(TargetSessionAttrs wanted) {
    config::Upstream made;
    made.name = "orders";
    made.target_session_attrs = wanted;
    return made;
}

MonitoredHost host(bool in_recovery, bool read_only) {
    MonitoredHost made;
    made.upstream = "orders";
    made.address = address;
    made.state = protocol::HostState{.in_recovery = in_recovery, .read_only = read_only, .is_aurora = false};
    return made;
}

bool is_demoted(TargetSessionAttrs wanted, const HostRoles::Known& known, const std::vector<MonitoredHost>& monitored) {
    const auto demoted = demoted_hosts(upstream(wanted), {{address, known}}, monitored);
    CHECK(demoted.size() <= 1);
    return demoted.contains({"orders", address});
}

}  // namespace

TEST_CASE("a standby's sessions are to go, when the server itself has said so") {
    for (const auto wanted : {TargetSessionAttrs::read_write, TargetSessionAttrs::primary}) {
        CHECK(is_demoted(wanted, {.role = HostRole::standby, .source = RoleSource::monitor}, {}));
        CHECK(is_demoted(wanted, {.role = HostRole::standby, .source = RoleSource::login}, {}));
        CHECK_FALSE(is_demoted(wanted, {.role = HostRole::standby, .source = RoleSource::certificate}, {}));
        CHECK_FALSE(is_demoted(wanted, {.role = HostRole::standby, .source = RoleSource::ending}, {}));
        CHECK_FALSE(
            is_demoted(wanted, {.role = HostRole::standby, .doubtful = true, .source = RoleSource::monitor}, {}));
        CHECK_FALSE(is_demoted(wanted, {.role = HostRole::primary, .source = RoleSource::monitor}, {}));
        CHECK_FALSE(
            is_demoted(wanted, {.role = HostRole::primary, .doubtful = true, .source = RoleSource::ending}, {}));
        CHECK_FALSE(is_demoted(wanted, {}, {}));
    }
}

TEST_CASE("sessions that want to write leave a primary that is read-only as a whole, and others stay") {
    const HostRoles::Known primary{.role = HostRole::primary, .source = RoleSource::monitor};
    CHECK(is_demoted(TargetSessionAttrs::read_write, primary, {host(false, true)}));
    CHECK_FALSE(is_demoted(TargetSessionAttrs::read_write, primary, {host(false, false)}));
    CHECK_FALSE(is_demoted(TargetSessionAttrs::primary, primary, {host(false, true)}));
    MonitoredHost silent = host(false, true);
    silent.error = "timeout expired";
    CHECK_FALSE(is_demoted(TargetSessionAttrs::read_write, primary, {silent}));
    MonitoredHost never_answered = host(false, true);
    never_answered.state.reset();
    CHECK_FALSE(is_demoted(TargetSessionAttrs::read_write, primary, {never_answered}));
    MonitoredHost of_another = host(false, true);
    of_another.upstream = "archive";
    CHECK_FALSE(is_demoted(TargetSessionAttrs::read_write, primary, {of_another}));
}
