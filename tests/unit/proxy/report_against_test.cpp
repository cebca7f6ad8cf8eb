#include "proxy/report/report_against.hpp"

#include "report_fixture.hpp"
#include "support/catch.hpp"

using namespace report_fixture;
using protocol::Readiness;
using protocol::Verifies;

namespace {

ReportClient in_clear(const std::string& name) {
    ReportClient out = client(name);
    out.plain = out.weak = true;
    out.row.plain = out.row.connections;
    return out;
}

ReportClient verifying(const std::string& name) {
    ReportClient out = client(name);
    out.verifies = Verifies::yes;
    return out;
}

/// By way of the document, as people keep it.
OlderReport older(const Report& report) { return parse_report(to_json(report)); }

Comparison compared(ReportClient then, ReportClient now) {
    return compare(report_of({std::move(now)}), older(report_of({std::move(then)})));
}

std::vector<std::string> users(const std::vector<Difference>& differences) {
    std::vector<std::string> out;
    for (const Difference& difference : differences) out.push_back(difference.client.who.usename);
    return out;
}

using Users = std::vector<std::string>;

}  // namespace

TEST_CASE("clients are new, worse, better or gone since an older report, and those that are as before are none") {
    const Report then = report_of({in_clear("repaired"), verifying("ruined"), client("left"), client("same")});
    const Report now = report_of({verifying("repaired"), in_clear("ruined"), client("came"), client("same")});
    const Comparison got = compare(now, older(then));
    CHECK(users(got.fresh) == Users{"came"});
    CHECK(users(got.worse) == Users{"ruined"});
    CHECK(users(got.better) == Users{"repaired"});
    CHECK(users(got.gone) == Users{"left"});
    REQUIRE(got.better.at(0).changes.size() == 2);
    CHECK(got.better[0].changes[0].what == "state");
    CHECK(got.better[0].changes[0].from == "in clear");
    CHECK(got.better[0].changes[0].to == "verifying");
    CHECK(got.caveats.empty());
}

TEST_CASE("states have an order, from clear text to verifying") {
    const auto with = [](bool plain, bool falls_back, bool mixed, Verifies verifies) {
        ReportClient out = client("app");
        out.plain = plain;
        out.falls_back = falls_back;
        out.mixed = mixed;
        out.verifies = verifies;
        return out;
    };
    const std::vector<ReportClient> worst_first{
        with(true, false, false, Verifies::no),       with(true, true, true, Verifies::no),
        with(true, false, true, Verifies::no),        with(false, false, false, Verifies::no),
        with(false, false, false, Verifies::unknown), with(false, false, false, Verifies::yes)};
    for (std::size_t i = 0; i < worst_first.size(); ++i) {
        CHECK(static_cast<std::size_t>(state_of(worst_first[i])) == i);
        for (std::size_t j = 0; j < worst_first.size(); ++j) {
            const Comparison got = compared(worst_first[i], worst_first[j]);
            CHECK(got.better.size() == (j > i ? 1 : 0));
            CHECK(got.worse.size() == (j < i ? 1 : 0));
        }
    }
}

TEST_CASE("one thing that became worse is not outweighed by another that became better") {
    ReportClient failing = verifying("app");
    failing.failing = true;
    CHECK(compared(in_clear("app"), failing).worse.size() == 1);
    CHECK(compared(failing, in_clear("app")).worse.size() == 1);
    CHECK(compared(failing, verifying("app")).better.size() == 1);

    ReportClient one = verifying("app"), other = verifying("app");
    one.breaks_on_force_ssl = Readiness::yes;
    one.breaks_on_ca_rotation = Readiness::no;
    other.breaks_on_force_ssl = Readiness::no;
    other.breaks_on_ca_rotation = Readiness::unknown;
    CHECK(compared(one, other).worse.size() == 1);
    CHECK(compared(other, one).worse.size() == 1);
    other.breaks_on_ca_rotation = Readiness::no;
    CHECK(compared(one, other).better.size() == 1);
    other = one;
    other.weak = true;  // an old TLS version
    CHECK(compared(one, other).worse.size() == 1);
}

TEST_CASE("a repaired client may break on the rotation, and is better all the same") {
    ReportClient repaired = verifying("app");
    repaired.breaks_on_ca_rotation = Readiness::yes;
    ReportClient before = in_clear("app");
    before.breaks_on_ca_rotation = Readiness::no;
    const Comparison got = compared(before, repaired);
    REQUIRE(got.better.size() == 1);
    CHECK(got.better[0].changes.at(1).what == "breaks_on_ca_rotation");
}

TEST_CASE("local clients of two hosts are two, and those over the network are one wherever they were seen") {
    const auto at_host = [](ReportClient local, const std::string& id) {
        local.row.who.client_addr = "127.0.0.1";
        local.row.who.seen_by = id;
        local.row.proxies = {id};
        return local;
    };
    Report then = report_of({at_host(in_clear("app"), "a1"), client("web")});
    Report now = report_of({at_host(in_clear("app"), "b2"), client("web")});
    now.clients[1].row.proxies = {"a1", "b2"};
    for (Report* each : {&then, &now}) each->proxies.push_back(proxy_named("b2", "app-2"));
    const Comparison got = compare(now, older(then));
    REQUIRE(got.fresh.size() == 1);
    CHECK(got.fresh[0].client.who.seen_by == "app-2");
    REQUIRE(got.gone.size() == 1);
    CHECK(got.gone[0].client.who.seen_by == "app-1");
}

TEST_CASE("a document of version 0.1 is compared by what it knew") {
    const OlderReport then = parse_report(
        R"({"summary": {"last_seen": "2024-10-04T00:00:00Z"}, "clients": [
            {"upstream": "orders", "client_addr": "127.0.0.1", "client_process": null, "client_uid": null,
             "usename": "app", "datname": "db", "application_name": "", "connections": 57, "plain": 53,
             "verifies": "unknown", "weak": true, "falls_back": false, "breaks_on_force_ssl": "unknown",
             "breaks_on_ca_rotation": "unknown", "action": "enable TLS"},
            {"upstream": "orders", "client_addr": "10.0.0.9", "client_process": null, "client_uid": null,
             "usename": null, "datname": null, "application_name": null, "connections": 0, "plain": 0,
             "verifies": "yes", "weak": false, "falls_back": false, "breaks_on_force_ssl": "no",
             "breaks_on_ca_rotation": "unknown", "action": "fix root certificate", "error": "unknown_ca"}], "upstream_certificates": []})");
    CHECK(then.last_seen == start);
    CHECK(then.clients.at(0).state == State::mixed);
    CHECK_FALSE(then.clients.at(0).failing);
    CHECK(then.clients.at(1).failing);
    ReportClient one = in_clear("app"), two = verifying("app");
    for (ReportClient* each : {&one, &two}) {
        each->row.who.client_addr = "127.0.0.1";
        each->row.who.client_uid = each == &one ? 1 : 2;
        each->row.who.seen_by = each == &one ? "a1" : "b2";
    }
    const Comparison got = compare(report_of({one, two}), then);
    CHECK(got.fresh.empty());
    REQUIRE(got.worse.size() == 1);
    CHECK(got.worse[0].client.state == State::in_clear);  // the worst of both
    REQUIRE(got.gone.size() == 1);
    CHECK_FALSE(got.gone[0].client.known);
    CHECK(got.caveats.size() == 1);
}

TEST_CASE("names that became one pattern are the same client") {
    ReportClient first = client("app"), second = client("app"), folded = in_clear("app");
    first.row.who.application_name = "CONN:17";
    second.row.who.application_name = "CONN:18";
    folded.row.who.application_name = "CONN:#";
    folded.row.names = {"CONN:17", "CONN:18", "CONN:19"};
    const Comparison got = compare(report_of({folded}), older(report_of({first, second})));
    CHECK(got.fresh.empty());
    CHECK(got.gone.empty());
    CHECK(got.worse.size() == 1);
    const Comparison back = compare(report_of({first, second}), older(report_of({folded})));
    CHECK(back.fresh.empty());
    CHECK(back.gone.empty());
    CHECK(back.better.size() == 1);
}

TEST_CASE("what makes two reports hard to compare is said") {
    Report then = report_of({client("app")});
    then.filter.usename = "app";
    then.summary.incomplete = {"events dropped"};
    Report now = report_of({client("app")});
    now.summary.silent_proxies = 1;
    const Comparison got = compare(now, older(then));
    REQUIRE(got.caveats.size() == 3);
    CHECK(got.caveats[0] == "the older report is about others: it covers --user app, this one everything");
}

TEST_CASE("what is no report is refused, whatever else it is") {
    for (const char* text :
         {"", "{", "[]", "{}", R"({"summary": {}})", R"({"summary": 1, "clients": []})",
          R"({"summary": {}, "clients": [1]})", R"({"summary": {}, "clients": [{}]})",
          R"({"summary": {}, "clients": [{"usename": 1}]})", R"({"summary": {"incomplete": 1}, "clients": []})",
          R"({"summary": {"filters": {"user": 1}}, "clients": []})",
          R"({"summary": {}, "clients": [{"usename": "a", "names": {"examples": 1}}]})"}) {
        INFO(text);
        CHECK_THROWS_AS(parse_report(text), std::runtime_error);
    }
    CHECK(parse_report(R"({"summary": {}, "clients": []})").clients.empty());
}

TEST_CASE("a comparison in JSON has who and what changed") {
    Report report = report_of({client("app")});
    report.against = compared(in_clear("app"), verifying("app"));
    const std::string json = to_json(report);
    CHECK(has(json, R"("against":{"until":)"));
    CHECK(has(json, R"("new":[],"worse":[],"better":[{"host":null,"upstream":"orders","client_addr":"10.0.0.1")"));
    CHECK(has(json, R"("changes":[{"what":"state","from":"in clear","to":"verifying"},)"));
    CHECK_FALSE(has(to_json(report_of({client("app")})), "\"against\""));
}

TEST_CASE("reports of other times and other proxies are compared with a warning") {
    const auto caveats = [](const Report& then, const Report& now) { return compare(now, older(then)).caveats; };
    const auto warned = [](const std::vector<std::string>& all, std::string_view part) {
        return all.size() == 1 && has(all[0], part);
    };
    const Report whole = report_of({client("app")});
    Report recent = whole;
    recent.filter.since = start - hour;
    CHECK(caveats(recent, recent).empty());
    CHECK(warned(caveats(whole, recent), "who is gone may only have been quiet"));
    CHECK(warned(caveats(recent, whole), "who is new may have been there before"));

    Report later = whole, ended = whole;
    later.summary.last_seen = start + day;
    ended.filter.until = start + hour;
    CHECK(warned(caveats(later, ended), "ends before the older one"));
    CHECK(caveats(whole, ended).empty());

    Report two = whole;
    two.proxies.push_back(proxy_named("b2", "app-2"));
    CHECK(warned(caveats(two, whole), "this report does not know app-2"));
    CHECK(warned(caveats(whole, two), "the older report did not know app-2"));
}
