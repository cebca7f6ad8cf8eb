#include "proxy/record/recorder.hpp"

#include <atomic>
#include <boost/json.hpp>
#include <thread>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/full_disk.hpp"
#include "support/held_up_file.hpp"

namespace {

using proxy::Event;
using proxy::EventKind;
using proxy::Inventory;
using proxy::Recorder;
using support::content;
using support::Folder;
using support::HeldUpFile;
using support::lines;
namespace json = boost::json;

Event event(const std::string& text = {}) { return {.kind = EventKind::rejected, .message = text}; }

std::unique_ptr<proxy::InventoryKeeper> kept(const Folder& folder) {
    const std::string path = folder.file("inventory.db");
    return std::make_unique<proxy::InventoryKeeper>(proxy::InventoryKeeper::Settings{
        .path = path, .open = [path] { return std::make_unique<Inventory>(Inventory::Settings{.path = path}); }});
}

}  // namespace

TEST_CASE("event_kinds counts all of them") {
    CHECK_FALSE(label(static_cast<EventKind>(proxy::event_kinds - 1)).empty());
    CHECK(label(static_cast<EventKind>(proxy::event_kinds)).empty());
}

TEST_CASE("recorder: events are written in the order in which they were recorded") {
    const Folder folder;
    {
        Recorder recorder({.path = folder.file("audit")});
        for (int i = 0; i < 1'000; ++i) {
            Event numbered = event();
            numbered.record.session = std::to_string(i);
            recorder.record(std::move(numbered));
        }
    }
    const auto written = lines(content(folder.file("audit")));
    REQUIRE(written.size() == 1'000);
    for (std::size_t i = 0; i < written.size(); ++i)
        CHECK(json::parse(written[i]).at("session") == json::string(std::to_string(i)));
}

TEST_CASE("recorder: what a full queue drops is counted all the same, and told where it is missing") {
    constexpr std::size_t events = 2'000;
    const HeldUpFile file;
    auto recorder =
        std::make_unique<Recorder>(proxy::AuditFile::Settings{.path = file.path()}, nullptr, 200 * sizeof(Event));
    for (std::size_t i = 0; i < events; ++i) {
        Event numbered = event(std::string(i % 2 == 0 ? 0 : 1'000, 'x'));
        numbered.record.client_port = static_cast<int>(i);
        numbered.record.session = "s";
        recorder->record(std::move(numbered));
    }
    CHECK(recorder->counters()[EventKind::rejected] == events);
    std::string text;
    std::thread reader([&] { text = file.read_to_end(); });
    recorder->record(event());  // there may be room again by now, or not
    const std::uint64_t dropped = recorder->counters().dropped();
    CHECK(dropped > 0);
    recorder.reset();
    reader.join();

    std::uint64_t told = 0;
    std::int64_t next = 0;
    for (const std::string& line : lines(text)) {
        const json::value said = json::parse(line);
        if (said.at("event") == "events_dropped") {
            told += static_cast<std::uint64_t>(said.at("count").as_int64());
            next += said.at("count").as_int64();
        } else if (said.at("session") == "s") {
            CHECK(said.at("client_port") == next++);  // every gap was told where it is
        }
    }
    CHECK(told == dropped);
}

TEST_CASE("recorder: ends with everything written that was queued") {
    const HeldUpFile file;
    auto recorder = std::make_unique<Recorder>(proxy::AuditFile::Settings{.path = file.path()});
    for (int i = 0; i < 2'000; ++i) recorder->record(event());
    std::string text;
    std::thread reader([&] { text = file.read_to_end(); });
    recorder.reset();
    reader.join();
    CHECK(lines(text).size() == 2'000);
}

TEST_CASE("recorder: who does not read holds up the end no longer than asked, and nobody else ever") {
    const HeldUpFile file;
    Recorder recorder({.path = file.path()});
    for (int i = 0; i < 2'000; ++i) recorder.record(event());
    CHECK_FALSE(recorder.end_within(std::chrono::milliseconds(1)));
    recorder.record(event("too late"));  // harmless
}

TEST_CASE("recorder: counts the same, whether there is an audit file and an inventory or not") {
    const Folder folder;
    const bool audit = GENERATE(false, true), inventory = GENERATE(false, true);
    Recorder recorder({.path = audit ? folder.file("audit") : ""}, inventory ? kept(folder) : nullptr);
    for (int i = 0; i < 3; ++i) recorder.record(event());
    recorder.record({.kind = EventKind::started});
    CHECK(recorder.counters()[EventKind::rejected] == 3);
    CHECK(recorder.counters()[EventKind::started] == 1);
    CHECK(recorder.counters()[EventKind::connected] == 0);
    CHECK(recorder.counters().dropped() == 0);
}

namespace {

bool comes(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 600 && !condition(); ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return condition();
}

/// A login to a server that was not known, and whose certificate ends tomorrow.
Event first_login() {
    Event connected{.kind = EventKind::connected};
    connected.record.session = "s";
    connected.record.upstream = "db";
    connected.record.usename = "ada";
    connected.record.ssl = true;  // a client in clear would be news as well
    connected.record.upstream_addr = "10.0.0.2:5432";
    connected.record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(
        tls::CertificateFacts{.subject = "CN=db",
                              .issuer = "CN=root",
                              .sans = {},
                              .serial = "1",
                              .sha256 = "2",
                              .end_point = {},
                              .not_before = {},
                              .not_after = std::chrono::system_clock::now() + std::chrono::hours(24)});
    return connected;
}

/// Of the lines of that kind, the sum of their counts.
std::int64_t told_in(const std::string& path) {
    std::int64_t sum = 0;
    for (const std::string& line : lines(content(path))) {
        const json::value said = json::parse(line);
        if (said.at("event") == "events_dropped") sum += said.at("count").as_int64();
    }
    return sum;
}

}  // namespace

TEST_CASE("recorder: what the inventory finds to be news is recorded as well, and counted in metrics") {
    const Folder folder;
    {
        Recorder recorder({.path = folder.file("audit")}, kept(folder));
        recorder.metrics().serve({}, {"db"});
        recorder.record(first_login());
        CHECK(comes([&] { return recorder.counters()[EventKind::upstream_certificate] == 1; }));
        CHECK(comes([&] {
            const auto counted = recorder.metrics().numbers().upstreams.at("db").certificates;
            return counted[static_cast<std::size_t>(proxy::CaChange::first)] == 1;
        }));
    }
    const auto written = lines(content(folder.file("audit")));
    REQUIRE(written.size() == 2);
    CHECK(json::parse(written[1]).at("event") == "upstream_certificate");
}

TEST_CASE("recorder: a server's certificate is news without an inventory as well") {
    const Folder folder;
    {
        Recorder recorder({.path = folder.file("audit")});
        for (int i = 0; i < 3; ++i) recorder.record(first_login());
        Event elsewhere = first_login();
        elsewhere.record.upstream_addr = "10.0.0.3:5432";
        recorder.record(std::move(elsewhere));
    }
    std::vector<std::string> shown_by;
    for (const std::string& line : lines(content(folder.file("audit")))) {
        const json::value said = json::parse(line);
        if (said.at("event") == "upstream_certificate")
            shown_by.emplace_back(said.at("upstream_addr").as_string().c_str());
    }
    CHECK(shown_by == std::vector<std::string>{"10.0.0.2:5432", "10.0.0.3:5432"});
}

TEST_CASE("recorder: a server that goes back to its old CA is in the audit and in metrics once more") {
    const Folder folder;
    {
        Recorder recorder({.path = folder.file("audit")}, kept(folder));
        recorder.metrics().serve({}, {"db"});
        const auto show = [&](const std::string& issuer) {
            Event login = first_login();
            tls::CertificateFacts leaf = *login.record.upstream_tls.leaf;
            leaf.sha256 = leaf.issuer = issuer;
            login.record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(leaf);
            recorder.record(std::move(login));
        };
        for (const char* const issuer : {"CN=old", "CN=new", "CN=old", "CN=new"}) show(issuer);
        CHECK(comes([&] {
            const auto counted = recorder.metrics().numbers().upstreams.at("db").certificates;
            return counted[static_cast<std::size_t>(proxy::CaChange::other)] == 2;
        }));
    }
    std::vector<std::string> issuers;
    for (const std::string& line : lines(content(folder.file("audit")))) {
        const json::value said = json::parse(line);
        if (said.at("event") != "upstream_certificate") continue;
        issuers.emplace_back(said.at("issuer").as_string().c_str());
        CHECK(said.at("not_told") == 0);
    }
    CHECK(issuers == std::vector<std::string>{"CN=old", "CN=new", "CN=old"});
}

TEST_CASE("recorder: a server's certificate that the inventory knew before the start is no news") {
    const Folder folder;
    for (int start = 0; start < 2; ++start) {
        Recorder recorder({.path = folder.file("audit")}, kept(folder));
        recorder.record(first_login());
    }
    int told = 0;
    for (const std::string& line : lines(content(folder.file("audit"))))
        told += json::parse(line).at("event") == "upstream_certificate" ? 1 : 0;
    CHECK(told == 1);
}

TEST_CASE("recorder: what follows from an event is shown behind it, as in the audit") {
    const Folder folder;
    std::vector<EventKind> shown;
    {
        Recorder recorder({.path = folder.file("audit")}, kept(folder));
        recorder.record(first_login());
        CHECK(comes([&] { return recorder.recent().all().size() == 2; }));
        for (const auto& one : recorder.recent().all()) shown.push_back(one->kind);
    }
    CHECK(shown == std::vector{EventKind::connected, EventKind::upstream_certificate});
    const auto written = lines(content(folder.file("audit")));
    REQUIRE(written.size() == shown.size());
    for (std::size_t i = 0; i < shown.size(); ++i)
        CHECK(json::parse(written[i]).at("event").as_string() == proxy::label(shown[i]));
}

TEST_CASE("recorder: what the audit file did not take is counted and told as what the queue dropped") {
    const Folder folder;
    const std::string audit = folder.file("audit");
    std::atomic<std::uint64_t> alerted{0}, written{0};
    {
        Recorder recorder({.path = audit}, kept(folder), Recorder::max_queued_bytes, [&](const Event& told) {
            if (told.kind == EventKind::events_dropped) alerted += told.count;
            if (told.kind == EventKind::rejected) ++written;
        });
        {
            const support::FullDisk full(0);
            recorder.record(event());
            recorder.record(event());
            // While the disk is full: nobody knows whether it ever has room again.
            CHECK(comes([&] { return alerted == 2; }));
            CHECK(recorder.counters().dropped() == 2);
            CHECK(recorder.counters()[EventKind::events_dropped] >= 1);
            CHECK(written == 2);
        }
        const std::uint64_t told = recorder.counters()[EventKind::events_dropped];
        recorder.record(event());
        CHECK(comes([&] { return told_in(audit) == 2; }));
        CHECK(recorder.counters().dropped() == 2);
        CHECK(recorder.counters()[EventKind::events_dropped] == told);  // the line in the file is no other event
        CHECK(alerted == 2);
    }
    const std::string inventory = folder.file("inventory.db");
    CHECK(proxy::Sqlite(inventory, proxy::Sqlite::Mode::read_only)
              .integer("SELECT events_dropped FROM proxies WHERE last_loss > 0") == 2);
}

TEST_CASE("recorder: what the audit file did not take of the last events is told as well") {
    const Folder folder;
    std::uint64_t alerted = 0;
    auto recorder = std::make_unique<Recorder>(proxy::AuditFile::Settings{.path = folder.file("audit")}, nullptr,
                                               Recorder::max_queued_bytes, [&](const Event& told) {
                                                   if (told.kind == EventKind::events_dropped) alerted += told.count;
                                               });
    const support::FullDisk full(0);
    for (int i = 0; i < 5; ++i) recorder->record(event());
    recorder.reset();
    CHECK(alerted == 5);
}

TEST_CASE("recorder: how many the queue dropped is told by a file that first did not take the line about them") {
    const Folder folder;
    const std::string audit = folder.file("audit");
    std::uint64_t dropped = 0;
    {
        Recorder recorder({.path = audit}, nullptr, 4 * sizeof(Event));
        {
            const support::FullDisk full(0);
            for (int i = 0; i < 1'000; ++i) recorder.record(event());
            CHECK(comes([&] { return recorder.counters()[EventKind::events_dropped] >= 1; }));
        }
        CHECK(comes([&] {
            recorder.record(event());
            return told_in(audit) > 0;
        }));
        recorder.end_within(Recorder::farewell);
        dropped = recorder.counters().dropped();
    }
    CHECK(told_in(audit) == static_cast<std::int64_t>(dropped));
}

TEST_CASE("recorder: an audit file that cannot be opened is an error at the start") {
    const Folder folder;
    CHECK_THROWS_AS(Recorder({.path = folder.file("missing/audit")}), std::runtime_error);
}
