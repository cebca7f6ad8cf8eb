// What the recorder does when it finds no memory for one allocation, whichever that is: what it was
// about is lost, counted and told; nothing else is.
#include <atomic>
#include <boost/json.hpp>
#include <thread>

#include "proxy/record/recorder.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/no_memory.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Event;
using proxy::EventKind;
using proxy::Inventory;
using proxy::Recorder;
namespace json = boost::json;

constexpr std::uint64_t logins = 4;

Event login_of(const std::string& user) {
    Event connected{.kind = EventKind::connected};
    connected.record.session = "session-of-" + user;
    connected.record.listener = "legacy";
    connected.record.upstream = "a-database-of-many";
    connected.record.usename = user;
    connected.record.upstream_addr = "10.0.0.2:5432";
    connected.record.upstream_tls.leaf = std::make_shared<const tls::CertificateFacts>(
        tls::CertificateFacts{.subject = "CN=db",
                              .issuer = "CN=root",
                              .sans = {},
                              .serial = "1",
                              .sha256 = "2",
                              .end_point = {},
                              .not_before = {},
                              .not_after = std::chrono::system_clock::now() + 24h});
    return connected;
}

/// Of the recorder's thread, on which it is told of events and at last destroyed.
struct Ear {
    struct Heard {
        std::atomic<std::uint64_t> logins{0};
        std::atomic<bool> armed{false}, failed{false};
    };

    Ear(std::size_t allocations, std::shared_ptr<Heard> heard) : after(allocations), told(std::move(heard)) {}
    ~Ear() {
        if (memory) told->failed = memory->failed();
    }
    void hear(const Event& event) {
        if (event.kind == EventKind::started) {
            memory.emplace(after);
            told->armed = true;
        }
        if (event.kind == EventKind::connected) ++told->logins;
    }

    const std::size_t after;
    const std::shared_ptr<Heard> told;
    std::optional<support::NoMemory> memory;
};

bool comes_true(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 30'000 && !condition(); ++tries) std::this_thread::sleep_for(1ms);
    return condition();
}

struct Written {
    std::uint64_t lines = 0;  // of events other than events_dropped
    std::uint64_t told = 0;   // as lost
};

Written written_to(const std::string& path) {
    Written all;
    for (const std::string& line : support::lines(support::content(path))) {
        const json::value said = json::parse(line);
        if (said.at("event") == "events_dropped") {
            all.told += said.at("count").to_number<std::uint64_t>();
        } else {
            ++all.lines;
        }
    }
    return all;
}

/// What came of it, where memory failed once.
struct Outcome {
    bool failed = false;  // false: there were fewer allocations
    std::string wrong;    // what was not as it should be
};

Outcome without_memory(std::size_t allocations) {
    const support::Folder folder;
    const std::string inventory = folder.file("inventory.db"), audit = folder.file("audit");
    const auto heard = std::make_shared<Ear::Heard>();
    Outcome outcome;
    const auto expect = [&](bool is_so, const std::string& what) {
        if (!is_so) outcome.wrong += what + "; ";
    };
    std::uint64_t recorded = 0, news = 0, dropped = 0;
    {
        auto ear = std::make_shared<Ear>(allocations, heard);
        Recorder recorder(
            {.path = audit, .chained = proxy::Chained::yes},
            std::make_unique<proxy::InventoryKeeper>(proxy::InventoryKeeper::Settings{
                .path = inventory,
                .open = [inventory] { return std::make_unique<Inventory>(Inventory::Settings{.path = inventory}); }}),
            Recorder::max_queued_bytes, [ear](const Event& event) { ear->hear(event); });
        ear.reset();  // the last is the recorder's
        recorder.record({.kind = EventKind::started, .message = "the first"});
        expect(comes_true([&] { return heard->armed.load(); }), "nothing was told");
        std::filesystem::rename(audit, audit + ".1");
        recorder.reopen();
        for (std::uint64_t i = 0; i < logins; ++i) recorder.record(login_of("somebody-" + std::to_string(i)));
        expect(comes_true([&] { return heard->logins == logins; }), "not every login was told");
        // One login may be what was lost.
        expect(comes_true([&] { return recorder.counters()[EventKind::new_weak_client] + 1 >= logins; }),
               "the inventory was not written");
        expect(comes_true([&] { return std::filesystem::exists(audit); }), "the audit was not opened anew");
        expect(recorder.end_within(60s), "it does not end");
        for (std::size_t kind = 0; kind < proxy::event_kinds; ++kind) {
            if (static_cast<EventKind>(kind) != EventKind::events_dropped)
                recorded += recorder.counters()[static_cast<EventKind>(kind)];
        }
        news = recorder.counters()[EventKind::new_weak_client];
        dropped = recorder.counters().dropped();
    }
    const std::uint64_t lines = written_to(audit + ".1").lines + written_to(audit).lines;
    expect(dropped <= 1, "more than one was dropped");
    expect(lines + dropped >= recorded, "some are lost without a word");
    expect(lines + 1 >= recorded, "more than one is not in the audit");
    proxy::Sqlite db(inventory, proxy::Sqlite::Mode::read_only);
    const auto known = static_cast<std::uint64_t>(db.integer("SELECT sum(connections) FROM clients"));
    const auto lost = static_cast<std::uint64_t>(db.integer("SELECT sum(events_dropped) FROM proxies"));
    expect(known + lost >= logins, "the inventory lacks some, and does not say so");
    expect(known + 1 >= logins, "the inventory lacks more than one");
    expect(news == known, "what the inventory has found to be news was not told");
    outcome.failed = heard->failed;
    return outcome;
}

}  // namespace

TEST_CASE("recorder: whichever allocation fails, what it was about is lost alone, and counted") {
    constexpr std::size_t at_once = 32;  // each mostly waits
    std::size_t allocations = 0;
    for (bool failed = true; failed; allocations += at_once) {
        std::vector<Outcome> outcomes(at_once);
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < at_once; ++i)
            threads.emplace_back([&, i] { outcomes[i] = without_memory(allocations + i); });
        for (std::thread& thread : threads) thread.join();
        for (std::size_t i = 0; i < at_once; ++i) {
            CAPTURE(allocations + i);
            CHECK(outcomes[i].wrong.empty());
            if (!outcomes[i].wrong.empty()) WARN(outcomes[i].wrong);
        }
        failed = outcomes.back().failed;
    }
    CHECK(allocations > 100);
}
