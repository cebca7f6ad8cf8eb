#include "proxy/report/report_silent.hpp"

#include "proxy/dashboard/warning.hpp"
#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace report_fixture;

namespace {

/// app-1 is there; silent-1 was heard of three days ago, silent-2 four days ago, and so on.
Report with_silent(int count) {
    Report report = report_of({client("app")});
    for (int i = 1; i <= count; ++i)
        report.proxies.push_back(proxy_named("s" + std::to_string(i), "silent-" + std::to_string(i), (i + 2) * day));
    report.summary.silent_proxies = static_cast<std::uint64_t>(count);
    return report;
}

}  // namespace

TEST_CASE("a report names all silent proxies while they are few") {
    CHECK(silent_proxies(with_silent(0)).named.empty());
    const Report report = with_silent(10);
    const SilentProxies ten = silent_proxies(report);
    REQUIRE(ten.named.size() == 10);
    CHECK(ten.named.front()->name == "silent-1");
    CHECK(ten.others == 0);
    CHECK_FALSE(has(table(report), "others"));
}

TEST_CASE("of many silent proxies a report names those that fell silent last, in its order") {
    Report report = with_silent(1'000);
    report.proxies[1].silent = 2'000 * day;
    const SilentProxies silent = silent_proxies(report);
    CHECK(silent.others == 990);
    REQUIRE(silent.named.size() == 10);
    CHECK(silent.named.front()->name == "silent-2");
    CHECK(silent.named.back()->name == "silent-11");
}

TEST_CASE("silent proxies that were not asked for are not named") {
    Report report = with_silent(12);
    for (std::size_t i = 1; i <= 3; ++i) report.proxies[i].asked_for = false;
    const SilentProxies silent = silent_proxies(report);
    CHECK(silent.named.size() == 9);
    CHECK(silent.others == 0);
}

TEST_CASE("the table, the page and the dashboard stay short when a thousand proxies are silent") {
    const Report report = with_silent(1'000);
    const std::string text = table(report, 10'000);
    CHECK(text.starts_with("1001 proxies, 1000 silent: silent-1 for 3 days, silent-2 for 4 days, "));
    CHECK(has(text, "silent-10 for 12 days, and 990 others for longer\n"));
    CHECK_FALSE(has(text, "silent-11"));
    const std::string page = to_html(report, start);
    CHECK(has(page, "silent-10 is silent for 12 days."));
    CHECK(has(page, "990 other proxies are silent for longer."));
    CHECK_FALSE(has(page, "silent-11"));
    const auto warnings = dashboard::warnings_of(report, dashboard::to_time(start), std::chrono::hours(1));
    REQUIRE(warnings.size() == 11);
    CHECK(warnings.back().what == "proxy_silent");
    CHECK(warnings.back().critical);
    CHECK(warnings.back().text == "990 other proxies have not been heard of for longer");
}
