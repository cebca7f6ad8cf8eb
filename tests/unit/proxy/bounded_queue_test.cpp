#include "proxy/record/bounded_queue.hpp"

#include <thread>

#include "proxy/observation/event.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::Event;
using proxy::EventKind;
using EventQueue = proxy::BoundedQueue<proxy::Event>;

const auto at_once = EventQueue::Clock::time_point{};

Event event(const std::string& text = {}) { return {.kind = EventKind::rejected, .message = text}; }

std::vector<std::string> texts(const EventQueue::Batch& batch) {
    std::vector<std::string> out;
    for (const Event& event : batch.items) out.push_back(event.message);
    return out;
}
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("the queue: what goes in first comes out first") {
    EventQueue queue(1'000'000);
    for (const char* text : {"a", "b", "c"}) CHECK(queue.push(event(text)));
    CHECK(texts(queue.take(at_once)) == Texts{"a", "b", "c"});
    CHECK(texts(queue.take(at_once)).empty());
}

TEST_CASE("the queue: an event's size is its own and that of its texts") {
    const std::size_t bare = proxy::footprint(event());
    CHECK(bare == sizeof(Event));
    CHECK(proxy::footprint(event(std::string(10'000, 'x'))) >= bare + 10'000);
    Event long_names = event();
    long_names.record.usename = long_names.record.sni = std::string(5'000, 'x');
    CHECK(proxy::footprint(long_names) >= bare + 10'000);
}

TEST_CASE("the queue: bounded in bytes, and not in events") {
    const std::string longer(100'000, 'x');
    const std::size_t room = 3 * proxy::footprint(event(longer));
    EventQueue queue(room);
    int long_ones = 0;
    while (queue.push(event(longer))) ++long_ones;
    CHECK(long_ones == 3);
    queue.take(at_once);
    queue.take(at_once);
    std::size_t short_ones = 0;
    while (queue.push(event())) ++short_ones;
    CHECK(short_ones == room / sizeof(Event));
}

TEST_CASE("the queue: what was dropped is told once, in its place of the order") {
    const std::string longer(100'000, 'x');
    EventQueue queue(2 * proxy::footprint(event(longer)));
    CHECK(queue.push(event(longer)));
    CHECK(queue.push(event("second")));
    CHECK_FALSE(queue.push(event(longer)));
    CHECK_FALSE(queue.push(event("small")));  // it would fit, but would be told before what came earlier
    const auto full = queue.take(at_once);
    CHECK(texts(full) == Texts{longer, "second"});
    CHECK(full.dropped == 2);
    queue.take(at_once);
    CHECK(queue.push(event("later")));
    const auto after = queue.take(at_once);
    CHECK(texts(after) == Texts{"later"});
    CHECK(after.dropped == 0);
}

TEST_CASE("the queue: what is being written takes room until the next batch is taken") {
    EventQueue queue(2 * sizeof(Event));
    CHECK(queue.push(event("1")));
    CHECK(queue.push(event("2")));
    CHECK(texts(queue.take(at_once)) == Texts{"1", "2"});
    CHECK_FALSE(queue.push(event("3")));
    CHECK(queue.take(at_once).dropped == 1);
    CHECK(queue.push(event("4")));
}

TEST_CASE("the queue: an event that is longer than all of it is dropped, and that is told") {
    EventQueue queue(100);
    CHECK_FALSE(queue.push(event()));
    CHECK(queue.take(EventQueue::Clock::time_point::max()).dropped == 1);
}

TEST_CASE("the queue: whoever is nudged has something to do that is in no item, once") {
    EventQueue queue(1'000'000);
    queue.nudge();
    const auto batch = queue.take(EventQueue::Clock::time_point::max());  // does not wait
    CHECK(batch.items.empty());
    CHECK_FALSE(batch.closed);
    queue.push(event("next"));
    CHECK(texts(queue.take(EventQueue::Clock::time_point::max())) == Texts{"next"});
}

TEST_CASE("the queue: a reopening and the end are told with what came before them") {
    EventQueue queue(1'000'000);
    queue.push(event("before"));
    queue.ask_reopen();
    const auto batch = queue.take(EventQueue::Clock::time_point::max());
    CHECK(texts(batch) == Texts{"before"});
    CHECK(batch.reopen);
    CHECK_FALSE(batch.closed);
    queue.push(event("last"));
    queue.close();
    const auto last = queue.take(EventQueue::Clock::time_point::max());
    CHECK(texts(last) == Texts{"last"});
    CHECK_FALSE(last.reopen);
    CHECK(last.closed);
}

TEST_CASE("the queue: what comes soon after something is taken with it, much is taken at once") {
    EventQueue queue(1'000'000);
    EventQueue::Batch batch;
    REQUIRE(queue.push(event("a")));
    std::thread reader([&] { batch = queue.take(EventQueue::Clock::time_point::max(), 1h); });
    CHECK(queue.push(event("b")));
    SECTION("a quarter of the room") {
        const std::string large(250'000, 'x');
        CHECK(queue.push(event(large)));
        reader.join();
        CHECK(texts(batch) == Texts{"a", "b", large});
    }
    SECTION("the end") {
        queue.close();
        reader.join();
        CHECK(texts(batch) == Texts{"a", "b"});
        CHECK(batch.closed);
    }
    SECTION("what finds no room") {
        CHECK_FALSE(queue.push(event(std::string(1'000'000, 'x'))));
        reader.join();
        CHECK(texts(batch) == Texts{"a", "b"});
        CHECK(batch.dropped == 1);
    }
}
