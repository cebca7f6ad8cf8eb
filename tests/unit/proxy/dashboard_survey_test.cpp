// The thread that looks at inventories: what is said when it hangs, fails, or has nobody to look
// for.
#include <future>
#include <new>
#include <thread>

#include "proxy/dashboard/survey.hpp"
#include "proxy/http/http_stream.hpp"
#include "support/catch.hpp"

using namespace proxy;
using namespace proxy::dashboard;
using namespace std::chrono_literals;

namespace {

std::vector<InventoryRows> inventory(int clients = 1) {
    const Timestamp now = to_timestamp(std::chrono::system_clock::now());
    InventoryRows rows;
    rows.instance = "a1";
    rows.proxy = {.id = "a1", .name = "app-1", .last_seen = now};
    for (int i = 0; i < clients; ++i) {
        ClientRow row;
        row.who = {{.upstream = "orders", .client_addr = "10.0.0." + std::to_string(i), .client_exe = ""},
                   {.usename = "u", .datname = "shop", .application_name = ""}};
        row.first_seen = row.last_seen = now - 1'000'000;
        row.connections = row.plain = 1;
        row.days[now / day_length]["plain"] = {
            .connections = 1, .first_seen = row.first_seen, .last_seen = row.last_seen};
        rows.clients.push_back(row);
    }
    return {rows};
}

/// Waits for it.
bool becomes(const std::function<bool()>& so) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!so() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(2ms);
    return so();
}

/// Looks as fast as it can, and takes for hanging what takes 100 ms.
constexpr SurveyPace fast{
    .interest = 20s, .pause = 5ms, .count_pause = 5ms, .rotation_pause = 5ms, .hanging = 100ms, .rest = 5ms};

Survey::Settings settings(std::function<std::vector<InventoryRows>()> read, const SurveyPace& pace) {
    Survey::Settings made{.places = {}, .running = nullptr, .counts = true};
    made.places.push_back({std::move(read)});
    made.pace = pace;
    return made;
}

}  // namespace

TEST_CASE("while a look hangs clients are not known to metrics, and that is said") {
    auto gate = std::make_shared<std::promise<void>>();
    auto reads = std::make_shared<std::atomic<int>>(0);
    {
        Survey survey(settings(
            [opened = gate->get_future().share(), reads] {
                if (++*reads == 2) opened.wait();
                return inventory();
            },
            fast));
        REQUIRE(becomes([&] { return survey.findings()->week.has_value(); }));
        CHECK(becomes([&] { return *reads == 2 && !survey.week(); }));
        CHECK_FALSE(survey.why_old().empty());
        gate->set_value();
        CHECK(becomes([&] { return survey.week().has_value(); }));
    }
    CHECK(becomes([] { return !OwnThread::left_behind(); }));
}

TEST_CASE("a look that fails for want of memory is followed by others, and its numbers are none") {
    auto poor = std::make_shared<std::atomic<bool>>(false);
    auto reads = std::make_shared<std::atomic<int>>(0);
    Survey survey(settings(
        [poor, reads] {
            ++*reads;
            if (*poor) throw std::bad_alloc();
            return inventory();
        },
        fast));
    REQUIRE(becomes([&] { return survey.week().has_value(); }));
    *poor = true;
    CHECK(becomes([&] { return !survey.week(); }));
    const int before = *reads;
    CHECK(becomes([&] { return *reads > before + 2; }));
    CHECK(survey.why_old().find("could not be counted") != std::string::npos);
    *poor = false;
    CHECK(becomes([&] { return survey.week().has_value(); }));
}

TEST_CASE("whoever comes first does not wait for the pace of metrics") {
    SurveyPace pace = fast;
    pace.count_pause = 1h;
    pace.hanging = 1h;
    Survey survey(settings([] { return inventory(); }, pace));
    REQUIRE(becomes([&] { return survey.week().has_value(); }));
    CHECK_FALSE(survey.findings()->clients.text);
    survey.wanted();
    CHECK(becomes([&] { return survey.findings()->clients.text != nullptr; }));
}

TEST_CASE("texts that nobody has asked for of late are freed, and whoever comes later gets no old ones") {
    SurveyPace pace = fast;
    pace.interest = 50ms;
    Survey survey(settings([] { return inventory(); }, pace));
    survey.wanted();
    REQUIRE(becomes([&] { return survey.findings()->clients.text != nullptr; }));
    const std::uint64_t version = survey.findings()->clients.version;
    CHECK(becomes([&] {
        const auto found = survey.findings();
        return !found->clients.text && !found->certificates.text && !found->rotation.text;
    }));
    CHECK_FALSE(survey.findings()->why_none.empty());
    survey.wanted();
    CHECK(becomes([&] { return survey.findings()->clients.version > version; }));
}

TEST_CASE("an old text is none also when the thread hangs and cannot free it") {
    auto gate = std::make_shared<std::promise<void>>();
    auto hangs = std::make_shared<std::atomic<bool>>(false);
    auto is_hung = std::make_shared<std::atomic<bool>>(false);
    SurveyPace pace = fast;
    pace.interest = 300ms;
    {
        Survey survey(settings(
            [opened = gate->get_future().share(), hangs, is_hung]() -> std::vector<InventoryRows> {
                if (*hangs) {
                    *is_hung = true;
                    opened.wait();
                    throw std::runtime_error("the disk was away");
                }
                return inventory();
            },
            pace));
        CHECK(becomes([&] {
            survey.wanted();
            if (!survey.findings()->rotation.text) return false;
            *hangs = true;
            return is_hung->load();
        }));
        REQUIRE(survey.findings()->clients.text);
        CHECK(becomes([&] {
            std::this_thread::sleep_for(400ms);
            survey.wanted();
            return !survey.findings()->clients.text;
        }));
        gate->set_value();
        CHECK(becomes([&] { return !survey.findings()->current; }));
        CHECK_FALSE(survey.findings()->clients.text);
    }
    CHECK(becomes([] { return !OwnThread::left_behind(); }));
}

TEST_CASE("too many clients are neither shown nor counted, and that is said") {
    auto clients = std::make_shared<std::atomic<int>>(3);
    Survey::Settings made = settings([clients] { return inventory(*clients); }, fast);
    made.max_rows = 2;
    Survey survey(std::move(made));
    survey.wanted();
    REQUIRE(becomes([&] { return survey.findings()->why_none.find("too many") != std::string::npos; }));
    CHECK_FALSE(survey.week());
    CHECK_FALSE(survey.findings()->clients.text);
    CHECK(survey.findings()->unknown.front().find("pgairlock report") != std::string::npos);
}

TEST_CASE("certificates of servers, and whoever is known by failed handshakes alone, count with the clients") {
    const auto told = [](std::vector<InventoryRows> rows) {
        FindingsMaker maker({.has_inventory = true, .running = nullptr, .max_rows = 3});
        InventoryPlaces::Reading reading;
        reading.rows = std::move(rows);
        reading.known = true;
        const Findings made = maker.make(maker.none(), reading, true, std::chrono::system_clock::now());
        CHECK(maker.is_crowded() == !made.why_none.empty());
        return made.why_none;
    };
    auto rows = inventory(2);
    rows[0].upstream_certificates.resize(1);
    CHECK(told(rows).empty());
    HandshakeRow of_known;
    of_known.from = rows[0].clients[0].who;
    rows[0].handshakes.assign(5, of_known);
    CHECK(told(rows).empty());
    rows[0].handshakes.back().from.client_addr = "10.9.9.9";
    CHECK(told(rows) ==
          "4 clients and certificates of servers are too many to show here (3 at most): use pgairlock report");
    rows[0].handshakes.pop_back();
    rows[0].upstream_certificates.resize(2);
    CHECK_FALSE(told(rows).empty());
}

TEST_CASE("of several inventories one that cannot be read is as it was, of a single one no rows are kept") {
    bool away = false;
    const auto first = [&]() -> std::vector<InventoryRows> {
        if (away) throw std::runtime_error("away");
        return inventory(2);
    };
    const SystemTime now = std::chrono::system_clock::now();
    for (const bool several : {true, false}) {
        away = false;
        std::vector<InventoryPlace> all{{first}};
        if (several) all.push_back({[] { return inventory(1); }});
        InventoryPlaces places(std::move(all));
        places.keep(places.read(now));
        away = true;
        const auto reading = places.read(now + 1s);
        CHECK(reading.unread.size() == 1);
        CHECK(reading.known == several);
        CHECK(reading.rows.size() == (several ? 2 : 0));
        if (several) CHECK(reading.rows.front().clients.size() == 2);
    }
}

TEST_CASE("a piece that is sent next may be large, and what waits behind it is bounded") {
    asio::io_context io{1};
    HttpStream stream(io.get_executor());
    stream.say(std::string(HttpStream::max_waiting + 1, 'x'));
    CHECK_FALSE(stream.over());
    stream.say(std::string(HttpStream::max_waiting, 'x'));
    CHECK_FALSE(stream.over());
    SECTION("whoever does not read is given up") {
        stream.say("x");
        CHECK(stream.over());
    }
    SECTION("whoever reads has room again") {
        asio::co_spawn(
            io, [&]() -> tls::Awaitable<> { co_await stream.next(); }, [](const std::exception_ptr&) {});
        io.run();
        stream.say(std::string(HttpStream::max_waiting, 'x'));
        CHECK_FALSE(stream.over());
        stream.say("x");
        CHECK(stream.over());
    }
}

TEST_CASE("whoever asks whether a fleet's inventory answers has it looked at, and no texts made") {
    auto away = std::make_shared<std::atomic<bool>>(false);
    Survey::Settings made = settings(
        [away] {
            if (*away) throw std::runtime_error("cannot connect to the inventory");
            return inventory();
        },
        fast);
    made.counts = false;
    Survey survey(std::move(made));
    const Survey::Readiness first = survey.check();
    CHECK_FALSE(first.why_not.empty());
    CHECK(first.is_at_it);
    CHECK(becomes([&] { return survey.check().why_not.empty(); }));
    CHECK_FALSE(survey.findings()->clients.text);
    *away = true;
    CHECK(becomes([&] { return survey.check().why_not.find("did not answer") != std::string::npos; }));
    *away = false;
    CHECK(becomes([&] { return survey.check().why_not.empty(); }));
}

TEST_CASE("while a look hangs it is not known that inventories answer") {
    auto gate = std::make_shared<std::promise<void>>();
    auto reads = std::make_shared<std::atomic<int>>(0);
    {
        SurveyPace pace = fast;
        pace.answering = 50ms;
        Survey survey(settings(
            [opened = gate->get_future().share(), reads] {
                if (++*reads == 2) opened.wait();
                return inventory();
            },
            pace));
        CHECK(becomes(
            [&] { return *reads == 2 && survey.check().why_not.find("not come to an end") != std::string::npos; }));
        gate->set_value();
        CHECK(becomes([&] { return survey.check().why_not.empty(); }));
    }
    CHECK(becomes([] { return !OwnThread::left_behind(); }));
}

namespace {

/// Two programs of one address that log in by TLS, and handshakes there that were refused.
InventoryPlaces::Reading with_refused_handshakes(SystemTime now, Timestamp failed) {
    const Timestamp seen = to_timestamp(now) - 1'000'000;
    const auto evidence = [](protocol::Evidence what, Timestamp when, std::uint64_t count) {
        return EvidenceRow{.label = std::string(protocol::label(what)),
                           .evidence = what,
                           .certificate = "real",
                           .first_seen = when,
                           .last_seen = when,
                           .count = count,
                           .session = "17a2-3"};
    };
    InventoryRows rows;
    rows.instance = "a1";
    rows.proxy = {.id = "a1", .name = "app-1", .last_seen = to_timestamp(now)};
    for (const char* const user : {"app", "web"}) {
        ClientRow row;
        row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = "/bin/a"},
                   {.usename = user, .datname = "shop", .application_name = ""}};
        row.first_seen = row.last_seen = seen;
        row.connections = 1;
        row.days[seen / day_length]["TLSv1.3"] = {.connections = 1, .first_seen = seen, .last_seen = seen};
        row.evidence = {evidence(protocol::Evidence::tls_startup, seen, 1)};
        row.ja4 = {"t13"};
        rows.clients.push_back(row);
    }
    rows.handshakes.push_back({.from = rows.clients[0].who,
                               .ja4 = "t13",
                               .listener = "l",
                               .error = "alert unknown_ca (48)",
                               .evidence = evidence(protocol::Evidence::tls_refused, failed, 7)});
    return {.rows = {rows}, .unread = {}, .known = true, .oldest = now};
}

}  // namespace

TEST_CASE("who cannot connect and has no row is told of before all figures, of the same days as these") {
    const auto now = std::chrono::system_clock::now();
    const std::string told =
        "7 handshakes failed that no row explains, 7 of them at our certificate: a client may never log in; give it "
        "the CA of that certificate (ca.crt, or that of cert_file); the end of Clients says whose they may be";
    FindingsMaker maker({.has_inventory = true, .running = nullptr, .max_rows = 100});
    const auto recent = with_refused_handshakes(now, to_timestamp(now) - 1'000'000);
    for (const bool texts : {false, true}) {
        const Findings found = maker.make(maker.none(), recent, texts, now);
        CHECK(std::count(found.unknown.begin(), found.unknown.end(), told) == 1);
        REQUIRE(found.week);
        const auto figures = week_object(*found.week);
        CHECK(figures.at("failing").to_number<int>() == 0);  // it is no client that is known
        CHECK(figures.at("unattributed_failures").to_number<int>() == 7);
        CHECK(figures.at("unattributed_refused").to_number<int>() == 7);

        InventoryPlaces::Reading away{.rows = {}, .unread = {"the inventory is away"}, .known = false, .oldest = {}};
        const Findings then = maker.make(found, away, texts, now);
        CHECK(then.unknown.front() == "the inventory is away");
        CHECK(std::count(then.unknown.begin(), then.unknown.end(), told) == 1);
    }
    const auto long_ago = with_refused_handshakes(now, to_timestamp(now) - 8 * day_length);
    const Findings over = maker.make(maker.none(), long_ago, true, now);
    CHECK(std::count(over.unknown.begin(), over.unknown.end(), told) == 0);
}

TEST_CASE("what is not known of the last 7 days is said beside their figures, also when clients are shown") {
    const auto now = std::chrono::system_clock::now();
    auto reading = with_refused_handshakes(now, to_timestamp(now) - 1'000'000);
    const Timestamp first = to_timestamp(now) - 200 * day_length;
    reading.rows[0].sampling.push_back({.upstream = "orders",
                                        .upstream_addr = "10.1.0.1:5432",
                                        .first_look = first,
                                        .last_look = to_timestamp(now),
                                        .looks = 1000,
                                        .interval = 5'000'000,
                                        .left_out = 300,
                                        .last_left_out = to_timestamp(now) - 1'000'000});
    reading.rows[0].sampled_sessions.push_back({.upstream = "orders",
                                                .upstream_addr = "10.1.0.1:5432",
                                                .client_addr = "10.0.0.1",
                                                .usename = "app",
                                                .datname = "shop",
                                                .application_name = "",
                                                .version = "TLSv1.3",
                                                .through = true,
                                                .first_seen = first,
                                                .last_seen = to_timestamp(now),
                                                .looks = 1000,
                                                .sessions = 1,
                                                .seen = 100'000});
    FindingsMaker maker({.has_inventory = true, .running = nullptr, .max_rows = 100});
    for (const bool texts : {false, true}) {
        const Findings found = maker.make(maker.none(), reading, texts, now);
        CHECK(std::count_if(found.unknown.begin(), found.unknown.end(), [](const std::string& one) {
                  return one.find("sessions that are in no row") != std::string::npos;
              }) == 1);
    }
}
