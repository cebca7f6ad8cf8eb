// Alerts without a network: words, forms, groups, and what is kept on the disk.
#include <sys/resource.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <csignal>
#include <fstream>

#include "config/keys.hpp"
#include "proxy/alert/alert_groups.hpp"
#include "proxy/alert/alert_queue.hpp"
#include "proxy/alert/alert_spool.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

namespace {

using namespace std::chrono_literals;
using config::AlertKind;
using proxy::AlertGroups;
using proxy::AlertMessage;
using proxy::AlertRoute;
using proxy::AlertSpool;
using proxy::AlertStatus;
using proxy::AlertTemplate;
using proxy::Event;
using proxy::EventKind;

const std::string hostile = "\"}],\\ <!channel> ```*\x1b[2J\n&";

Event weak_client(const std::string& user) {
    Event event{.kind = EventKind::new_weak_client};
    event.record.session = "s-1";
    event.record.listener = "legacy";
    event.record.upstream = "orders";
    event.record.client_addr = "10.0.0.7";
    event.record.usename = user;
    event.record.datname = "shop";
    return event;
}

AlertMessage message_of(const std::string& user) {
    AlertMessage message{.id = "id-1", .kind = AlertKind::new_weak_client, .upstream = "orders"};
    const Event event = weak_client(user);
    message.add(alert_line(message.kind, event), event.time, [] { return std::string(R"({"event":"x"})"); });
    return message;
}

AlertRoute route_with(const std::string& own_form) {
    AlertRoute route;
    route.settings.name = "page";
    if (!own_form.empty()) route.own_form = AlertTemplate(own_form);
    return route;
}

config::Alert settings_for(std::vector<AlertKind> kinds) {
    config::Alert settings;
    settings.on = std::move(kinds);
    settings.group_wait = 5s;
    settings.group_interval = 60s;
    return settings;
}

struct Groups : AlertGroups {
    Groups() : AlertGroups([next = 0]() mutable { return "id-" + std::to_string(++next); }) {}
};

}  // namespace

TEST_CASE("alerts: our own form is JSON whatever clients call themselves") {
    const std::string body = alert_body(message_of(hostile), route_with(""), "host \"a\"");
    const auto json = boost::json::parse(body).as_object();
    CHECK(json.at("kind") == "new_weak_client");
    CHECK(json.at("status") == "firing");
    CHECK(json.at("title") == "a new weak client (upstream orders)");
    CHECK(json.at("count") == 1);
    CHECK(json.at("proxy") == "host \"a\"");
    CHECK(json.at("events").as_array().size() == 1);
    const std::string text(json.at("text").as_string());
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find('\n') == std::string::npos);  // nobody adds a line
}

TEST_CASE("alerts: in Slack's form no name mentions a channel or becomes a link") {
    AlertRoute route = route_with("");
    route.settings.form = config::AlertTemplate::slack;
    const auto json = boost::json::parse(alert_body(message_of(hostile), route, "here")).as_object();
    REQUIRE(json.size() == 1);
    const std::string text(json.at("text").as_string());
    CHECK(text.find_first_of("<>") == std::string::npos);
    CHECK(text.find("&lt;!channel&gt;") != std::string::npos);
    CHECK(text.starts_with("*[FIRING] here: a new weak client (upstream orders)*\n```"));
    // One block, which no name ends: nothing in it is bold, or a link.
    CHECK(std::count(text.begin(), text.end(), '`') == 6);
    CHECK(text.ends_with("```\n" + tls::to_rfc3339(message_of(hostile).first_at)));
}

TEST_CASE("alerts: Slack is told how long it took to come together, and of nobody where there is no name") {
    AlertRoute route = route_with("");
    route.settings.form = config::AlertTemplate::slack;
    AlertMessage message = message_of("a");
    message.first_at = AlertMessage::Time(std::chrono::seconds(1'764'000'000));
    message.last_at = message.first_at + 4s;
    CHECK(
        boost::json::parse(alert_body(message, route, "")).at("text") ==
        "*[FIRING] a new weak client (upstream orders)*\n```a@shop from 10.0.0.7 at listener legacy, in clear text```\n"
        "2025-11-24T16:00:00Z to 2025-11-24T16:00:04Z");
}

TEST_CASE("alerts: words of a template are escaped where they stand") {
    const AlertRoute route = route_with(
        R"({"summary": "{title}: {text}", "n": {count}, "all": {events}, "dedup": "{id}", "not a word": "{}"})");
    const auto json = boost::json::parse(alert_body(message_of(hostile), route, "here")).as_object();
    CHECK(json.at("dedup") == "id-1");
    CHECK(json.at("n") == 1);
    CHECK(json.at("not a word") == "{}");
    CHECK(json.at("all").as_array().at(0).at("event") == "x");
}

TEST_CASE("alerts: a template with an unknown word, or with one where it is no JSON, is refused") {
    CHECK_THROWS_WITH(AlertTemplate(R"({"a": "{titel}"})"), Catch::Matchers::Contains("did you mean \"title\"?"));
    CHECK_THROWS_WITH(AlertTemplate(R"({"a": {title}})"), Catch::Matchers::Contains("is no JSON"));
    CHECK_THROWS_WITH(AlertTemplate(R"({"a": "{events}"})"), Catch::Matchers::Contains("is no JSON"));
    CHECK_THROWS(AlertTemplate("plain text"));
}

TEST_CASE("alerts: a storm is one message with a number, and the first of them by name") {
    Groups groups;
    const config::Alert settings = settings_for({AlertKind::new_weak_client});
    const auto begin = AlertGroups::Clock::now();
    for (int i = 0; i < 10'000; ++i) groups.notice(weak_client("user" + std::to_string(i)), settings, "here", begin);
    CHECK(groups.due() == begin + 5s);
    CHECK(groups.take(begin + 4s, 10).ready.empty());
    const auto taken = groups.take(begin + 5s, 10);
    REQUIRE(taken.ready.size() == 1);
    const AlertMessage& message = taken.ready.front();
    CHECK(message.count == 10'000);
    CHECK(message.shown.size() == AlertMessage::max_shown);
    const std::string text = alert_text(message);
    CHECK(text.find("user9@shop") != std::string::npos);
    CHECK(text.find("... and 9990 more") != std::string::npos);
    CHECK(alert_title(message.kind, message.status, message.count) == "10000 new weak clients");
}

TEST_CASE("alerts: the next message of a kind waits for group_interval; another upstream's does not") {
    Groups groups;
    const config::Alert settings = settings_for({AlertKind::new_weak_client});
    const auto begin = AlertGroups::Clock::now();
    groups.notice(weak_client("a"), settings, "", begin);
    REQUIRE(groups.take(begin + 5s, 10).ready.size() == 1);
    groups.notice(weak_client("b"), settings, "", begin + 6s);
    CHECK(groups.due() == begin + 65s);
    Event other = weak_client("c");
    other.record.upstream = "reports";
    groups.notice(other, settings, "", begin + 6s);
    CHECK(groups.due() == begin + 11s);
}

TEST_CASE("alerts: what there is no room for stays together until there is") {
    Groups groups;
    const config::Alert settings = settings_for({AlertKind::new_weak_client});
    const auto begin = AlertGroups::Clock::now();
    groups.notice(weak_client("a"), settings, "", begin);
    CHECK(groups.take(begin + 10s, 0).ready.empty());
    groups.notice(weak_client("b"), settings, "", begin + 20s);
    const auto taken = groups.take(begin + 30s, 1);
    REQUIRE(taken.ready.size() == 1);
    CHECK(taken.ready.front().count == 2);
}

TEST_CASE("alerts: filters leave out what is about others, and keep what is about none") {
    Groups groups;
    config::Alert settings = settings_for({AlertKind::new_weak_client, AlertKind::reload_failed});
    settings.listeners = {"reporting"};
    CHECK_FALSE(groups.notice(weak_client("a"), settings, "", {}));
    CHECK(groups.notice({.kind = EventKind::reload_failed, .message = "no"}, settings, "", {}));
}

TEST_CASE("alerts: a server that is verified again is told once it stays so; a reload at once") {
    Groups groups;
    const config::Alert settings = settings_for({AlertKind::upstream_unverified, AlertKind::reload_failed});
    const auto begin = AlertGroups::Clock::now();
    Event failed{.kind = EventKind::upstream_failed, .verify_error = "self-signed certificate"};
    failed.record.upstream = "orders";
    Event works{.kind = EventKind::connected};
    works.record.upstream = "orders";
    groups.notice(works, settings, "", begin);
    CHECK(groups.empty());
    groups.notice(failed, settings, "", begin);
    REQUIRE(groups.take(begin + 5s, 10).ready.size() == 1);
    groups.notice(works, settings, "", begin + 10s);  // another of its addresses, perhaps
    CHECK(groups.empty());
    groups.notice(works, settings, "", begin + 61s);
    auto taken = groups.take(begin + 70s, 10);
    REQUIRE(taken.ready.size() == 1);
    CHECK(taken.ready.front().status == AlertStatus::resolved);
    CHECK(taken.ready.front().since == failed.time);
    groups.notice(works, settings, "", begin + 200s);
    CHECK(groups.empty());  // once
    groups.notice({.kind = EventKind::reload_failed, .message = "no"}, settings, "", begin);
    groups.notice({.kind = EventKind::reloaded, .message = "SIGHUP"}, settings, "", begin + 1s);
    CHECK(groups.take(begin + 20s, 10).ready.size() == 2);
}

TEST_CASE("alerts: an end says what it ends, since when that was, and for how long") {
    Groups groups;
    const config::Alert settings = settings_for({AlertKind::upstream_failed});
    const auto begin = AlertGroups::Clock::now();
    const AlertMessage::Time clock(std::chrono::seconds(1'764'000'000));
    Event failed{.kind = EventKind::upstream_failed, .message = "10.0.0.1:5432: Connection refused"};
    failed.record.upstream = "orders";
    failed.record.upstream_addr = "10.0.0.1:5432";
    Event works{.kind = EventKind::connected};
    works.record.upstream = "orders";
    for (const auto at : {0s, 70s, 200s}) {
        failed.time = clock + at;
        groups.notice(failed, settings, "", begin + at);
        const auto firing = groups.take(begin + at + 5s, 10);
        REQUIRE(firing.ready.size() == 1);
        CHECK(firing.ready.front().since == clock);  // over all of its messages
        CHECK(firing.ready.front().first_at == clock + at);
    }
    works.time = clock - 24h;  // somebody has set the clock back
    groups.notice(works, settings, "", begin + 310s);
    const auto over = groups.take(begin + 320s, 10);
    REQUIRE(over.ready.size() == 1);
    const AlertMessage& end = over.ready.front();
    CHECK(end.status == AlertStatus::resolved);
    CHECK(end.count == 3);
    CHECK(alert_text(end) ==
          "the last was: orders: 10.0.0.1:5432: Connection refused\n"
          "firing since 2025-11-24T16:00:00Z, for 5 min 10 s: 3 times, the last at 2025-11-24T16:03:20Z");
    const auto json = boost::json::parse(alert_body(end, route_with(""), "here")).as_object();
    CHECK(json.at("title") == "logins find a server again (upstream orders)");
    CHECK(json.at("since") == "2025-11-24T16:00:00Z");
    CHECK(json.at("events").as_array().empty());  // what ended it is no news
}

TEST_CASE("alerts: an end that is taken back goes on since it began") {
    Groups groups;
    config::Alert settings = settings_for({AlertKind::reload_failed});
    const auto begin = AlertGroups::Clock::now();
    const AlertMessage::Time clock = std::chrono::system_clock::now();
    const auto fails = [&](auto at) {
        groups.notice({.kind = EventKind::reload_failed, .time = clock + at, .message = "no"}, settings, "",
                      begin + at);
    };
    fails(0s);
    REQUIRE(groups.take(begin + 5s, 10).ready.size() == 1);
    groups.notice({.kind = EventKind::reloaded, .time = clock + 6s}, settings, "", begin + 6s);
    fails(7s);
    groups.notice({.kind = EventKind::reloaded, .time = clock + 100s}, settings, "", begin + 100s);
    const auto taken = groups.take(begin + 200s, 10);
    REQUIRE(taken.ready.size() == 2);
    CHECK(taken.ready[1].status == AlertStatus::resolved);
    CHECK(taken.ready[1].since == clock);
    CHECK(taken.ready[1].count == 2);
}

TEST_CASE("alerts: one cause is one message, by the narrower word") {
    Groups groups;
    const auto begin = AlertGroups::Clock::now();
    const bool is_upstream = GENERATE(true, false);
    const auto wide = is_upstream ? AlertKind::upstream_failed : AlertKind::client_changed;
    const auto narrow = is_upstream ? AlertKind::upstream_unverified : AlertKind::client_weakened;
    Event event{.kind = is_upstream ? EventKind::upstream_failed : EventKind::client_changed};
    event.record.upstream = "orders";
    const bool narrower_first = GENERATE(true, false);
    const config::Alert both = settings_for(narrower_first ? std::vector{narrow, wide} : std::vector{wide, narrow});

    groups.notice(event, both, "", begin);  // only the wider word is about it
    auto taken = groups.take(begin + 5s, 10);
    REQUIRE(taken.ready.size() == 1);
    CHECK(taken.ready.front().kind == wide);

    event.verify_error = "self-signed certificate";
    event.weaker = true;
    groups.notice(event, both, "", begin + 10s);
    taken = groups.take(begin + 100s, 10);
    REQUIRE(taken.ready.size() == 1);
    CHECK(taken.ready.front().kind == narrow);

    groups.notice(event, settings_for({wide}), "", begin + 200s);  // who has not that word hears the other
    taken = groups.take(begin + 300s, 10);
    REQUIRE(taken.ready.size() == 1);
    CHECK(taken.ready.front().kind == wide);
}

TEST_CASE("alerts: a server that is refused now has not come back, whichever word tells of it") {
    Groups groups;
    const config::Alert settings = settings_for({AlertKind::upstream_failed, AlertKind::upstream_unverified});
    const auto begin = AlertGroups::Clock::now();
    Event failed{.kind = EventKind::upstream_failed, .message = "Connection refused"};
    failed.record.upstream = "orders";
    Event works{.kind = EventKind::connected};
    works.record.upstream = "orders";
    groups.notice(failed, settings, "", begin);
    REQUIRE(groups.take(begin + 5s, 10).ready.size() == 1);
    failed.verify_error = "self-signed certificate";
    groups.notice(failed, settings, "", begin + 55s);
    REQUIRE(groups.take(begin + 60s, 10).ready.size() == 1);
    groups.notice(works, settings, "", begin + 70s);  // another address, not a minute after the last failure
    CHECK(groups.empty());
    groups.notice(works, settings, "", begin + 120s);
    CHECK(groups.take(begin + 130s, 10).ready.size() == 2);  // of each word that something was told of
}

TEST_CASE("alerts: how long something took is said in two units at most") {
    CHECK(proxy::how_long(10ms) == "less than a second");
    CHECK(proxy::how_long(59s) == "59 s");
    CHECK(proxy::how_long(5min) == "5 min");
    CHECK(proxy::how_long(5min + 10s) == "5 min 10 s");
    CHECK(proxy::how_long(3h + 5min + 7s) == "3 h 5 min");
    CHECK(proxy::how_long(52h) == "2 d 4 h");
}

TEST_CASE("alerts: a test is one, and says what would be told of") {
    const AlertMessage::Time clock(std::chrono::seconds(1'764'000'000));
    const AlertMessage test = proxy::test_message("test-1", {AlertKind::upstream_failed, AlertKind::started}, clock);
    const auto json = boost::json::parse(alert_body(test, route_with(""), "here")).as_object();
    CHECK(json.at("kind") == "test");
    CHECK(json.at("status") == "test");
    CHECK(json.at("key") == "here/page/test/test-1");
    CHECK(json.at("count") == 0);
    CHECK(json.at("since").is_null());
    CHECK(json.at("events").as_array().empty());
    CHECK(json.at("text") == "sent by pgairlock alert test; this alert tells of: upstream_failed, started");
    CHECK(alert_body(test, route_with(R"({"a": "{action}", "k": "{kind}", "n": {count}, "since": "{since}"})"), "") ==
          R"({"a": "trigger", "k": "test", "n": 0, "since": ""})");
}

TEST_CASE("alerts: an end is never told before what it ends, and no end of what goes on") {
    Groups groups;
    config::Alert settings = settings_for({AlertKind::reload_failed});
    settings.group_interval = 300s;
    const auto begin = AlertGroups::Clock::now();
    const auto fails = [&](auto at) {
        groups.notice({.kind = EventKind::reload_failed, .message = "no"}, settings, "", begin + at);
    };
    const auto works = [&](auto at) { groups.notice({.kind = EventKind::reloaded}, settings, "", begin + at); };
    fails(0s);
    REQUIRE(groups.take(begin + 5s, 10).ready.size() == 1);
    fails(60s);  // held back by group_interval
    works(90s);
    const auto taken = groups.take(begin + 95s, 10);
    REQUIRE(taken.ready.size() == 2);
    CHECK(taken.ready[0].status == AlertStatus::firing);
    CHECK(taken.ready[1].status == AlertStatus::resolved);
    fails(100s);
    works(110s);
    const auto grows = groups.take(begin + 111s, 10);
    CHECK(grows.ready.empty());
    REQUIRE(grows.changed.size() == 2);  // kept, so what is withdrawn has to be removed
    fails(120s);
    const auto last = groups.take(begin + 1000s, 10);
    REQUIRE(last.ready.size() == 1);
    CHECK(last.ready[0].status == AlertStatus::firing);
    CHECK(last.ready[0].count == 2);
    CHECK(last.withdrawn == std::vector<std::string>{grows.changed[1].id});
}

TEST_CASE("alerts: a pager closes by the key and the action what it has opened by them") {
    const AlertRoute route = route_with(R"({"a": "{action}", "k": "{key}"})");
    AlertMessage begun{.id = "id-1", .kind = AlertKind::upstream_failed, .upstream = "orders"};
    AlertMessage end{.id = "id-2", .kind = AlertKind::upstream_failed, .status = AlertStatus::resolved};
    end.upstream = "orders";
    CHECK(alert_body(begun, route, "app1") == R"({"a": "trigger", "k": "app1/page/upstream_failed/orders"})");
    CHECK(alert_body(end, route, "app1") == R"({"a": "resolve", "k": "app1/page/upstream_failed/orders"})");
    begun.kind = AlertKind::new_weak_client;  // never ends: the next is not taken for the same
    CHECK(alert_body(begun, route, "app1") == R"({"a": "trigger", "k": "app1/page/new_weak_client/id-1"})");
}

TEST_CASE("alerts: a message is as old as it has waited, wherever somebody sets the clock") {
    proxy::AlertQueue queue;
    const auto now = proxy::AlertQueue::Clock::now();
    const AlertMessage::Time today = std::chrono::system_clock::now();
    AlertMessage recent = message_of("a"), old = message_of("b"), ahead = message_of("c"), fresh = message_of("d");
    recent.id = "recent", old.id = "old", ahead.id = "ahead", fresh.id = "fresh";
    recent.last_at = today - 2h, old.last_at = today - 24h * 100, ahead.last_at = today + 24h * 100;
    queue.insert({recent, old, ahead}, now, today);
    fresh.last_at = today - 24h * 100;  // the clock was set ahead since
    queue.push(std::move(fresh), now);
    CHECK(queue.drop_one(now).empty());
    CHECK(queue.drop_one(now + 59min).empty());
    CHECK(queue.drop_one(now + 61min) == "old");
    CHECK(queue.drop_one(now + 21h).empty());
    CHECK(queue.drop_one(now + 23h) == "recent");
    CHECK(queue.size() == 2);
    CHECK_FALSE(queue.drop_one(now + 25h).empty());
    CHECK_FALSE(queue.drop_one(now + 25h).empty());
    CHECK(queue.empty());
}

TEST_CASE("alerts: every kind has words, and those that end say so") {
    for (std::size_t i = 0; i < config::names<AlertKind>().size(); ++i) {
        const auto kind = static_cast<AlertKind>(i);
        CHECK_FALSE(proxy::alert_title(kind, AlertStatus::firing, 1).empty());
        CHECK(proxy::alert_title(kind, AlertStatus::firing, 2).starts_with("2 "));
        CHECK(proxy::can_end(kind) == !proxy::alert_title(kind, AlertStatus::resolved, 1).empty());
    }
}

TEST_CASE("alerts: a server's new certificate is told with the CA that there was before, or that there was none") {
    tls::CertificateFacts facts;
    facts.subject = "CN=db";
    facts.issuer = "CN=New CA";
    Event event{.kind = EventKind::upstream_certificate};
    event.record.upstream = "orders";
    event.record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(facts);
    const auto line = [&] { return proxy::alert_line(AlertKind::upstream_certificate, event); };
    CHECK(line().ends_with("; no other one of this upstream is known"));
    const auto before = [&](const std::string& issuer, const std::string& key) {
        proxy::ShownCertificate shown{};
        shown.issuer = issuer;
        shown.anchor = key.empty() ? "" : "CN=Root";
        shown.anchor_key_sha256 = key;
        event.shown_before = std::make_shared<const proxy::ShownCertificate>(shown);
        event.record.upstream_tls.anchor = shown.anchor;
        event.record.upstream_tls.anchor_key_sha256 = key;
    };
    event.record.upstream_tls.leaf = [&] {
        facts.sha256 = "new";
        return std::make_shared<const tls::CertificateFacts>(facts);
    }();
    before("CN=Old CA", "");
    CHECK(line().find("issued by CN=New CA") != std::string::npos);
    CHECK(line().ends_with("; from another CA than the one before, which was issued by CN=Old CA"));
    before("CN=Old CA", "aa");
    CHECK(line().ends_with("; from another CA than the one before, which was issued by CN=Old CA, under CN=Root"));
    before(facts.issuer, "aa");
    CHECK(line().ends_with("; from the same CA as the one before"));
    event.record.upstream_tls.anchor_key_sha256 = "bb";
    CHECK(line().ends_with("; from another CA than the one before: of the same name, with another key"));
    CHECK(proxy::alert_title(AlertKind::upstream_certificate, AlertStatus::firing, 1).find("another") ==
          std::string::npos);
}

TEST_CASE("alerts: the address of a server that was not reached is told once") {
    Event event{.kind = EventKind::upstream_failed, .message = "127.0.0.1:1: Connection refused"};
    event.record.upstream = "orders";
    event.record.upstream_addr = "127.0.0.1:1";
    CHECK(proxy::alert_line(AlertKind::upstream_failed, event) == "orders: 127.0.0.1:1: Connection refused");
    event.message = "timeout expired";
    CHECK(proxy::alert_line(AlertKind::upstream_failed, event) == "orders at 127.0.0.1:1: timeout expired");
}

// --- on the disk

TEST_CASE("alert spool: what is kept is there after a restart, oldest first, for us alone") {
    const support::Folder folder;
    const std::string path = folder.file("alerts") + "/page";
    AlertMessage first = message_of(hostile), second = message_of("b");
    first.id = "z";
    second.id = "a";
    second.first_at += 1s;
    {
        AlertSpool spool(path);
        CHECK(spool.load().messages.empty());
        CHECK(spool.keep(second).empty());
        CHECK(spool.keep(first).empty());
        first.count = 7;
        CHECK(spool.keep(first).empty());  // in its place
    }
    const auto found = AlertSpool(path).load();
    REQUIRE(found.messages.size() == 2);
    CHECK(found.damaged == 0);
    CHECK(found.messages[0].id == "z");
    CHECK(found.messages[0].count == 7);
    CHECK(found.messages[0].shown[0].line == first.shown[0].line);
    CHECK(found.messages[0].shown[0].event == R"({"event":"x"})");
    struct stat status {};
    REQUIRE(::stat((path + "/z.json").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("alert spool: an end is after a restart what it was, and what an older version has left is read") {
    AlertMessage end{.id = "id-1", .kind = AlertKind::reload_failed, .status = AlertStatus::resolved};
    end.count = 3;
    end.since = AlertMessage::Time(std::chrono::seconds(1'764'000'000));
    end.shown = {{.line = "the last was: no"}};
    const auto found = proxy::from_spool(to_spool(end));
    REQUIRE(found);
    CHECK(alert_body(*found, route_with(""), "here") == alert_body(end, route_with(""), "here"));
    const auto older = proxy::from_spool(
        R"({"id":"a","kind":"started","status":"firing","upstream":"","count":1,"first_at":1,"last_at":1,)"
        R"("shown":[{"line":"x","count":1,"event":null}]})"
        "\n");
    REQUIRE(older);
    CHECK_FALSE(older->since);
}

TEST_CASE("alert spool: a file that is not whole is counted and removed, wherever it ends") {
    const support::Folder folder;
    const std::string whole = to_spool(message_of("a"));
    AlertSpool spool(folder.file("page"));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        REQUIRE(spool.keep(message_of("a")).empty());
        std::ofstream(folder.file("page/id-1.json"), std::ios::trunc) << whole.substr(0, size);
        const auto found = spool.load();
        CHECK(found.messages.empty());
        CHECK(found.damaged == 1);
        CHECK_FALSE(std::filesystem::exists(folder.file("page/id-1.json")));
    }
}

TEST_CASE("alert spool: a disk that takes nothing is said, and what was kept before stays") {
    const support::Folder folder;
    AlertSpool spool(folder.file("page"));
    REQUIRE(spool.keep(message_of("a")).empty());
    AlertMessage larger = message_of("a");
    larger.count = 2;
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit none = before;
    none.rlim_cur = 10;
    ::setrlimit(RLIMIT_FSIZE, &none);
    const std::string why = spool.keep(larger);
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK_FALSE(why.empty());
    const auto found = spool.load();
    REQUIRE(found.messages.size() == 1);
    CHECK(found.messages[0].count == 1);
    CHECK(found.damaged == 0);
}

TEST_CASE("alert spool: a folder that cannot be made is said") {
    const support::Folder folder;
    std::ofstream(folder.file("alerts")) << "a file";
    CHECK_FALSE(AlertSpool(folder.file("alerts") + "/page").keep(message_of("a")).empty());
}

TEST_CASE("alert spool: what cannot be read now stays, and is said") {
    const support::Folder folder;
    AlertSpool spool(folder.file("page"));
    REQUIRE(spool.keep(message_of("a")).empty());
    std::filesystem::create_symlink(folder.file("away"), folder.file("page/id-2.json"));
    const auto found = spool.load();
    CHECK(found.messages.size() == 1);
    CHECK(found.damaged == 0);
    CHECK(found.unread == 1);
    CHECK_FALSE(found.error.empty());
    CHECK(std::filesystem::is_symlink(folder.file("page/id-2.json")));
    std::ofstream(folder.file("file")) << "no folder";
    CHECK_FALSE(AlertSpool(folder.file("file")).load().error.empty());
    CHECK(AlertSpool(folder.file("never made")).load().error.empty());
}

TEST_CASE("alert spool: beyond the room the oldest are loaded, and the rest later") {
    const support::Folder folder;
    AlertSpool spool(folder.file("page"));
    const auto now = std::filesystem::file_time_type::clock::now();
    for (int i = 0; i < 5; ++i) {
        AlertMessage message = message_of("a");
        message.id = "id-" + std::to_string(9 - i);
        message.first_at += std::chrono::seconds(i);
        REQUIRE(spool.keep(message).empty());
        std::filesystem::last_write_time(folder.file("page/" + message.id + ".json"),
                                         now - 1h + std::chrono::seconds(i));
    }
    const auto found = spool.load(2);
    REQUIRE(found.messages.size() == 2);
    CHECK(found.messages[0].id == "id-9");
    CHECK(found.messages[1].id == "id-8");
    CHECK(found.left == 3);
    const auto rest = spool.load(10, [](const std::string& id) { return id >= "id-8"; });
    CHECK(rest.messages.size() == 3);
    CHECK(rest.left == 0);
}

TEST_CASE("alerts: where more is going on than is remembered, only what was longest quiet is forgotten") {
    Groups groups;
    config::Alert settings = settings_for({AlertKind::upstream_failed});
    settings.group_interval = 1s;
    const auto begin = AlertGroups::Clock::now();
    const auto event_of = [](EventKind kind, std::size_t upstream) {
        Event event{.kind = kind};
        event.record.upstream = "u" + std::to_string(upstream);
        return event;
    };
    const std::size_t many = AlertGroups::max_remembered + 1;
    for (std::size_t i = 0; i < many; ++i) groups.notice(event_of(EventKind::upstream_failed, i), settings, "", begin);
    CHECK(groups.take(begin + 1h, 2 * many).ready.size() == many);
    for (std::size_t i = 0; i < many; ++i) groups.notice(event_of(EventKind::connected, i), settings, "", begin + 2h);
    CHECK(groups.take(begin + 3h, 2 * many).ready.size() == many - 1);  // of each but the first its end
}
