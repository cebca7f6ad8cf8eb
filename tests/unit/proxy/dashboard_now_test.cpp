// What the dashboard says of the present: rates, latencies, sessions, events.
#include <boost/json.hpp>

#include "proxy/dashboard/event_streams.hpp"
#include "proxy/dashboard/now_history.hpp"
#include "proxy/dashboard/sessions_json.hpp"
#include "proxy/record/recent_events.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::dashboard;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const SystemTime noon = SystemTime(std::chrono::sys_days(std::chrono::year(2026) / 3 / 1)) + 12h;

/// `at`: since noon.
NowSample counted(std::chrono::seconds at, std::uint64_t logins, std::uint64_t failures = 0) {
    NowSample sample{.time = noon + at, .at = std::chrono::steady_clock::time_point(1h + at), .sessions = {}};
    sample.sessions.by_mode = {3, 2, 1, 4};
    sample.listeners["legacy"] = {.open = 10, .logins = logins, .failures = failures, .from_client = logins * 100};
    return sample;
}

double number(const json::value& value) { return value.to_number<double>(); }

SessionRecord record(const std::string& name, bool ssl) {
    SessionRecord record;
    record.session = name;
    record.usename = "app";
    record.ssl = ssl;
    if (!ssl) record.evidence = {protocol::Evidence::clear_startup};
    return record;
}

}  // namespace

TEST_CASE("before anything was counted twice no rate is known") {
    NowHistory history;
    CHECK(history.now(true).empty());
    history.add(counted(0s, 100, 7));
    const json::object now = history.now(true);
    CHECK(now.at("logins_per_s").is_null());
    CHECK(now.at("failures_per_s").is_null());
    CHECK(now.at("login_ms").at("p50").is_null());
    CHECK(number(now.at("login_ms").at("of")) == 0);
    CHECK(now.at("history").as_array().size() == 1);
    CHECK(now.at("history").at(0).at("logins_per_s").is_null());
}

TEST_CASE("rates are those of the last ten seconds, and points of two") {
    NowHistory history;
    for (int i = 0; i <= 10; ++i) history.add(counted(i * 2s, i <= 5 ? 0 : static_cast<std::uint64_t>(i - 5) * 20));
    const json::object now = history.now(true);
    CHECK(number(now.at("logins_per_s")) == 10);
    CHECK(number(now.at("by_listener").at(0).at("logins_per_s")) == 10);
    CHECK(number(now.at("by_listener").at(0).at("bytes_from_client_per_s")) == 1000);
    CHECK(number(now.at("by_listener").at(0).at("sessions")) == 10);
    CHECK(number(now.at("history").at(4).at("logins_per_s")) == 0);
    CHECK(number(now.at("history").at(10).at("logins_per_s")) == 10);
    CHECK(now.at("history").at(10).at("t").as_string() == "2026-03-01T12:00:20Z");
    CHECK(history.now(false).at("history").as_array().size() == 1);
}

TEST_CASE("sessions are told by mode, and each is one of them") {
    NowHistory history;
    history.add(counted(0s, 0));
    const json::object sessions = history.now(true).at("sessions").as_object();
    CHECK(number(sessions.at("total")) == 10);
    CHECK(number(sessions.at("plain")) == 3);
    CHECK(number(sessions.at("tls_not_verifying")) == 2);
    CHECK(number(sessions.at("verifying")) == 1);
    CHECK(number(sessions.at("unknown")) == 4);
}

TEST_CASE("five minutes are kept, and no more") {
    NowHistory history;
    for (int i = 0; i < 1000; ++i) history.add(counted(i * 2s, 0));
    const json::object now = history.now(true);
    CHECK(now.at("history").as_array().size() == NowHistory::max_points);
    CHECK(now.at("history").at(0).at("t").as_string() == "2026-03-01T12:28:20Z");
}

TEST_CASE("latencies are the bounds that so many logins stayed below") {
    NowHistory history;
    history.add(counted(0s, 0));
    NowSample later = counted(2s, 100);
    later.logins_by_time[2] = 50;  // up to 5 ms
    later.logins_by_time[5] = 45;  // up to 50 ms
    later.logins_by_time[9] = 5;   // up to 1 s
    history.add(later);
    const json::object took = history.now(true).at("login_ms").as_object();
    CHECK(number(took.at("p50")) == 5);
    CHECK(number(took.at("p95")) == 50);
    CHECK(number(took.at("p99")) == 1000);
    CHECK(number(took.at("of")) == 100);
}

TEST_CASE("a latency beyond the last bound is not known, and none is invented") {
    NowHistory history;
    history.add(counted(0s, 0));
    NowSample later = counted(2s, 1);
    later.logins_by_time.back() = 1;
    history.add(later);
    const json::object took = history.now(true).at("login_ms").as_object();
    CHECK(took.at("p50").is_null());
    CHECK(number(took.at("of")) == 1);
}

TEST_CASE("logins of more than a minute ago are in no latency") {
    NowHistory history;
    history.add(counted(0s, 0));
    for (int i = 1; i <= 40; ++i) {
        NowSample sample = counted(i * 2s, 5);
        sample.logins_by_time[3] = 5;
        history.add(sample);
    }
    CHECK(number(history.now(true).at("login_ms").at("of")) == 0);
}

TEST_CASE("open sessions are counted by mode as they come and go") {
    LiveSessions sessions;
    CHECK(sessions.counts().total() == 0);
    auto plain = sessions.add(record("s-1", false));
    auto tls = sessions.add(record("s-2", true));
    SessionCounts counts = sessions.counts();
    CHECK(counts.by_mode == std::array<std::uint64_t, 4>{1, 0, 0, 1});
    CHECK(counts.changes == 2);
    plain.end(Reason::client_closed, "");
    counts = sessions.counts();
    CHECK(counts.by_mode == std::array<std::uint64_t, 4>{0, 0, 0, 1});
    CHECK(counts.changes == 3);
    { const LiveSessions::Entry dropped = std::move(tls); }
    CHECK(sessions.counts().total() == 0);
}

TEST_CASE("when sessions are left out, those in clear are not") {
    LiveSessions live;
    std::vector<LiveSessions::Entry> entries;
    for (int i = 0; i < 300; ++i) entries.push_back(live.add(record("s-" + std::to_string(i), i != 299)));
    SessionsJson made(live.open(), noon, 10);
    while (made.write_some()) {
    }
    const json::value told = json::parse(*made.finish());
    CHECK(number(told.at("total")) == 300);
    CHECK(number(told.at("left_out")) == 290);
    CHECK(told.at("generated").as_string() == "2026-03-01T12:00:00Z");
    CHECK(told.at("sessions").as_array().size() == 10);
    CHECK(told.at("sessions").at(0).at("session").as_string() == "s-299");
    CHECK(told.at("sessions").at(0).at("weak").as_bool());
}

TEST_CASE("how many sessions are wanted is a number up to the bound, or all of them") {
    CHECK(wanted_sessions("") == SessionsJson::max_sessions);
    CHECK(wanted_sessions("most=1000") == 1000);
    CHECK(wanted_sessions("x=1&most=1&y") == 1);
    CHECK(wanted_sessions("most=10000") == SessionsJson::max_sessions);
    CHECK(wanted_sessions("least=5") == SessionsJson::max_sessions);
    for (const char* wrong :
         {"most=", "most=0", "most=10001", "most=-1", "most=1e3", "most=5 ", "most=99999999999999999999"})
        CHECK_FALSE(wanted_sessions(wrong));
}

TEST_CASE("of ten thousand sessions no more are written than are wanted, and all weak ones are among them") {
    LiveSessions live;
    std::vector<LiveSessions::Entry> entries;
    for (int i = 0; i < 10'000; ++i) entries.push_back(live.add(record("s-" + std::to_string(i), i % 20 != 0)));
    std::size_t parts = 0;
    SessionsJson made(live.open(), noon, 1'000);
    do ++parts;
    while (made.write_some());
    CHECK(parts == (1'000 + SessionsJson::part - 1) / SessionsJson::part);  // the work is that of those alone
    const Shared text = made.finish();
    const json::value told = json::parse(*text);
    CHECK(number(told.at("total")) == 10'000);
    CHECK(number(told.at("left_out")) == 9'000);
    const json::array& sessions = told.at("sessions").as_array();
    REQUIRE(sessions.size() == 1'000);
    CHECK(std::count_if(sessions.begin(), sessions.end(),
                        [](const json::value& one) { return one.at("weak").as_bool(); }) == 500);
    CHECK(text->size() < 1'000 * 1'024);
}

TEST_CASE("a session is written part by part, and all of it in the end") {
    LiveSessions live;
    std::vector<LiveSessions::Entry> entries;
    for (std::size_t i = 0; i < SessionsJson::part * 2 + 1; ++i)
        entries.push_back(live.add(record("s-" + std::to_string(i), true)));
    SessionsJson made(live.open(), noon);
    CHECK(made.write_some());
    CHECK(made.write_some());
    CHECK_FALSE(made.write_some());
    const json::value told = json::parse(*made.finish());
    CHECK(told.at("sessions").as_array().size() == SessionsJson::part * 2 + 1);
    CHECK(told.at("sessions").at(0).at("upstream_addr").is_null());
    CHECK(told.at("sessions").at(0).at("application_name").as_string().empty());
    CHECK(number(told.at("left_out")) == 0);
}

TEST_CASE("an event is one block, with its number when it has one") {
    CHECK(event_text("versions", "{}") == "event: versions\ndata: {}\n\n");
    CHECK(event_text("audit", "{\"a\":1}", 7) == "id: 7\nevent: audit\ndata: {\"a\":1}\n\n");
}

TEST_CASE("events behind a number are told once each, and those that are gone are missing at the front") {
    RecentEvents recent;
    CHECK(recent.behind(0).events.empty());
    const auto add = [&](const std::string& message) { recent.add({.kind = EventKind::started, .message = message}); };
    add("1");
    add("2");
    auto later = recent.behind(0);
    CHECK(later.first == 1);
    REQUIRE(later.events.size() == 2);
    CHECK(later.events[1]->message == "2");
    later = recent.behind(1);
    CHECK(later.first == 2);
    CHECK(later.events.size() == 1);
    CHECK(recent.behind(2).events.empty());
    CHECK(recent.behind(99).events.empty());
    for (std::size_t i = 0; i < RecentEvents::max_events; ++i) add("more");
    later = recent.behind(1);
    CHECK(later.first == 3);
    CHECK(later.events.size() == RecentEvents::max_events);
}
