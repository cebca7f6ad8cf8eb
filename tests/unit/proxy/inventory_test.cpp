#include "proxy/inventory/inventory.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

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
    const Inventory inventory({.path = folder.file()});
    struct stat status {};
    REQUIRE(::stat(folder.file().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
    CHECK(inventory.instance().size() == 16);
}

TEST_CASE("connections of one client are one row, by what they were") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
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
    CHECK(text(folder,
               "SELECT group_concat(weak_tls || bridged || failures || auth_failed) FROM (SELECT * FROM days ORDER BY "
               "mode)") == "1100,0000,0011");
    // A failure among connections does not say when the last of these was.
    CHECK(integer(folder, "SELECT last_seen - first_seen FROM days WHERE mode = 'plain'") == 0);
    CHECK(
        text(folder, "SELECT group_concat(evidence || '=' || count) FROM (SELECT * FROM evidence ORDER BY evidence)") ==
        "clear_startup=2,tls_startup=2");
    CHECK(integer(folder, "SELECT count(*) FROM fingerprints WHERE sni = 'db.example.com'") == 1);
}

TEST_CASE("why a login failed last is kept with its client, in the words of the audit") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    const auto why = [&] { return text(folder, "SELECT failure_reason || '|' || failure_error FROM clients"); };
    const auto failed = [](EventKind kind, proxy::Reason reason, const std::string& sqlstate,
                           const std::string& message, std::chrono::seconds later) {
        Event e = event(kind, {Evidence::tls_startup}, noon + later);
        e.reason = reason;
        e.sqlstate = sqlstate;
        e.message = message;
        return e;
    };
    store(inventory, {tls_login()});
    CHECK(why() == "|");
    store(inventory, {failed(EventKind::auth_failed, proxy::Reason::server_denied, "28P01", "wrong password", 5s)});
    CHECK(why() == "server_denied|28P01: wrong password");
    store(inventory, {failed(EventKind::upstream_failed, proxy::Reason::server_left, "57P03", "it left", 3s)});
    CHECK(why() == "server_denied|28P01: wrong password");  // it was before
    store(inventory, {tls_login(noon + 6s)});
    CHECK(why() == "server_denied|28P01: wrong password");
    // The later of two that are stored together, and where the audit has a word alone its sentence.
    store(inventory, {failed(EventKind::rejected, proxy::Reason::tls_required, "28000", "", 8s),
                      failed(EventKind::auth_failed, proxy::Reason::client_left, "", "gone", 7s)});
    CHECK(why() == "tls_required|28000: " + std::string(proxy::sentence(proxy::Reason::tls_required)));
    store(inventory, {failed(EventKind::auth_failed, proxy::Reason::server_denied, "", std::string(5'000, 'x'), 9s)});
    CHECK(integer(folder, "SELECT length(failure_error) FROM clients") == 500);
}

TEST_CASE("a health check is no client, whether it logs in or not") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event check = event(EventKind::auth_failed, {Evidence::clear_startup});
    check.record.application_name = "pg_isready";
    Event unreached = check, refused = check, login = check, end = check;
    unreached.kind = EventKind::upstream_failed;
    refused.kind = EventKind::rejected;
    login.kind = EventKind::connected;
    show(login, "aa", "10.0.0.2:5432");
    end.kind = EventKind::disconnected;
    end.record.bytes_from_client = 5;  // Terminate
    CHECK(store(inventory, {check, unreached, refused, login}).empty());
    store(inventory, {end});
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 0);
    CHECK(integer(folder, "SELECT count(*) FROM days") == 0);
    CHECK(integer(folder, "SELECT count(*) FROM upstream_certificates") == 1);  // a server's, whoever asked
}

TEST_CASE("what calls itself a health check and says something after its login is a client") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event login = event(EventKind::connected, {Evidence::clear_startup});
    login.record.application_name = "pg_isready";
    login.record.session = "one";
    Event end = login;
    end.kind = EventKind::disconnected;
    end.record.bytes_from_client = 6;
    store(inventory, {login});
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 0);  // it is not known yet
    store(inventory, {end});
    CHECK(integer(folder, "SELECT connections FROM clients WHERE application_name = 'pg_isready'") == 1);
    CHECK(integer(folder, "SELECT plain FROM clients") == 1);
}

TEST_CASE("of very many that call themselves health checks none is forgotten") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event login = event(EventKind::connected, {Evidence::clear_startup});
    login.record.application_name = "pg_isready";
    for (int i = 0; i < 1'003; ++i) {
        login.record.session = std::to_string(i);
        inventory.absorb(login);
    }
    inventory.flush();
    CHECK(integer(folder, "SELECT connections FROM clients") == 3);
}

TEST_CASE("a refused login makes no connection, and a session without a name no client") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event nameless = event(EventKind::rejected, {});
    nameless.record.usename.clear();
    store(inventory,
          {event(EventKind::rejected, {Evidence::clear_startup}), nameless, Event{.kind = EventKind::started}});
    CHECK(integer(folder, "SELECT count(*) FROM clients WHERE connections = 0 AND auth_failed = 0") == 1);
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 1);
    CHECK(text(folder, "SELECT mode || ' ' || connections || ' ' || failures FROM days") == "plain 0 1");
    CHECK(integer(folder, "SELECT last_failure > 0 AND failures = 1 FROM clients") == 1);
}

TEST_CASE("a failed handshake is kept by each piece of evidence, and without any as one that was not agreed on") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event refused = event(EventKind::tls_failed, {Evidence::tls_refused});
    refused.message = "unknown CA";
    Event lost_to_a_probe = event(EventKind::tls_failed, {});
    lost_to_a_probe.record.probe = config::ProbeKind::untrusted;
    store(inventory, {refused, refused, event(EventKind::tls_failed, {}), lost_to_a_probe});
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 0);
    CHECK(text(folder,
               "SELECT group_concat(evidence || '=' || count || ' ' || error) FROM (SELECT * FROM handshakes ORDER BY "
               "evidence)") == "tls_not_agreed=1 ,tls_refused=2 unknown CA");
}

TEST_CASE("probes are counted by what they came to, whatever event tells it") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    const auto probed = [](Event event, std::optional<proxy::ProbeEnd> end) {
        event.record.probe = config::ProbeKind::untrusted;
        event.record.probe_end = end;
        return event;
    };
    using enum proxy::ProbeEnd;
    Event nameless = event(EventKind::rejected, {}, noon + 4s);
    nameless.record.usename.clear();
    store(inventory, {probed(tls_login(noon, Evidence::untrusted_accepted), accepted),
                      probed(event(EventKind::tls_failed, {Evidence::untrusted_refused}, noon + 1s), lost),
                      probed(event(EventKind::tls_failed, {}, noon + 2s), lost),
                      probed(event(EventKind::tls_failed, {}, noon + 3s), std::nullopt),
                      probed(nameless, lost),  // the login's time was over
                      probed(event(EventKind::cancel, {}, noon + 5s), accepted),
                      probed(event(EventKind::upstream_failed, {}, noon + 6s), accepted),
                      probed(event(EventKind::disconnected, {}, noon + 7s), accepted)});
    CHECK(text(folder, "SELECT kind || ' ' || shown || ' ' || accepted || ' ' || refused FROM probes") ==
          "untrusted 6 3 3");
    CHECK(integer(folder, "SELECT last_shown - last_refused FROM probes") == 2'000'000);
}

TEST_CASE("what was stored is there after a restart, under the same name") {
    const Folder folder;
    std::string instance;
    {
        Inventory inventory({.path = folder.file()});
        instance = inventory.instance();
        store(inventory, {tls_login()});
    }
    Inventory inventory({.path = folder.file()});
    CHECK(inventory.instance() == instance);
    store(inventory, {tls_login(noon + 1s)});
    CHECK(integer(folder, "SELECT connections FROM clients") == 2);
}

TEST_CASE("files that are no inventory are refused and not changed") {
    const Folder folder;
    SECTION("of a newer version") {
        { Inventory inventory({.path = folder.file()}); }
        Sqlite(folder.file(), Sqlite::Mode::read_write).exec("PRAGMA user_version = 99");
        CHECK_THROWS_WITH(Inventory({.path = folder.file()}),
                          "cannot open inventory " + folder.file() +
                              ": made by a newer pgairlock (its version is 99, this one knows 6)");
    }
    SECTION("text") {
        std::ofstream(folder.file()) << std::string(5000, 'x');
        CHECK_THROWS_WITH(Inventory({.path = folder.file()}),
                          "cannot open inventory " + folder.file() + ": file is not a database");
    }
    SECTION("somebody else's") {
        std::ofstream(folder.file()).flush();
        Sqlite(folder.file(), Sqlite::Mode::read_write).exec("CREATE TABLE t (a)");
        CHECK_THROWS_WITH(Inventory({.path = folder.file()}),
                          "cannot open inventory " + folder.file() + ": the database of something else");
        CHECK(integer(folder, "SELECT count(*) FROM sqlite_schema") == 1);
    }
    SECTION("damaged") {
        {
            Inventory inventory({.path = folder.file()});
            store(inventory, {tls_login()});
        }
        std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
        for (int page = 1; page < 12; ++page) file.seekp(page * 4096 + 10).write("garbage garbage garbage", 23);
        file.close();
        CHECK_THROWS_WITH(Inventory({.path = folder.file()}),
                          Catch::Matchers::StartsWith("cannot open inventory " + folder.file() + ": "));
    }
    SECTION("in a directory that is not there") {
        CHECK_THROWS_WITH(Inventory({.path = "/nonexistent/i.db"}),
                          "cannot open inventory /nonexistent/i.db: No such file or directory");
    }
}

TEST_CASE("what was not seen for so long is forgotten at the start") {
    const Folder folder;
    const auto now = std::chrono::system_clock::now();
    {
        Inventory inventory({.path = folder.file()});
        Event old = tls_login(now - 48h);
        old.record.usename = "old";
        show(old, "aa", "10.0.0.2:5432");
        Event old_handshake = event(EventKind::tls_failed, {Evidence::tls_refused}, now - 48h);
        old_handshake.record.probe = config::ProbeKind::candidate;
        old_handshake.record.probe_end = proxy::ProbeEnd::lost;
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
    { Inventory inventory({.path = folder.file()}); }
    CHECK(counts() == "2 2 2 3 1 2 1 ");
    { Inventory inventory({.path = folder.file(), .retention = 24h}); }
    CHECK(counts() == "1 1 1 1 0 1 0 ");
    CHECK(integer(folder, "SELECT pruned_before > 0 FROM proxies") == 1);
    CHECK(integer(folder, "SELECT connections FROM clients") == 2);
}

TEST_CASE("a start with a wrong clock forgets nobody") {
    const Folder folder;
    // All of it is older than the retention, going by our clock alone: it is the clock that is
    // wrong.
    const auto long_ago = std::chrono::system_clock::now() - 24h * 1000;
    {
        Inventory inventory({.path = folder.file()});
        for (int i = 0; i < 100; ++i) {
            Event e = tls_login(long_ago + i * 1s);
            e.record.application_name = "app " + std::string(1 + i % 26, 'x') + std::string(1 + i / 26, 'y');
            store(inventory, {e});
        }
    }
    { Inventory inventory({.path = folder.file(), .retention = 24h * 400}); }
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 100);
    // A connection that is recorded with the wrong time: a share is forgotten at a time, and said.
    {
        Inventory inventory({.path = folder.file()});
        store(inventory, {tls_login(std::chrono::system_clock::now())});
    }
    { Inventory inventory({.path = folder.file(), .retention = 24h * 400}); }
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 76);
}

TEST_CASE("a user with a name for every connection gets rows by pattern") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    for (int i = 0; i < 300; ++i) {
        Event e = tls_login();
        e.record.application_name = "job-" + std::to_string(i);
        store(inventory, {e});
    }
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 101);
    CHECK(integer(folder, "SELECT connections FROM clients WHERE application_name = 'job-#'") == 200);
    for (int i = 0; i < 300; ++i) {
        Event e = tls_login();
        e.record.application_name = std::string("random ") + static_cast<char>('a' + i % 26) + std::string(i / 26, 'z');
        store(inventory, {e});
    }
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 201);
    CHECK(integer(folder, "SELECT sum(connections) FROM clients") == 600);
}

TEST_CASE("a pattern of one's own is applied before a name is stored") {
    const Folder folder;
    Inventory inventory({.path = folder.file(), .name_pattern = "@.*$"});
    for (const char* const name : {"web@one", "web@two"}) {
        Event e = tls_login();
        e.record.application_name = name;
        store(inventory, {e});
    }
    CHECK(text(folder, "SELECT application_name || ' ' || connections FROM clients") == "web* 2");
}

TEST_CASE("a proxy says who it is, that it is here, and what it has lost") {
    const Folder folder;
    Inventory inventory(
        {.path = folder.file(),
         .proxy = {.name = "host1", .version = "1", .listeners = "l 127.0.0.1:1", .consistent_after = 1s}});
    CHECK(text(folder, "SELECT name || version || listeners || consistent_after FROM proxies") ==
          "host11l 127.0.0.1:11000000");
    CHECK(text(folder, "SELECT id FROM proxies") == inventory.instance());
    CHECK(inventory.due() < Inventory::Clock::now() + 61s);
    inventory.lost(3);
    CHECK(inventory.due() <= Inventory::Clock::now());
    inventory.flush();
    CHECK(integer(folder, "SELECT events_dropped FROM proxies") == 3);
    inventory.flush();
    CHECK(integer(folder, "SELECT events_dropped FROM proxies") == 3);
}

TEST_CASE("a server certificate has a row at each address, with the keys behind it and the groups it was met with") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event first = tls_login();
    show(first, "aa", "10.0.0.2:5432", false);
    first.record.upstream_tls.anchor_key_sha256 = "0011";
    first.record.upstream_tls.group = "P-256";
    Event second = first;
    second.time += 1s;
    second.record.upstream_tls.group = "X25519";
    CHECK(store(inventory, {second, first}).empty());  // it is news by ServerCertificates
    Event elsewhere = first;
    elsewhere.record.upstream_addr = "10.0.0.3:5432";
    store(inventory, {elsewhere});
    Event later = first;
    later.time += 2s;
    later.record.upstream_tls.group = "P-384";
    store(inventory, {later});
    CHECK(integer(folder, "SELECT count(*) FROM upstream_certificates") == 2);
    CHECK(text(folder, "SELECT sans FROM upstream_certificates") == "DNS:db,IP:10.0.0.2");
    CHECK(text(folder, "SELECT anchor_key_sha256 FROM upstream_certificates") == "0011");
    CHECK(text(folder, "SELECT groups FROM upstream_certificates WHERE upstream_addr LIKE '%2:5432'") ==
          "P-384,X25519,P-256");
}

TEST_CASE("what verified a server's certificate last is kept where nobody does for a while") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    const auto shown = [](std::chrono::seconds when, const std::string& anchor, const std::string& key) {
        Event event = tls_login(noon + when);
        show(event, "aa", "10.0.0.2:5432");
        event.record.upstream_tls.anchor = anchor;
        event.record.upstream_tls.anchor_key_sha256 = key;
        return event;
    };
    const auto anchor = [&] {
        return text(folder, "SELECT anchor || ' ' || anchor_key_sha256 FROM upstream_certificates");
    };
    store(inventory, {shown(0s, "", "")});
    CHECK(anchor() == " ");
    store(inventory, {shown(1s, "CN=one", "1")});
    store(inventory, {shown(2s, "", "")});
    CHECK(anchor() == "CN=one 1");
    store(inventory, {shown(3s, "CN=two", "2"), shown(4s, "", "")});  // at once
    CHECK(anchor() == "CN=two 2");
    store(inventory, {shown(5s, "CN=three", "")});
    CHECK(anchor() == "CN=three ");
}

TEST_CASE("a server with a certificate for each connection takes nobody else's room") {
    const Folder folder;
    const std::string certificates = "SELECT count(*) FROM upstream_certificates";
    {
        Inventory inventory({.path = folder.file()});
        Event rarely = tls_login(noon - 1h);
        show(rarely, "rarely", "10.0.0.3:5432");
        Event often = tls_login();
        show(often, "often", "10.0.0.2:5432");
        store(inventory, {rarely, often});
    }
    Sqlite(folder.file(), Sqlite::Mode::read_write)
        .exec(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19998) "
            "INSERT INTO upstream_certificates SELECT upstream, upstream_addr, i, subject, sans, issuer, anchor, "
            "serial, not_before, "
            "not_after, first_seen - i, last_seen - i, 1, NULL, NULL, '', '', '' FROM upstream_certificates, n WHERE "
            "sha256 = 'often'");
    REQUIRE(integer(folder, certificates) == 20'000);
    Inventory inventory({.path = folder.file()});
    Event known = tls_login(noon + 1s);
    show(known, "often", "10.0.0.2:5432");
    store(inventory, {known});
    CHECK(integer(folder, certificates) == 20'000);
    CHECK(integer(folder, "SELECT rows_left_out FROM proxies") == 0);
    Event another = tls_login(noon + 2s);
    show(another, "another", "10.0.0.2:5432");
    store(inventory, {another});
    CHECK(integer(folder, certificates) == 19'001);
    CHECK(integer(folder, "SELECT rows_left_out FROM proxies") == 1'000);
    CHECK(integer(folder, certificates + " WHERE sha256 IN ('rarely', 'often', 'another', '1', '18998')") == 5);
    CHECK(integer(folder, certificates + " WHERE sha256 IN ('18999', '19998')") == 0);
}

TEST_CASE("what servers have shown is known after a restart, the oldest first") {
    const Folder folder;
    const auto shown = [](const std::string& sha256, std::chrono::seconds when, const std::string& key) {
        Event event = tls_login(noon + when);
        show(event, sha256, "10.0.0.2:5432");
        event.record.upstream_tls.anchor_key_sha256 = key;
        return event;
    };
    {
        Inventory inventory({.path = folder.file()});
        store(inventory, {shown("b", 2s, "2"), shown("a", 1s, "1"), shown("c", 3s, "3")});
        store(inventory, {shown("a", 4s, "4")});
    }
    Inventory again({.path = folder.file()});
    const auto known = again.known_certificates();
    REQUIRE(known.size() == 3);
    CHECK(known[0].sha256 == "b");
    CHECK(known[1].sha256 == "c");
    CHECK(known[2].sha256 == "a");
    CHECK(known[2].upstream == "db");
    CHECK(known[2].upstream_addr == "10.0.0.2:5432");
    CHECK(known[2].issuer == "CN=root");
    CHECK(known[2].anchor == "CN=root");
    CHECK(known[2].anchor_key_sha256 == "4");
}

TEST_CASE("the groups of a client's key exchanges are kept, the last one first") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    const auto with = [](const std::string& group, std::chrono::seconds when) {
        Event event = tls_login(noon + when);
        event.record.client_tls.group = group;
        return event;
    };
    store(inventory, {with("P-256", 2s), with("X25519", 1s)});
    CHECK(text(folder, "SELECT groups FROM clients") == "P-256,X25519");
    store(inventory, {with("", 3s)});  // RSA's own exchange, or in clear
    store(inventory, {with("X25519MLKEM768", 4s)});
    CHECK(text(folder, "SELECT groups FROM clients") == "X25519MLKEM768,P-256,X25519");
}

TEST_CASE("since when the candidate bundle suffices is when it first did") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
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
    Inventory inventory({.path = folder.file()});
    CHECK(store(inventory, {tls_login(noon, Evidence::tls_startup_undistributed)}).size() == 1);  // new and weak
    CHECK(store(inventory, {tls_login(noon + 1s, Evidence::tls_startup_undistributed)}).empty());
    const auto news = store(inventory, {tls_login(noon + 2s, Evidence::untrusted_accepted),
                                        event(EventKind::connected, {Evidence::clear_startup}, noon + 3s),
                                        event(EventKind::connected, {Evidence::closed_after_no}, noon + 4s)});
    REQUIRE(news.size() == 1);
    CHECK(news[0].kind == EventKind::client_changed);
    CHECK(news[0].record.usename == "ada");
    CHECK(news[0].message == "sslmode was allow..require, is require");
    CHECK(store(inventory, {event(EventKind::connected, {Evidence::clear_startup}, noon + 5s)}).empty());
    CHECK(store(inventory, {event(EventKind::connected, {Evidence::closed_after_no}, noon + 6s)}).empty());
    CHECK(store(inventory, {event(EventKind::connected, {Evidence::clear_startup}, noon + 25h)}).size() == 1);
}

TEST_CASE("a client that nobody knew, or nobody knew as weak, is news once when it logs in weak") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    CHECK(store(inventory, {tls_login()}).empty());
    Event weak = event(EventKind::connected, {Evidence::clear_startup}, noon + 1s);
    weak.record.session = "s2";
    auto news = store(inventory, {weak});
    std::erase_if(news, [](const Event& e) { return e.kind != EventKind::new_weak_client; });
    REQUIRE(news.size() == 1);  // known, and not as weak
    CHECK(news[0].record.session == "s2");
    CHECK(news[0].record.usename == "ada");
    CHECK(news[0].record.listener == "main");
    CHECK_FALSE(news[0].record.ssl);
    CHECK(store(inventory, {weak}).empty());

    Event other = event(EventKind::connected, {Evidence::clear_startup}, noon + 2s);
    other.record.usename = "grace";
    CHECK(store(inventory, {other}).size() == 1);  // not known at all
    CHECK(store(inventory, {other}).empty());

    Event old = tls_login(noon + 3s);
    old.record.usename = "barbara";
    old.record.client_tls.weak = true;
    CHECK(store(inventory, {old}).size() == 1);

    Event refused = event(EventKind::rejected, {Evidence::clear_startup}, noon + 4s);
    refused.record.usename = "eve";
    CHECK(store(inventory, {refused}).empty());  // it has not got in
}

TEST_CASE("a client that changed says whether it became weaker") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    const auto changes = [&](const Event& e) {
        auto news = store(inventory, {e});
        std::erase_if(news, [](const Event& one) { return one.kind != EventKind::client_changed; });
        return news;
    };
    CHECK(changes(tls_login(noon, Evidence::untrusted_refused)).empty());
    const auto worse = changes(tls_login(noon + 1s, Evidence::untrusted_accepted));
    REQUIRE(worse.size() == 1);
    CHECK(worse[0].weaker);
    const auto better = changes(tls_login(noon + 25h, Evidence::untrusted_refused));
    REQUIRE(better.size() == 1);
    CHECK_FALSE(better[0].weaker);
}

TEST_CASE("what cannot be written is kept, and news waits for it") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    const Event first = event(EventKind::connected, {Evidence::clear_startup});  // a new weak client
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
    CHECK(inventory.due() > Inventory::Clock::now() + 30s);  // only to say that we are here
}

TEST_CASE("while what probes cost cannot be written down, there are none") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    proxy::Probes probes;
    inventory.restore(probes);
    const auto why_not = [&] {
        proxy::Probes::Available available;
        available[config::ProbeKind::untrusted] = true;
        config::Probe settings;
        settings.enabled = true;
        return probes.why_not(settings, available, {}, {})->reason;
    };
    CHECK(why_not() == proxy::NotProbed::first_connection);
    {
        Sqlite other(folder.file(), Sqlite::Mode::read_write);
        const proxy::Transaction lock(other);
        store(inventory, {tls_login()});
        CHECK(why_not() == proxy::NotProbed::no_inventory);
    }
    inventory.flush();
    CHECK(why_not() == proxy::NotProbed::first_connection);
}

TEST_CASE("a full disk loses nothing") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
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
    Inventory inventory({.path = folder.file()});
    Event e = event(EventKind::connected, {Evidence::clear_startup});
    e.record.auth_method = "md5";
    for (int i = 0; i < 40'000; ++i) {  // three rows each
        e.record.client_addr = std::to_string(i);
        inventory.absorb(e);
    }
    e.record.client_addr = "0";
    inventory.absorb(e);  // a row that is there still counts
    inventory.flush();
    CHECK(integer(folder, "SELECT events_dropped > 0 AND last_loss > 0 FROM proxies") == 1);
    CHECK(integer(folder, "SELECT count(*) FROM clients") == 33'334);
    CHECK(integer(folder, "SELECT connections FROM clients WHERE client_addr = '0'") == 2);
}

TEST_CASE("a session in clear or with weak TLS counts as long as it is open") {
    const Folder folder;
    Inventory inventory({.path = folder.file()});
    Event weak = tls_login();
    weak.record.client_tls.weak = true;
    Event plain = event(EventKind::connected, {Evidence::clear_startup});
    Event strong = tls_login();
    plain.record.session = "s2";
    plain.record.usename = "plain";
    strong.record.session = "s3";
    strong.record.usename = "strong";
    store(inventory, {weak, plain, strong});
    const auto open = [&] {
        return text(folder,
                    "SELECT group_concat(usename || (d.open_until > d.last_seen) || (c.last_seen = d.open_until)) FROM "
                    "days d JOIN (SELECT * FROM clients ORDER BY usename) c ON c.id = d.client");
    };
    const auto evidence_after_login = [&] {
        return text(
            folder,
            "SELECT group_concat(evidence) FROM evidence e JOIN days d USING (client) WHERE e.last_seen > d.last_seen");
    };
    CHECK(open() == "ada00,plain00,strong00");
    const auto heartbeat = [&] {
        inventory.lost(1);  // one that does not wait for its minute
        inventory.flush();  // which may be the last
    };
    heartbeat();
    CHECK(open() == "ada11,plain11,strong00");
    CHECK(evidence_after_login() == "clear_startup");
    CHECK(integer(folder, "SELECT sum(connections) = 3 AND sum(plain) = 1 AND sum(weak_tls) = 1 FROM clients") == 1);
    CHECK(integer(folder, "SELECT sum(count) FROM evidence") == 3);
    CHECK(integer(folder, "SELECT count(*) FROM clients WHERE listener = 'main'") == 3);
    CHECK(text(folder, "SELECT session FROM evidence WHERE evidence = 'clear_startup'") == "s2");

    plain.kind = EventKind::disconnected;
    plain.time = std::chrono::system_clock::now();
    inventory.absorb(plain);
    std::this_thread::sleep_for(1ms);  // the next heartbeat is of a later microsecond
    heartbeat();
    CHECK(integer(folder, "SELECT count(*) FROM days WHERE open_until > " +
                              std::to_string(proxy::to_timestamp(plain.time))) == 1);  // the weak one
}

TEST_CASE("an end without a farewell is known at the next start") {
    const Folder folder;
    const auto unclean_ends = [&] { return integer(folder, "SELECT unclean_ends FROM proxies"); };
    {
        const Inventory killed({.path = folder.file()});
        CHECK(integer(folder, "SELECT ended FROM proxies") == 0);
        const Inventory next({.path = folder.file()});
        CHECK(unclean_ends() == 1);
        CHECK(integer(folder, "SELECT last_loss = started FROM proxies") == 1);
    }
    CHECK(integer(folder, "SELECT ended > 0 AND ended = last_seen FROM proxies") == 1);
    { const Inventory later({.path = folder.file()}); }
    CHECK(unclean_ends() == 1);

    {
        Inventory locked({.path = folder.file()});
        Sqlite other(folder.file(), Sqlite::Mode::read_write);
        other.exec("BEGIN IMMEDIATE");
        locked.absorb(tls_login());
    }
    { const Inventory later({.path = folder.file()}); }
    CHECK(unclean_ends() == 2);
}

TEST_CASE("URLs of databases are shown without their passwords") {
    CHECK(proxy::PostgresUrl("postgres://u:s%40cret@h:5433/d?sslmode=require").shown() == "postgresql://u@h:5433/d");
    CHECK(proxy::PostgresUrl("postgresql://h/d?user=u&password=secret").shown() == "postgresql://u@h/d");
    for (const char* const bad :
         {"postgresql://u:a@b@h/d", "postgresql://u:a/b@h/d", "postgresql://u:a:b/d", "postgresql://h/d?sslmode"}) {
        CHECK_THROWS_WITH(proxy::PostgresUrl(bad), Catch::Matchers::StartsWith("not a connection URI of PostgreSQL"));
    }
}

TEST_CASE("URLs of databases are verified in full unless they or the environment say otherwise") {
    for (const char* const variable : {"PGSSLMODE", "PGSSLROOTCERT", "PGSERVICE"}) ::unsetenv(variable);
    ::setenv("HOME", "/nonexistent", 1);
    CHECK(proxy::PostgresUrl("postgresql://h/d").sslmode() == "verify-full");
    CHECK_FALSE(proxy::PostgresUrl("postgresql://h/d").sslrootcert().empty());
    CHECK_FALSE(proxy::PostgresUrl("postgresql://h/d?sslmode=verify-full").sslrootcert().empty());
    CHECK(proxy::PostgresUrl("postgresql://h/d?sslrootcert=/ca").sslrootcert().empty());
    for (const char* const url : {"postgresql://h/d?sslmode=prefer", "postgresql://h/d?service=fleet"}) {
        CHECK(proxy::PostgresUrl(url).sslmode().empty());
        CHECK(proxy::PostgresUrl(url).sslrootcert().empty());
    }
    ::setenv("PGSSLMODE", "require", 1);
    CHECK(proxy::PostgresUrl("postgresql://h/d").sslmode().empty());
    ::unsetenv("PGSSLMODE");
}
