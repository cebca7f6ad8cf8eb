// Behind a load balancer: whom a connection counts for, what is concluded of a client from what the
// load balancer says, and what the inventory keeps of it.
#include "proxy/observation/front.hpp"

#include <stdlib.h>

#include <filesystem>

#include "config/load.hpp"
#include "proxy/inventory/inventory.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "proxy/observation/observer.hpp"
#include "proxy/record/event_json.hpp"
#include "proxy/server/admission.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using protocol::Evidence;
using protocol::ProxyTls;
using List = std::vector<Evidence>;

std::array<std::uint8_t, 16> bytes(const std::string& address) { return config::parse_cidr(address)->bytes; }

Peer peer(const std::string& address) {
    return {.family = 2, .address = address, .port = 1000, .bytes = bytes(address)};
}

ListenerRoute behind_front() {
    ListenerRoute route;
    route.settings.name = "legacy";
    route.upstream = std::make_shared<const UpstreamRoute>();
    route.settings.allow = {*config::parse_cidr("10.0.0.0/8")};
    route.settings.proxy_protocol = config::ProxyProtocol::require;
    route.settings.trusted_proxies = {*config::parse_cidr("192.0.2.1")};
    return route;
}

LoginRequest app_at(const ListenerRoute& route) {
    return {.route = route, .user = "app", .database = "shop", .now = std::chrono::steady_clock::now()};
}

config::Runtime limits(unsigned before_login, unsigned per_address = 0) {
    config::Runtime made;
    made.max_connections = 1000;
    made.max_connections_per_address = per_address;
    made.max_connections_before_login = before_login;
    return made;
}

using Answer = std::optional<Admission::Answer>;

/// A header has come. "": it is let in; "unheard": it cannot even be told; else why not.
std::string enter(Answer& answer, const std::string& address) {
    answer->rejection.reset();
    if (!answer->place.enter(behind_front(), address, bytes(address), answer->rejection)) return "unheard";
    return answer->rejection ? std::string(label(answer->rejection->reason)) : "";
}

std::shared_ptr<const Front> front(std::optional<ProxyTls> tls, bool local = false) {
    return std::make_shared<const Front>(
        Front{.addr = "192.0.2.1", .version = 2, .local = local, .named_client = !local, .tls = std::move(tls)});
}

const ProxyTls modern = [] {
    ProxyTls tls;
    tls.used = true;
    tls.version = "TLSv1.3";
    tls.cipher = "TLS_AES_256_GCM_SHA384";
    return tls;
}();

struct World {
    RecentClients recent_clients;
    ScramHabits scram_habits;
    Probes probes;
};

SessionRecord record_of(std::shared_ptr<const Front> from) {
    SessionRecord record;
    record.session = "s1";
    record.listener = "legacy";
    record.upstream = "orders";
    record.client_addr = "10.0.0.7";
    record.front = std::move(from);
    return record;
}

/// What a login shows. `negotiation`: "plain", "direct", "sslrequest".
SessionRecord login(World& world, std::shared_ptr<const Front> from, const std::string& negotiation) {
    SessionRecord record = record_of(std::move(from));
    record.negotiation = negotiation;
    {
        Observer observer(Memories{world.recent_clients, world.scram_habits, world.probes}, record);
        record.ssl = negotiation != "plain";
        if (record.ssl) {
            observer.tls_begun();
            config::Probe always;
            always.enabled = true;
            always.fraction = 1;
            CHECK_FALSE(observer.choose_probe(always, {}));
            record.client_tls.version = "TLSv1.3";
        }
        record.usename = "ada";
        record.datname = "shop";
        observer.startup_received(config::Trust::undistributed);
        observer.logged_in();
    }
    return record;
}

class Folder {
   public:
    Folder() {
        char name[] = "/tmp/pgairlock-front-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file() const { return path_ + "/inventory.db"; }
    std::string text(const std::string& sql) const { return Sqlite(file(), Sqlite::Mode::read_only).text(sql); }
    std::int64_t count(const std::string& table) const {
        return Sqlite(file(), Sqlite::Mode::read_only).integer("SELECT count(*) FROM " + table);
    }

   private:
    std::string path_;
};

Event connected(const SessionRecord& record) {
    Event event{.kind = EventKind::connected};
    event.record = record;
    return event;
}

}  // namespace

// --- Whom a connection counts for

TEST_CASE("front: only trusted proxies are let in, and allow is not asked of them") {
    Admission admission;
    const auto trusted = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    REQUIRE(trusted);
    CHECK_FALSE(trusted->rejection);
    const auto allowed = admission.ask(behind_front(), limits(10), peer("10.0.0.7"));
    REQUIRE(allowed);
    REQUIRE(allowed->rejection);
    CHECK(allowed->rejection->reason == Reason::proxy_not_trusted);
    CHECK(allowed->rejection->response.message ==
          R"(no entry in "trusted_proxies" of listener "legacy" for host "10.0.0.7")");
    CHECK_FALSE(admission.ask(behind_front(), limits(10), {.family = 1, .address = {}})->rejection);
}

TEST_CASE("front: allow is asked of the header's address, and of the front's own where that names none") {
    Admission admission;
    auto one = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    CHECK(enter(one, "10.0.0.7") == "");
    auto stranger = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    CHECK(enter(stranger, "198.51.100.1") == "address_not_allowed");
    auto nameless = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    CHECK(enter(nameless, "192.0.2.1") == "address_not_allowed");
    CHECK(admission.present() == 3);
}

TEST_CASE("front: clients behind one load balancer do not take each other's places") {
    Admission admission;
    std::vector<Answer> waiting;
    for (int i = 0; i < 8; ++i) {
        waiting.push_back(admission.ask(behind_front(), limits(10), peer("192.0.2.1")));
        REQUIRE_FALSE(waiting.back()->rejection);
        CHECK(enter(waiting.back(), "10.0.0." + std::to_string(i)) == "");
    }
    // Those that have not said whose they are count for the load balancer: half of all places.
    waiting.clear();
    for (int i = 0; i < 5; ++i) waiting.push_back(admission.ask(behind_front(), limits(10), peer("192.0.2.1")));
    CHECK(admission.ask(behind_front(), limits(10), peer("192.0.2.1"))->rejection);
    CHECK(enter(waiting[0], "10.0.0.7") == "");
    CHECK_FALSE(admission.ask(behind_front(), limits(10), peer("192.0.2.1"))->rejection);
}

TEST_CASE("front: one client cannot take more than its share, however often it comes through a load balancer") {
    Admission admission;
    std::vector<Answer> crowd;
    for (int i = 0; i < 5; ++i) {
        crowd.push_back(admission.ask(behind_front(), limits(10), peer("192.0.2.1")));
        CHECK(enter(crowd.back(), "10.0.0.66") == "");
    }
    auto one_more = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    CHECK(enter(one_more, "10.0.0.66") == "too_many_connections");
    auto other = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    CHECK(enter(other, "10.0.0.7") == "");
}

TEST_CASE("front: whoever was refused for the load balancer's crowd is let in by its own address") {
    Admission admission;
    std::vector<Answer> waiting;
    for (int i = 0; i < 5; ++i) waiting.push_back(admission.ask(behind_front(), limits(10), peer("192.0.2.1")));
    auto refused = admission.ask(behind_front(), limits(10), peer("192.0.2.1"));
    REQUIRE(refused->rejection);
    CHECK(enter(refused, "10.0.0.7") == "");
    const ListenerRoute route = behind_front();
    CHECK_FALSE(refused->place.begin_login(app_at(route)));
}

TEST_CASE("front: max_connections_per_address counts the clients") {
    Admission admission;
    std::vector<Answer> sessions;
    const ListenerRoute route = behind_front();
    const auto log_in = [&](const std::string& address) {
        sessions.push_back(admission.ask(behind_front(), limits(10, 1), peer("192.0.2.1")));
        CHECK(enter(sessions.back(), address) == "");
        return !sessions.back()->place.begin_login(app_at(route));
    };
    CHECK(log_in("10.0.0.1"));
    CHECK(log_in("10.0.0.2"));
    CHECK_FALSE(log_in("10.0.0.1"));
    CHECK(admission.served() == 2);
    sessions.clear();
    CHECK(admission.present() == 0);
    CHECK(admission.served() == 0);
}

TEST_CASE("front: strangers behind a load balancer have the places of all strangers") {
    Admission admission;
    std::vector<Answer> crowd;
    for (unsigned i = 0; i < Admission::max_strangers; ++i) {
        crowd.push_back(admission.ask(behind_front(), limits(1000), peer("192.0.2.1")));
        CHECK(enter(crowd.back(), "198.51.100.1") == "address_not_allowed");
    }
    auto one_more = admission.ask(behind_front(), limits(1000), peer("192.0.2.1"));
    CHECK(enter(one_more, "198.51.100.2") == "unheard");
    CHECK(admission.present() == Admission::max_strangers);
    one_more->place.free();  // it has none any more
    auto client = admission.ask(behind_front(), limits(1000), peer("192.0.2.1"));
    CHECK(enter(client, "10.0.0.7") == "");
}

// --- What is concluded of a client

TEST_CASE("front: a client whose TLS ends at a load balancer used TLS, and no more is known") {
    World world;
    for (const char* const to_us : {"plain", "direct", "sslrequest"}) {
        INFO(to_us);
        const SessionRecord record = login(world, front(modern), to_us);
        CHECK(record.evidence == List{Evidence::tls_at_front});
        CHECK(record.sslmode().verifies() == protocol::Verifies::unknown);
        CHECK(record.weak() == !record.ssl);
    }
    ProxyTls with_certificate = modern;
    with_certificate.certificate = true;
    CHECK(login(world, front(with_certificate), "plain").evidence ==
          List{Evidence::tls_at_front, Evidence::client_certificate});
}

TEST_CASE("front: TLS below 1.2 at a load balancer is weak, whatever comes to us") {
    World world;
    for (const std::string version : {"TLSv1", "TLSv1.1", "SSLv3", ""}) {
        ProxyTls old = modern;
        old.version = version;
        const SessionRecord record = login(world, front(old), "direct");
        CHECK(record.weak());
        CHECK(record.weak_tls());
    }
    CHECK_FALSE(login(world, front(modern), "direct").weak());
}

TEST_CASE("front: direct TLS of which a load balancer saw none may be its own, and proves nothing") {
    World world;
    const SessionRecord record = login(world, front(ProxyTls{}), "direct");
    CHECK(record.evidence == List{Evidence::tls_perhaps_of_front});
    CHECK(record.weak());
    CHECK(record.not_probed == NotProbed::tls_of_front);
}

TEST_CASE("front: TLS that passes through, and clear text, are the client's own") {
    World world;
    CHECK(login(world, front(ProxyTls{}), "sslrequest").evidence == List{Evidence::tls_startup_undistributed});
    CHECK(login(world, front(std::nullopt), "direct").evidence == List{Evidence::tls_startup_undistributed});
    CHECK(login(world, front(ProxyTls{}), "plain").evidence == List{Evidence::clear_startup});
    CHECK(login(world, front(std::nullopt), "plain").evidence == List{Evidence::clear_startup});
    CHECK_FALSE(login(world, front(std::nullopt), "direct").tls_is_of_front());
}

TEST_CASE("front: a handshake that fails with the load balancer is held against nobody") {
    World world;
    SessionRecord record = record_of(front(modern));
    record.negotiation = "direct";
    {
        Observer observer(Memories{world.recent_clients, world.scram_habits, world.probes}, record);
        observer.tls_begun();
        observer.certificate_sent();
        CHECK(observer.ended_early({.client_hello_seen = true, .alert = 48}));
    }
    CHECK(record.evidence.empty());
    // The client's own clear text a moment later is not called a fallback.
    CHECK(login(world, front(std::nullopt), "plain").evidence == List{Evidence::clear_startup});
}

// --- What is kept

TEST_CASE("front: the inventory keeps what the load balancer saw beside the evidence") {
    const Folder folder;
    World world;
    Inventory inventory({.path = folder.file()});
    ProxyTls tls = modern;
    tls.certificate = tls.verified = true;
    tls.common_name = "billing";
    inventory.absorb(connected(login(world, front(tls), "plain")));
    inventory.flush();
    CHECK(folder.text("SELECT certificate FROM evidence WHERE evidence = 'tls_at_front'") ==
          "front: TLSv1.3 TLS_AES_256_GCM_SHA384 certificate verified CN=billing");
    CHECK(folder.text("SELECT plain || ' ' || client_addr FROM clients") == "1 10.0.0.7");
}

TEST_CASE("front: the inventory has the client's TLS version where that ends at the load balancer") {
    const Folder folder;
    World world;
    Inventory inventory({.path = folder.file()});
    ProxyTls old = modern;
    old.version = "TLSv1.1";
    inventory.absorb(connected(login(world, front(old), "direct")));
    inventory.flush();
    CHECK(folder.text("SELECT mode || ' ' || weak_tls FROM days") == "TLSv1.1 1");
    CHECK(folder.text("SELECT version FROM clients") == "TLSv1.1");
}

TEST_CASE("front: a load balancer that asks for itself is no client, and its handshakes are nobody's") {
    const Folder folder;
    World world;
    Inventory inventory({.path = folder.file()});
    inventory.absorb(connected(login(world, front(std::nullopt, true), "plain")));
    Event denied = connected(login(world, front(std::nullopt, true), "plain"));
    denied.kind = EventKind::auth_failed;
    inventory.absorb(denied);
    Event failed{.kind = EventKind::tls_failed};
    failed.record = record_of(front(modern));
    inventory.absorb(failed);
    inventory.flush();
    CHECK(folder.count("clients") == 0);
    CHECK(folder.count("handshakes") == 0);
}

TEST_CASE("front: what is not UTF-8 or too long in a header is neither in the audit nor anywhere else") {
    protocol::ProxyHeader header;
    header.version = 2;
    header.authority = "db\xff.example";
    header.unique_id = std::string("\0\x1b", 2);
    header.tls.emplace().version = std::string(400, 'v');
    const Front told = front_of(header, "192.0.2.1");
    CHECK(told.authority == "db\xef\xbf\xbd.example");
    CHECK(told.unique_id == "\\x00\x1b");
    CHECK(told.tls->version.size() <= 255);
    Event event{.kind = EventKind::rejected};
    event.record = record_of(std::make_shared<const Front>(told));
    const std::string line = to_json(event, "");
    CHECK(line.find("\"proxy_addr\":\"192.0.2.1\"") != std::string::npos);
    CHECK(line.find('\x1b') == std::string::npos);
}
