#include "proxy/upstream/session_sampler.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using proxy::OwnBackends;
using proxy::SampledKind;
using proxy::SamplingUses;
using proxy::ServerLook;
using proxy::SessionSampler;

const SessionSampler::Time start{1h};
constexpr std::int64_t server_start = 1'000'000;
const SessionSampler::Server server{
    .upstream = "db", .address = "10.1.0.1:5432", .monitor_user = "pgairlock_monitor", .interval = 5s};

/// That has lasted for so long.
protocol::ListedSession session(std::int64_t pid, std::chrono::seconds began, const std::string& version = "") {
    return {.pid = pid,
            .started = std::chrono::microseconds(began).count(),
            .client_addr = "10.0.0.9",
            .usename = "ada",
            .datname = "shop",
            .application_name = "app",
            .version = version};
}

/// Looks every five seconds; `at` of the server's clock, which is ours less an hour.
class Looks {
   public:
    explicit Looks(SamplingUses uses = {}) : uses_(std::move(uses)) {}

    std::optional<ServerLook> at(std::chrono::seconds at, std::vector<protocol::ListedSession> sessions,
                                 const SessionSampler::Server& where = server, std::int64_t started = server_start) {
        ServerLook look;
        const protocol::SessionList list{
            .server_started = started, .now = std::chrono::microseconds(at).count(), .sessions = std::move(sessions)};
        if (!sampler.take(where, list, uses_, start + at, look)) return std::nullopt;
        return look;
    }

    SessionSampler sampler;

   private:
    SamplingUses uses_;
};

std::uint64_t seen(const std::optional<ServerLook>& look, bool through) {
    REQUIRE(look);
    std::uint64_t sum = 0;
    for (const auto& [kind, count] : look->sessions) sum += kind.through == through ? count.seen : 0;
    return sum;
}

std::uint64_t sessions(const std::optional<ServerLook>& look) {
    REQUIRE(look);
    std::uint64_t sum = 0;
    for (const auto& [kind, count] : look->sessions) sum += count.sessions;
    return sum;
}

}  // namespace

TEST_CASE("whoever proxies nobody sees others alone, from the first look on") {
    Looks looks;
    const auto first = looks.at(100s, {session(7, 10s, "TLSv1.3"), session(8, 99s)});
    CHECK(seen(first, false) == 2);
    CHECK(sessions(first) == 2);
    const auto second = looks.at(105s, {session(8, 99s)});
    CHECK(seen(second, false) == 1);
    CHECK(sessions(second) == 0);  // counted before
    const auto third = looks.at(110s, {session(8, 106s)});
    CHECK(sessions(third) == 1);  // another backend of that process id
}

TEST_CASE("the first look where sessions may be ours is not counted") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    CHECK_FALSE(looks.at(100s, {session(7, 10s)}));
    CHECK(seen(looks.at(105s, {session(7, 10s)}), false) == 1);
}

TEST_CASE("a backend is ours by its process id at the server's address") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {session(7, 10s), session(8, 10s)});
    ours.began("10.1.0.1:5432", 7, start + 11s);
    ours.began("10.1.0.2:5432", 8, start + 11s);  // at another server
    const auto look = looks.at(100s, {session(7, 10s), session(8, 10s)});
    CHECK(seen(look, true) == 1);
    CHECK(seen(look, false) == 1);
}

TEST_CASE("a session that begins during a look is nobody's until the next one") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {});
    const auto first = looks.at(100s, {session(7, 99s), session(8, 99s)});
    CHECK(first->sessions.empty());
    CHECK(first->left_out == 0);
    ours.began("10.1.0.1:5432", 7, start + 100s);
    const auto second = looks.at(105s, {session(7, 99s), session(8, 99s)});
    CHECK(seen(second, true) == 1);
    CHECK(seen(second, false) == 1);
    CHECK(sessions(second) == 2);
    CHECK(seen(looks.at(110s, {session(8, 99s)}), false) == 1);
}

TEST_CASE("ours count from the same look on as others of their age") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {});
    ours.began("10.1.0.1:5432", 7, start + 99s);
    CHECK(looks.at(100s, {session(7, 99s), session(8, 99s)})->sessions.empty());
    const auto second = looks.at(105s, {session(8, 99s)});  // ours has gone, and everybody knows whose it was
    CHECK(seen(second, false) == 1);
    CHECK(second->left_out == 0);
}

TEST_CASE("one that is gone before anybody could tell whose it was is counted as left out") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {});
    looks.at(100s, {session(7, 99s)});
    const auto second = looks.at(105s, {});
    CHECK(second->sessions.empty());
    CHECK(second->left_out == 1);
}

TEST_CASE("a backend that outlives our session stays ours, and another one of its process id is not") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {});
    ours.began("10.1.0.1:5432", 7, start + 50s);
    ours.began("10.1.0.1:5432", 8, start + 50s);
    ours.ended("10.1.0.1:5432", 7, start + 98s);
    ours.ended("10.1.0.1:5432", 8, start + 98s);
    looks.at(100s, {session(7, 50s), session(8, 99s)});
    const auto look = looks.at(105s, {session(7, 50s), session(8, 99s)});
    CHECK(seen(look, true) == 1);
    CHECK(seen(look, false) == 1);
    // Whose it was is known as long as it is there, whatever else is forgotten.
    CHECK(seen(looks.at(2000s, {session(7, 50s)}), true) == 1);
}

TEST_CASE("beside another process of this proxy nobody is called somebody else's") {
    OwnBackends ours;
    bool alone = false;
    Looks looks({.ours = &ours, .is_alone = [&] { return alone; }});
    looks.at(95s, {});
    ours.began("10.1.0.1:5432", 8, start + 10s);
    const auto beside = looks.at(100s, {session(7, 10s), session(8, 10s)});
    CHECK(seen(beside, true) == 1);
    CHECK(seen(beside, false) == 0);
    CHECK(beside->left_out == 1);
    // What that one has left at the server goes on, as does what began just before it ended.
    alone = true;
    for (const auto at : {105s, 110s}) {
        const auto after = looks.at(at, {session(7, 10s), session(8, 10s), session(9, 104s)});
        CHECK(seen(after, true) == 1);
        CHECK(seen(after, false) == 0);
        CHECK(after->left_out == 2);
    }
    looks.at(115s, {session(7, 10s), session(10, 112s)});
    const auto later = looks.at(120s, {session(7, 10s), session(10, 112s)});
    CHECK(seen(later, false) == 2);
    CHECK(later->sessions.begin()->second.sessions == 1);
    CHECK(later->left_out == 1);
}

TEST_CASE("another address of a server calls nobody somebody else's whom the first one did not") {
    OwnBackends ours;
    bool alone = false;
    Looks looks({.ours = &ours, .is_alone = [&] { return alone; }});
    SessionSampler::Server other = server;
    other.address = "[::1]:5432";
    looks.at(95s, {});
    looks.at(95s, {}, other);
    alone = true;
    looks.at(100s, {session(7, 10s)});
    looks.at(100s, {session(7, 10s)}, other);
    looks.sampler.forget("db", "10.1.0.1:5432");
    looks.at(105s, {session(7, 10s)}, other);
    const auto look = looks.at(110s, {session(7, 10s)}, other);
    CHECK(seen(look, false) == 0);
    CHECK(look->left_out == 1);
}

TEST_CASE("a backend that began after our login of the same process id is not ours") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {});
    ours.began("10.1.0.1:5432", 7, start + 20s);  // and is still open here
    looks.at(100s, {session(7, 60s)});
    const auto look = looks.at(105s, {session(7, 60s)});
    CHECK(seen(look, true) == 0);
    CHECK(seen(look, false) == 2);
    CHECK(sessions(look) == 1);
    CHECK(ours.find({"10.1.0.1:5432"}, 7)->open);
}

TEST_CASE("a login late on an old connection is ours when the server has told us a moment later") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {});
    const auto first = looks.at(100s, {session(7, 30s), session(8, 30s)});
    CHECK(first->sessions.empty());
    CHECK(first->left_out == 0);
    ours.began("10.1.0.1:5432", 7, start + 100s);
    const auto second = looks.at(105s, {session(7, 30s), session(8, 30s)});
    CHECK(seen(second, true) == 2);  // at both looks
    CHECK(seen(second, false) == 2);
    CHECK(sessions(second) == 2);
    CHECK(seen(looks.at(110s, {session(8, 30s)}), false) == 1);
}

TEST_CASE("one of others that was not young counts also when it is gone by the next look") {
    OwnBackends ours;
    Looks looks({.ours = &ours});
    looks.at(95s, {session(6, 10s)});  // not counted: the first look
    looks.at(100s, {session(7, 97s), session(8, 97s)});
    ours.began("10.1.0.1:5432", 8, start + 100s);
    const auto look = looks.at(105s, {});
    CHECK(seen(look, false) == 1);
    CHECK(sessions(look) == 1);
    CHECK(look->left_out == 0);
    CHECK(looks.at(110s, {})->sessions.empty());
}

TEST_CASE("of a server with two addresses one is looked at, and sessions of both are ours") {
    OwnBackends ours;
    ours.began("[::1]:5432", 7, start + 104s);
    Looks looks({.ours = &ours});
    SessionSampler::Server other = server;
    other.address = "[::1]:5432";
    CHECK_FALSE(looks.at(100s, {session(7, 10s)}));
    CHECK_FALSE(looks.at(100s, {session(7, 10s)}, other));
    CHECK(seen(looks.at(105s, {session(7, 10s)}), true) == 1);
    CHECK_FALSE(looks.at(105s, {session(7, 10s)}, other));
    // Another server is another one, also at an address that was known.
    looks.at(110s, {}, other, 2 * server_start);
    CHECK(seen(looks.at(115s, {session(7, 113s - 10s)}, other, 2 * server_start), true) == 1);
    // And where the first address is not asked any more, the second one is looked at.
    looks.at(120s, {}, other);
    looks.sampler.forget("db", "10.1.0.1:5432");
    CHECK(looks.at(125s, {}, other));
}

TEST_CASE("monitors are no clients, and only with the monitor's role") {
    Looks looks;
    protocol::ListedSession monitor = session(7, 10s);
    monitor.usename = "pgairlock_monitor";
    monitor.application_name = "pgairlock monitor";
    protocol::ListedSession pretender = session(8, 10s);
    pretender.application_name = "pgairlock monitor";
    const auto look = looks.at(100s, {monitor, pretender});
    CHECK(seen(look, false) == 1);
    CHECK(look->sessions.begin()->first.usename == "ada");
}

TEST_CASE("monitors of other upstreams are no clients either") {
    Looks looks;
    protocol::ListedSession monitor = session(7, 10s);
    monitor.usename = "watcher";
    monitor.application_name = "pgairlock monitor";
    CHECK(seen(looks.at(100s, {monitor}), false) == 1);
    SessionSampler::Server other = server;
    other.upstream = "db2";
    other.monitor_user = "watcher";
    CHECK(looks.at(105s, {monitor}, other)->sessions.empty());
    CHECK(looks.at(105s, {monitor})->sessions.empty());
    monitor.usename = "unsampled";
    looks.sampler.monitor("unsampled");
    CHECK(looks.at(110s, {monitor})->sessions.empty());
}

TEST_CASE("names that are no text of UTF-8 are written as such, and a socket is local") {
    Looks looks;
    protocol::ListedSession one = session(7, 10s);
    one.usename = "\xff";
    one.application_name = std::string("a\0b", 3);
    one.client_addr.clear();
    const auto look = looks.at(100s, {one});
    CHECK(look->sessions.begin()->first.usename == "\\xff");
    CHECK(look->sessions.begin()->first.application_name == "a\\x00b");
    CHECK(look->sessions.begin()->first.client_addr == "local");
}

TEST_CASE("a look has a bounded number of kinds, and what is beyond it is counted") {
    Looks looks;
    std::vector<protocol::ListedSession> many;
    for (int i = 0; i < 5'000; ++i) {
        many.push_back(session(i, 10s));
        many.back().application_name = std::to_string(i);
    }
    const auto look = looks.at(100s, many);
    CHECK(look->sessions.size() == SessionSampler::max_kinds);
    CHECK(look->left_out == 5'000 - SessionSampler::max_kinds);
}

TEST_CASE("ended backends are remembered for a while, and never too many") {
    OwnBackends ours;
    ours.began("a", 7, start);
    ours.ended("a", 7, start);
    ours.ended("a", 7, start);  // once is enough
    REQUIRE(ours.find({"a"}, 7));
    CHECK_FALSE(ours.find({"a"}, 7)->open);
    CHECK_FALSE(ours.find({"b"}, 7));
    ours.began("a", 7, start + 1s);
    CHECK(ours.find({"a", "b"}, 7)->open);
    CHECK(ours.find({"a", "b"}, 7)->registered == start + 1s);
    ours.began("a", 8, start);
    ours.ended("a", 8, start + OwnBackends::remembered + 1s);
    CHECK(ours.find({"a"}, 7)->open);
    ours.ended("a", 7, start + OwnBackends::remembered + 1s);
    for (std::uint32_t pid = 100; pid < 100 + OwnBackends::max_remembered; ++pid) {
        ours.began("a", pid, start);
        ours.ended("a", pid, start + OwnBackends::remembered + 2s);
    }
    CHECK_FALSE(ours.find({"a"}, 7));
    CHECK_FALSE(ours.find({"a"}, 8));
    CHECK(ours.find({"a"}, 100));
}
