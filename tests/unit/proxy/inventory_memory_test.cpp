// The inventory where memory runs out, or a part of its file fails, just after something was
// committed: what is written is not written again.
#include "proxy/inventory/inventory.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/no_memory.hpp"

namespace {

using protocol::Evidence;
using proxy::Event;
using proxy::EventKind;
using proxy::Inventory;
using proxy::Sqlite;

Event login(Evidence evidence, int second) {
    Event event{.kind = EventKind::connected};
    event.time += std::chrono::seconds(second);
    event.record.session = "the session of somebody";
    event.record.listener = "legacy";
    event.record.upstream = "orders";
    event.record.client_addr = "10.0.0.1";
    event.record.usename = "ada";
    event.record.evidence = {evidence};
    return event;
}

std::int64_t stored(const std::string& file, const std::string& sql) {
    return Sqlite(file, Sqlite::Mode::read_only).integer(sql);
}

struct Outcome {
    bool failed = false;  // false: there were fewer allocations
    std::int64_t connections = 0;
    std::size_t news = 0;
};

/// Flushes until it is written, where one allocation of the first attempt fails.
Outcome flushed_without_memory(std::size_t allocations) {
    const support::Folder folder;
    Inventory inventory({.path = folder.file("inventory.db")});
    // A new client that contradicts itself: two pieces of news.
    inventory.absorb(login(Evidence::untrusted_accepted, 1));
    inventory.absorb(login(Evidence::closed_after_no, 2));
    inventory.absorb(login(Evidence::clear_startup, 3));
    Outcome outcome;
    {
        const support::NoMemory memory(allocations);
        try {
            outcome.news += inventory.flush().size();
        } catch (const std::bad_alloc&) {
            // Nothing was taken.
        }
        outcome.failed = memory.failed();
    }
    outcome.news += inventory.flush().size();
    outcome.connections = stored(folder.file("inventory.db"), "SELECT sum(connections) FROM clients");
    return outcome;
}

}  // namespace

TEST_CASE("inventory: whichever allocation fails, nothing is counted twice and no news is lost") {
    const std::size_t news = flushed_without_memory(1'000'000).news;
    REQUIRE(news == 2);
    std::size_t allocations = 0;
    for (bool failed = true; failed; ++allocations) {
        const Outcome outcome = flushed_without_memory(allocations);
        CAPTURE(allocations);
        CHECK(outcome.connections == 3);
        CHECK(outcome.news == news);
        failed = outcome.failed;
    }
    CHECK(allocations > 20);
}

TEST_CASE("inventory: events that were lost are counted once, also where something fails behind their count") {
    const support::Folder folder;
    const std::string file = folder.file("inventory.db");
    Inventory inventory({.path = file});
    proxy::Probes probes;
    inventory.restore(probes);
    Sqlite(file, Sqlite::Mode::read_write).exec("ALTER TABLE marks RENAME TO no_marks");  // behind the count
    inventory.lost(3);
    inventory.flush();
    inventory.flush();
    Sqlite(file, Sqlite::Mode::read_write).exec("ALTER TABLE no_marks RENAME TO marks");
    inventory.flush();
    CHECK(stored(file, "SELECT events_dropped FROM proxies") == 3);
}
