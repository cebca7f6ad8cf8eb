// All alerts together: what a reload prepares, and cannot.
#include "proxy/alert/alerts.hpp"

#include <csignal>
#include <thread>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Alerts;
using Routes = std::vector<std::shared_ptr<const proxy::AlertRoute>>;

std::shared_ptr<const proxy::AlertRoute> route_named(const std::string& name) {
    auto route = std::make_shared<proxy::AlertRoute>();
    route->settings.name = name;
    route->settings.on = {config::AlertKind::reload_failed};
    route->settings.command = {"/bin/true"};
    route->settings.group_wait = 0s;
    return route;
}

}  // namespace

TEST_CASE("alerts: where a reload finds no memory for an alert, those that there are go on") {
    std::signal(SIGPIPE, SIG_IGN);  // a program may read nothing
    const support::Folder folder;
    Alerts alerts(folder.file("alerts"), "here");
    const Routes before{route_named("page")}, after{route_named("page"), route_named("chat"), route_named("mail")};
    alerts.use(before, alerts.prepare(before));
    std::size_t allocations = 0;
    for (bool failed = true; failed; ++allocations) {
        const support::NoMemory without(allocations);
        try {
            const Alerts::Prepared fresh = alerts.prepare(after);
            CHECK(fresh.size() == 2);
            failed = false;
        } catch (const std::exception&) {
            failed = true;
        }
        if (without.failed() != failed) FAIL("what failed was not told");
    }
    CHECK(allocations > 5);
    const auto numbers = alerts.numbers();  // also prepared and not used: as if it had not been
    REQUIRE(numbers.size() == 1);
    CHECK(numbers.contains("page"));
    alerts.notice({.kind = proxy::EventKind::reload_failed, .message = "no"});
    for (int tries = 0; tries < 3'000 && alerts.numbers().at("page").sent == 0; ++tries)
        std::this_thread::sleep_for(10ms);
    CHECK(alerts.numbers().at("page").sent == 1);
}
