#include "proxy/inventory/inventory.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "proxy/inventory/fleet.hpp"
#include "proxy/inventory/sqlite.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::Evidence;
using proxy::Event;
using proxy::EventKind;
using proxy::Inventory;
using proxy::Sqlite;

const auto noon = std::chrono::system_clock::now() - 1h;

class Folder {
   public:
    Folder() {
        char name[] = "/tmp/pgairlock-inventory-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file() const { return path_ + "/inventory.db"; }

   private:
    std::string path_;
};

std::int64_t integer(const Folder& folder, const std::string& sql) {
    return Sqlite(folder.file(), Sqlite::Mode::read_only).integer(sql);
}
std::string text(const Folder& folder, const std::string& sql) {
    return Sqlite(folder.file(), Sqlite::Mode::read_only).text(sql);
}

Event event(EventKind kind, std::vector<Evidence> evidence, std::chrono::system_clock::time_point time = noon) {
    Event event{.kind = kind};
    event.time = time;
    event.record.session = "s1";
    event.record.listener = "main";
    event.record.upstream = "db";
    event.record.client_addr = "10.0.0.1";
    event.record.evidence = std::move(evidence);
    if (kind == EventKind::tls_failed) return event;
    event.record.usename = "ada";
    event.record.datname = "shop";
    event.record.application_name = "app";
    return event;
}

Event tls_login(std::chrono::system_clock::time_point time = noon, Evidence evidence = Evidence::tls_startup) {
    Event e = event(EventKind::connected, {evidence}, time);
    e.record.ssl = true;
    e.record.client_tls.version = "TLSv1.3";
    e.record.client_tls.certificate_shown = "front.pem";
    e.record.ja4 = "t13d_x_y";
    e.record.sni = "db.example.com";
    e.record.auth_method = "scram-sha-256";
    return e;
}

void show(Event& event, const std::string& sha256, const std::string& address,
          std::optional<bool> candidate_ok = std::nullopt) {
    event.record.upstream_addr = address;
    event.record.upstream_tls.anchor = "CN=root";
    event.record.upstream_tls.candidate_ok = candidate_ok;
    event.record.upstream_tls.leaf =
        std::make_shared<const tls::CertificateFacts>(tls::CertificateFacts{.subject = "CN=db",
                                                                            .issuer = "CN=root",
                                                                            .sans = {"DNS:db", "IP:10.0.0.2"},
                                                                            .serial = "01",
                                                                            .sha256 = sha256,
                                                                            .end_point = {},
                                                                            .not_before = noon - 24h,
                                                                            .not_after = noon + 24h});
}

std::vector<Event> store(Inventory& inventory, const std::vector<Event>& events) {
    for (const Event& e : events) inventory.absorb(e);
    return inventory.flush();
}

}  // namespace

TEST_CASE("an inventory is made readable for the group and nobody else") {
    const Folder folder;
    const Inventory inventory(folder.file(), 0ms);
    struct stat status {};
    REQUIRE(::stat(folder.file().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
    CHECK(inventory.instance().size() == 16);
}

TEST_CASE("connections of one client are one row, by what they were") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    Event weak = tls_login(noon + 1s);
    weak.record.client_tls.weak = true;
    weak.record.client_tls.version = "TLSv1";
    weak.record.auth_bridge = protocol::AuthBridge::cleartext;
    Event plain = event(EventKind::connected, {Evidence::clear_startup}, noon + 2s);
    plain.record.auth_method = "md5";
    store(inventory, {tls_login(), weak, plain});
    store(inventory, {event(EventKind::auth_failed, {Evidence::clear_startup}, noon + 3s)});
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 1);
    CHECK(text(folder,
               "SELECT concat FROM (SELECT connections || ' ' || plain || ' ' || weak_tls || ' ' || bridged || ' ' || "
               "auth_failed || ' ' || "
               "auth_method || ' ' || listener AS concat FROM clients)") == "3 1 1 1 1 md5 main");
    CHECK(integer(folder, "SELECT last_seen - first_seen FROM clients") == 3'000'000);
    CHECK(text(folder, "SELECT group_concat(mode || '=' || connections) FROM (SELECT * FROM days ORDER BY mode)") ==
          "TLSv1=1,TLSv1.3=1,plain=1");
    CHECK(
        text(folder, "SELECT group_concat(evidence || '=' || count) FROM (SELECT * FROM evidence ORDER BY evidence)") ==
        "clear_startup=2,tls_startup=2");
    CHECK(integer(folder, "SELECT count(*) FROM fingerprints WHERE sni = 'db.example.com'") == 1);
}

TEST_CASE("a refused login makes no connection, and a session without a name no client") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    Event nameless = event(EventKind::rejected, {});
    nameless.record.usename.clear();
    store(inventory,
          {event(EventKind::rejected, {Evidence::clear_startup}), nameless, Event{.kind = EventKind::started}});
    CHECK(integer(folder, "SELECT count(*) FROM clients WHERE connections = 0 AND auth_failed = 0") == 1);
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 1);
    CHECK(integer(folder, "SELECT count(*) FROM days") == 0);
}

TEST_CASE("a failed handshake is kept by each piece of evidence, and without evidence not at all") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    Event refused = event(EventKind::tls_failed, {Evidence::tls_refused});
    refused.message = "unknown CA";
    store(inventory, {refused, refused, event(EventKind::tls_failed, {})});
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 0);
    CHECK(text(folder, "SELECT group_concat(evidence || '=' || count || ' ' || error) FROM handshakes") ==
          "tls_refused=2 unknown CA");
}

TEST_CASE("probes are counted by what they came to") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    std::vector<Event> events{tls_login(noon, Evidence::untrusted_accepted),
                              event(EventKind::tls_failed, {Evidence::untrusted_refused}, noon + 1s),
                              event(EventKind::tls_failed, {}, noon + 2s)};
    for (Event& e : events) e.record.probe = config::ProbeKind::untrusted;
    store(inventory, events);
    CHECK(text(folder, "SELECT kind || ' ' || shown || ' ' || accepted || ' ' || refused FROM probes") ==
          "untrusted 3 1 1");
    CHECK(integer(folder, "SELECT last_shown - last_refused FROM probes") == 1'000'000);
}

TEST_CASE("what was stored is there after a restart, under the same name") {
    const Folder folder;
    std::string instance;
    {
        Inventory inventory(folder.file(), 0ms);
        instance = inventory.instance();
        store(inventory, {tls_login()});
    }
    Inventory inventory(folder.file(), 0ms);
    CHECK(inventory.instance() == instance);
    store(inventory, {tls_login(noon + 1s)});
    CHECK(integer(folder, "SELECT connections FROM clients") == 2);
}

TEST_CASE("files that are no inventory are refused and not changed") {
    const Folder folder;
    SECTION("of a newer version") {
        { Inventory inventory(folder.file(), 0ms); }
        Sqlite(folder.file(), Sqlite::Mode::read_write).exec("PRAGMA user_version = 2");
        CHECK_THROWS_WITH(Inventory(folder.file(), 0ms),
                          "cannot open inventory " + folder.file() +
                              ": made by a newer pgairlock (its version is 2, this one knows 1)");
    }
    SECTION("text") {
        std::ofstream(folder.file()) << std::string(5000, 'x');
        CHECK_THROWS_WITH(Inventory(folder.file(), 0ms),
                          "cannot open inventory " + folder.file() + ": file is not a database");
    }
    SECTION("somebody else's") {
        std::ofstream(folder.file()).flush();
        Sqlite(folder.file(), Sqlite::Mode::read_write).exec("CREATE TABLE t (a)");
        CHECK_THROWS_WITH(Inventory(folder.file(), 0ms),
                          "cannot open inventory " + folder.file() + ": the database of something else");
        CHECK(integer(folder, "SELECT count(*) FROM sqlite_schema") == 1);
    }
    SECTION("damaged") {
        {
            Inventory inventory(folder.file(), 0ms);
            store(inventory, {tls_login()});
        }
        std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
        for (int page = 1; page < 12; ++page) file.seekp(page * 4096 + 10).write("garbage garbage garbage", 23);
        file.close();
        CHECK_THROWS_WITH(Inventory(folder.file(), 0ms),
                          Catch::Matchers::StartsWith("cannot open inventory " + folder.file() + ": "));
    }
    SECTION("in a directory that is not there") {
        CHECK_THROWS_WITH(Inventory("/nonexistent/i.db", 0ms),
                          "cannot open inventory /nonexistent/i.db: No such file or directory");
    }
}

TEST_CASE("what was not seen for so long is forgotten at the start") {
    const Folder folder;
    const auto now = std::chrono::system_clock::now();
    {
        Inventory inventory(folder.file(), 0ms);
        Event old = tls_login(now - 48h);
        old.record.usename = "old";
        show(old, "aa", "10.0.0.2:5432");
        Event old_handshake = event(EventKind::tls_failed, {Evidence::tls_refused}, now - 48h);
        old_handshake.record.probe = config::ProbeKind::candidate;
        Event recent = tls_login(now);
        show(recent, "bb", "10.0.0.2:5432");
        store(inventory, {old, old_handshake, tls_login(now - 48h), recent});
    }
    const auto counts = [&] {
        std::string out;
        for (const char* const table :
             {"clients", "evidence", "fingerprints", "days", "handshakes", "upstream_certificates", "probes"}) {
            out += std::to_string(integer(folder, std::string("SELECT count(*) FROM ") + table)) + " ";
        }
        return out;
    };
    CHECK(counts() == "2 2 2 3 1 2 1 ");
    { Inventory inventory(folder.file(), 0ms); }
    CHECK(counts() == "2 2 2 3 1 2 1 ");
    { Inventory inventory(folder.file(), 24h); }
    CHECK(counts() == "1 1 1 1 0 1 0 ");
    CHECK(integer(folder, "SELECT connections FROM clients") == 2);
}

TEST_CASE("a server certificate is news once at each address") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    Event first = tls_login();
    show(first, "aa", "10.0.0.2:5432", false);
    const auto news = store(inventory, {first, first});
    REQUIRE(news.size() == 1);
    CHECK(news[0].kind == EventKind::upstream_certificate);
    CHECK(news[0].record.upstream_addr == "10.0.0.2:5432");
    CHECK(news[0].record.upstream_tls.leaf->sha256 == "aa");
    CHECK(store(inventory, {first}).empty());
    Event elsewhere = first;
    elsewhere.record.upstream_addr = "10.0.0.3:5432";
    CHECK(store(inventory, {elsewhere}).size() == 1);
    CHECK(text(folder, "SELECT sans FROM upstream_certificates") == "DNS:db,IP:10.0.0.2");
}

TEST_CASE("since when the candidate bundle suffices is when it first did") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    const auto see = [&](std::optional<bool> ok, std::chrono::seconds when) {
        Event e = tls_login(noon + when);
        show(e, "aa", "10.0.0.2:5432", ok);
        store(inventory, {e});
        return (integer(folder, "SELECT candidate_since FROM upstream_certificates") - proxy::to_timestamp(noon)) /
               1'000'000;
    };
    see(std::nullopt, 0s);
    CHECK(integer(folder, "SELECT candidate_ok IS NULL AND candidate_since IS NULL FROM upstream_certificates") == 1);
    CHECK(see(false, 1s) == 1);
    CHECK(see(false, 2s) == 1);
    CHECK(see(true, 3s) == 3);
    CHECK(see(true, 4s) == 3);
}

TEST_CASE("a client that contradicts what it did before is news, once a day at most") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    CHECK(store(inventory, {tls_login(noon, Evidence::tls_startup_undistributed)}).empty());
    CHECK(store(inventory, {tls_login(noon + 1s, Evidence::tls_startup_undistributed)}).empty());
    const auto news = store(inventory, {tls_login(noon + 2s, Evidence::untrusted_accepted),
                                        event(EventKind::connected, {Evidence::clear_startup}, noon + 3s),
                                        event(EventKind::connected, {Evidence::closed_after_no}, noon + 4s)});
    REQUIRE(news.size() == 1);
    CHECK(news[0].kind == EventKind::client_changed);
    CHECK(news[0].record.usename == "ada");
    CHECK(news[0].message == "sslmode was allow..require, is require..verify-full");
    CHECK(store(inventory, {event(EventKind::connected, {Evidence::clear_startup}, noon + 5s)}).empty());
    CHECK(store(inventory, {event(EventKind::connected, {Evidence::closed_after_no}, noon + 6s)}).empty());
    CHECK(store(inventory, {event(EventKind::connected, {Evidence::clear_startup}, noon + 25h)}).size() == 1);
}

TEST_CASE("what cannot be written is kept, and news waits for it") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    Event first = tls_login();
    show(first, "aa", "10.0.0.2:5432");
    {
        Sqlite other(folder.file(), Sqlite::Mode::read_write);
        const proxy::Transaction lock(other);
        const auto before = Inventory::Clock::now();
        CHECK(store(inventory, {first}).empty());
        CHECK(store(inventory, {first}).empty());
        CHECK(inventory.due() > before + 1s);
    }
    CHECK(inventory.flush().size() == 1);
    CHECK(integer(folder, "SELECT connections FROM clients") == 2);
    CHECK(inventory.due() == Inventory::Clock::time_point::max());
}

TEST_CASE("a full disk loses nothing") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    store(inventory, {tls_login()});
    const auto before = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
    const rlimit small{.rlim_cur = 8192, .rlim_max = limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 300; ++i) {
        Event e = tls_login();
        e.record.client_addr = "10.0.1." + std::to_string(i);
        inventory.absorb(e);
    }
    inventory.flush();
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, before);
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 1);
    inventory.flush();
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 301);
    CHECK(text(folder, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("memory is bounded while nothing can be written") {
    const Folder folder;
    Inventory inventory(folder.file(), 0ms);
    Event e = event(EventKind::connected, {Evidence::clear_startup});
    e.record.auth_method = "md5";
    for (int i = 0; i < 40'000; ++i) {  // three rows each
        e.record.client_addr = std::to_string(i);
        inventory.absorb(e);
    }
    e.record.client_addr = "0";
    inventory.absorb(e);  // a row that is there still counts
    inventory.flush();
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 33'334);
    CHECK(integer(folder, "SELECT connections FROM clients WHERE client_addr = '0'") == 2);
}

TEST_CASE("URLs of databases are shown without their passwords") {
    CHECK(proxy::PostgresUrl("postgres://u:s%40cret@h:5433/d?sslmode=require").shown() == "postgresql://u@h:5433/d");
    CHECK(proxy::PostgresUrl("postgresql://h/d?user=u&password=secret").shown() == "postgresql://u@h/d");
    for (const char* const bad :
         {"postgresql://u:a@b@h/d", "postgresql://u:a/b@h/d", "postgresql://u:a:b/d", "postgresql://h/d?sslmode"}) {
        CHECK_THROWS_WITH(proxy::PostgresUrl(bad), Catch::Matchers::StartsWith("not a connection URI of PostgreSQL"));
    }
}
