#include "proxy/session/cancel_registry.hpp"

#include <thread>

#include "support/catch.hpp"

namespace {

using protocol::Buffer;
using protocol::CancelRequest;
using proxy::CancelRegistry;
using proxy::CancelTarget;

CancelTarget target(const std::string& address) {
    return {.route = nullptr, .endpoint = {}, .host = "db", .address = address, .encryption = proxy::Encryption::tls};
}

std::string found(const CancelRegistry& registry, std::uint32_t pid, Buffer key) {
    const auto target = registry.find(CancelRequest{.pid = pid, .key = std::move(key)});
    return target ? target->address : "nothing";
}

}  // namespace

TEST_CASE("a key leads to the server that gave it out, for as long as its session lives") {
    CancelRegistry registry;
    {
        const auto lease = registry.add(7, {1, 2, 3, 4}, target("a"));
        CHECK(found(registry, 7, {1, 2, 3, 4}) == "a");
    }
    CHECK(found(registry, 7, {1, 2, 3, 4}) == "nothing");
}

TEST_CASE("only the whole key of the right process is a match") {
    CancelRegistry registry;
    const auto lease = registry.add(7, {1, 2, 3, 4}, target("a"));
    CHECK(found(registry, 8, {1, 2, 3, 4}) == "nothing");
    CHECK(found(registry, 7, {1, 2, 3, 5}) == "nothing");
    CHECK(found(registry, 7, {1, 2, 3}) == "nothing");
    CHECK(found(registry, 7, {1, 2, 3, 4, 0}) == "nothing");
    CHECK(found(registry, 7, {}) == "nothing");
}

TEST_CASE("two servers may give out the same process number, and even the same key") {
    CancelRegistry registry;
    const auto a = registry.add(7, {1, 1, 1, 1}, target("a"));
    {
        const auto b = registry.add(7, {2, 2, 2, 2}, target("b"));
        const auto twin = registry.add(7, {1, 1, 1, 1}, target("a"));
        CHECK(found(registry, 7, {1, 1, 1, 1}) == "a");
        CHECK(found(registry, 7, {2, 2, 2, 2}) == "b");
    }
    CHECK(found(registry, 7, {1, 1, 1, 1}) == "a");
    CHECK(found(registry, 7, {2, 2, 2, 2}) == "nothing");
}

TEST_CASE("a lease can be moved, and ends once") {
    CancelRegistry registry;
    CancelRegistry::Registration kept;
    {
        auto lease = registry.add(1, {1, 2, 3, 4}, target("a"));
        CancelRegistry::Registration moved(std::move(lease));
        kept = std::move(moved);
    }
    CHECK(found(registry, 1, {1, 2, 3, 4}) == "a");
    kept = {};
    CHECK(found(registry, 1, {1, 2, 3, 4}) == "nothing");
}

TEST_CASE("a lease that is overwritten lets go of its own key") {
    CancelRegistry registry;
    auto lease = registry.add(1, {1, 2, 3, 4}, target("a"));
    lease = registry.add(2, {1, 2, 3, 4}, target("b"));
    CHECK(found(registry, 1, {1, 2, 3, 4}) == "nothing");
    CHECK(found(registry, 2, {1, 2, 3, 4}) == "b");
}

TEST_CASE("sessions of several threads come and go") {
    CancelRegistry registry;
    const auto stays = registry.add(7, {0, 0, 0, 0}, target("stays"));
    const auto work = [&registry](std::uint8_t thread) {
        for (std::uint8_t i = 0; i < 200; ++i) {
            const auto lease = registry.add(7, {thread, i, 1, 1}, target("t"));
            if (!registry.find({.pid = 7, .key = {thread, i, 1, 1}})) std::terminate();
        }
    };
    std::thread one(work, std::uint8_t{1});
    std::thread two(work, std::uint8_t{2});
    one.join();
    two.join();
    CHECK(found(registry, 7, {0, 0, 0, 0}) == "stays");
    CHECK(found(registry, 7, {1, 5, 1, 1}) == "nothing");
}
