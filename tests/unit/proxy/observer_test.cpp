// What is concluded from a client's behaviour, rule by rule: docs/verification.md as tests. Each
// connection tells its Observer what happened, as a session would; time stands still unless a test
// moves it.
#include "proxy/observation/observer.hpp"

#include <openssl/ssl.h>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using config::ProbeKind;
using config::Trust;
using protocol::Evidence;
using proxy::EarlyEnd;
using proxy::Moment;
using proxy::Observer;
using proxy::SessionRecord;
using List = std::vector<Evidence>;
using Kinds = config::PerProbeKind<bool>;

/// What connections share.
struct World {
    proxy::RecentClients recent_clients;
    proxy::ScramHabits scram_habits;
    proxy::Probes probes;
    Moment now{std::chrono::steady_clock::time_point() + 1h, std::chrono::system_clock::time_point() + 500'000h};

    void wait(std::chrono::milliseconds time) {
        now.steady += time;
        now.wall += time;
    }
};

SessionRecord record_of(const std::string& usename) {
    SessionRecord record;
    record.listener = "main";
    record.upstream = "orders";
    record.client_addr = "10.0.0.7";
    record.usename = usename;
    record.datname = "shop";
    record.application_name = "psql";
    return record;
}

/// One connection, and the ways in which it can go.
struct Connection {
    explicit Connection(World& world, const SessionRecord& client = record_of("ada"))
        : record(client), names(client.names()) {
        record.usename = record.datname = record.application_name = "";
        observer.emplace(proxy::Memories{world.recent_clients, world.scram_habits, world.probes}, record,
                         [&world] { return world.now; });
    }

    Connection& asks_where_there_is_no_tls() {
        observer->tls_declined();
        return *this;
    }
    Connection& begins_tls() {
        observer->tls_begun();
        return *this;
    }
    /// The handshake, begun already, is complete, and a StartupMessage comes through it.
    Connection& starts_in_tls(Trust trust = Trust::distributed) {
        record.ssl = true;
        return sends_startup(trust);
    }
    Connection& starts_in_clear(Trust trust = Trust::distributed) { return sends_startup(trust); }
    Connection& sends_startup(Trust trust) {
        record.usename = names.usename;
        record.datname = names.datname;
        record.application_name = names.application_name;
        observer->startup_received(trust);
        return *this;
    }
    bool ends(const EarlyEnd& end = {}) { return observer->ended_early(end); }
    Connection& is_shown_the_certificate() {
        record.client_tls.certificate_shown = record.probe ? "a probe's" : "ours.crt";
        observer->certificate_sent();
        return *this;
    }
    bool refuses(int alert) { return is_shown_the_certificate().ends({.client_hello_seen = true, .alert = alert}); }
    bool leaves() { return is_shown_the_certificate().ends({.client_hello_seen = true}); }
    /// The session's login is over.
    void over() { observer.reset(); }
    const List& evidence() const { return record.evidence; }
    /// Once its login has ended, and before that is recorded.
    const List& settled() {
        observer->settle();
        return record.evidence;
    }

    SessionRecord record;
    proxy::ClientNames names;  ///< not known before its StartupMessage
    std::optional<Observer> observer;
};

/// Evidence of a StartupMessage in clear that comes now.
List in_clear(World& world, const SessionRecord& client = record_of("ada")) {
    return Connection(world, client).starts_in_clear().settled();
}

List in_tls(World& world, const SessionRecord& client = record_of("ada")) {
    return Connection(world, client).begins_tls().starts_in_tls().settled();
}

/// A login over TLS that the server refuses.
void denied_over_tls(World& world, const SessionRecord& client = record_of("ada")) {
    Connection(world, client).begins_tls().starts_in_tls().observer->login_denied();
}

void rejected_in_clear(World& world, const SessionRecord& client = record_of("ada")) {
    Connection(world, client).starts_in_clear().observer->rejected_in_clear();
}

/// Other clients than `ada`, each in one respect.
std::vector<SessionRecord> others() {
    std::vector<SessionRecord> out;
    for (std::string SessionRecord::*part :
         {&SessionRecord::listener, &SessionRecord::client_addr, &SessionRecord::usename, &SessionRecord::datname,
          &SessionRecord::application_name}) {
        out.push_back(record_of("ada"));
        out.back().*part = "other";
    }
    return out;
}

SessionRecord elsewhere() {
    SessionRecord record = record_of("ada");
    record.client_addr = "10.0.0.8";
    return record;
}

}  // namespace

// --- One connection, without TLS

TEST_CASE("a StartupMessage in clear, without SSLRequest before it") {
    World world;
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("a StartupMessage in clear after SSLRequest and our N") {
    World world;
    CHECK(Connection(world).asks_where_there_is_no_tls().starts_in_clear().evidence() ==
          List{Evidence::clear_startup_after_no});
}

TEST_CASE("a close after our N") {
    World world;
    Connection client(world);
    client.asks_where_there_is_no_tls();
    CHECK(client.ends());
    CHECK(client.evidence() == List{Evidence::closed_after_no});
}

TEST_CASE("a close in the middle of a packet in clear tells nothing, after our N as well") {
    World world;
    Connection client(world);
    client.asks_where_there_is_no_tls();
    CHECK_FALSE(client.ends({.within_packet = true}));
    CHECK(client.evidence().empty());
}

TEST_CASE("a port check is no news") {
    World world;
    Connection client(world);
    CHECK_FALSE(client.ends());
    CHECK_FALSE(client.ends({.within_packet = true}));
    CHECK(client.evidence().empty());
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

// --- One connection, with TLS

TEST_CASE("a StartupMessage through TLS") {
    World world;
    CHECK(in_tls(world) == List{Evidence::tls_startup});
    CHECK(Connection(world).begins_tls().starts_in_tls(Trust::undistributed).evidence() ==
          List{Evidence::tls_startup_undistributed});
}

TEST_CASE("a client that shows a certificate of its own identifies itself") {
    World world;
    Connection client(world);
    client.record.client_tls.client_dn = "CN=ada";
    CHECK(client.begins_tls().starts_in_tls().evidence() == List{Evidence::tls_startup, Evidence::client_certificate});
}

TEST_CASE("trust = undistributed says nothing of a StartupMessage in clear") {
    World world;
    CHECK(Connection(world).starts_in_clear(Trust::undistributed).settled() == List{Evidence::clear_startup});
}

TEST_CASE("an alert that is about our certificate is a refusal") {
    for (const int alert : {SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
                            SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA,
                            SSL_AD_HANDSHAKE_FAILURE, SSL_AD_ACCESS_DENIED, SSL_AD_INTERNAL_ERROR}) {
        CHECK(proxy::is_certificate_alert(alert));
        World world;
        Connection client(world);
        CHECK(client.begins_tls().refuses(alert));
        CHECK(client.evidence() == List{Evidence::tls_refused});
    }
}

TEST_CASE("an alert that is about something else than our certificate is news, and no evidence") {
    for (int alert = 0; alert < 256; ++alert) {
        if (proxy::is_certificate_alert(alert)) continue;
        World world;
        Connection client(world);
        CHECK(client.begins_tls().refuses(alert));
        CHECK(client.evidence().empty());
    }
    CHECK_FALSE(proxy::is_certificate_alert(SSL_AD_PROTOCOL_VERSION));
    CHECK_FALSE(proxy::is_certificate_alert(SSL_AD_CLOSE_NOTIFY));
}

TEST_CASE("before our certificate was sent nothing is a refusal of it") {
    for (const int alert : {-1, SSL_AD_HANDSHAKE_FAILURE, SSL_AD_UNKNOWN_CA, SSL_AD_INTERNAL_ERROR}) {
        World world;
        Connection client(world);
        CHECK(client.begins_tls().ends({.client_hello_seen = true, .alert = alert}));
        CHECK(client.settled().empty());
    }
}

TEST_CASE("a handshake that we end ourselves is news, and no evidence") {
    World world;
    Connection client(world);
    CHECK(client.begins_tls().is_shown_the_certificate().ends({.client_hello_seen = true, .we_failed = true}));
    Connection garbage(world);
    CHECK(garbage.begins_tls().ends({.we_failed = true}));
    CHECK(client.settled().empty());
    CHECK(garbage.settled().empty());
}

TEST_CASE("a close without an alert, within the handshake or after it and before a StartupMessage") {
    World world;
    Connection client(world);
    CHECK(client.begins_tls().leaves());
    CHECK(client.evidence() == List{Evidence::tls_refused_silently});
    Connection later(world);
    later.begins_tls().is_shown_the_certificate().record.ssl = true;
    CHECK(later.ends({.within_packet = true, .client_hello_seen = true}));
    CHECK(later.evidence() == List{Evidence::tls_refused_silently});
}

TEST_CASE("a close without a ClientHello is a misconfigured client, and refuses nothing") {
    World world;
    Connection client(world);
    CHECK(client.begins_tls().ends());
    CHECK(client.evidence() == List{Evidence::no_client_hello});
}

TEST_CASE("nothing is concluded from a connection that we closed") {
    World world;
    Connection in_clear(world);
    CHECK_FALSE(in_clear.ends({.by_us = true}));
    Connection declined(world);
    CHECK_FALSE(declined.asks_where_there_is_no_tls().ends({.by_us = true}));
    Connection no_hello(world);
    CHECK_FALSE(no_hello.begins_tls().ends({.by_us = true}));
    Connection silent(world);
    CHECK_FALSE(silent.begins_tls().ends({.by_us = true, .client_hello_seen = true}));
    Connection alert(world);
    CHECK_FALSE(alert.begins_tls().ends({.by_us = true, .client_hello_seen = true, .alert = SSL_AD_UNKNOWN_CA}));
    for (const Connection* each : {&in_clear, &declined, &no_hello, &silent, &alert}) CHECK(each->evidence().empty());
}

TEST_CASE("a cancel request is evidence of nothing") {
    World world;
    Connection client(world);
    client.begins_tls().observer->cancel_requested();
    CHECK(client.evidence().empty());
}

// --- In clear after TLS: whose fallback it may be

TEST_CASE("in clear while TLS of that address is undecided: it is judged at the end of the login in clear") {
    World world;
    Connection undecided(world);
    undecided.begins_tls();
    world.wait(1h);
    Connection client(world);
    client.starts_in_clear();
    CHECK(client.evidence().empty());
    CHECK(client.observer->is_undecided());
    world.wait(10ms);
    SECTION("the other one refused our certificate: perhaps its fallback") {
        undecided.leaves();
        CHECK_FALSE(client.observer->is_undecided());
        CHECK(client.settled() == List{Evidence::clear_startup_after_tls});
    }
    SECTION("the other one logged in: no failure") {
        undecided.starts_in_tls().observer->logged_in();
        CHECK_FALSE(client.observer->is_undecided());
        CHECK(client.settled() == List{Evidence::clear_startup});
    }
    SECTION("the other one is open still: it proves nothing") {
        CHECK(client.settled() == List{Evidence::clear_startup});
    }
    SECTION("the other one failed long after the clear text came") {
        world.wait(2s);
        undecided.leaves();
        CHECK(client.settled() == List{Evidence::clear_startup});
    }
    CHECK(client.settled().size() == 1);  // once
}

TEST_CASE("TLS that began after a StartupMessage in clear says nothing of it") {
    World world;
    Connection client(world);
    client.starts_in_clear();
    world.wait(1ms);
    Connection(world).begins_tls().leaves();
    CHECK(client.settled() == List{Evidence::clear_startup});
}

TEST_CASE("in clear within 5 s after TLS of that address came to no login: perhaps its fallback") {
    World world;
    Connection client(world);
    client.begins_tls();
    SECTION("refused by the client") { client.refuses(SSL_AD_UNKNOWN_CA); }
    SECTION("left by the client") { client.leaves(); }
    SECTION("left for want of a common version") {
        client.ends({.client_hello_seen = true, .alert = SSL_AD_PROTOCOL_VERSION});
    }
    SECTION("ended by us for want of a common cipher") { client.ends({.client_hello_seen = true, .we_failed = true}); }
    SECTION("left without a ClientHello") { client.ends(); }
    SECTION("refused by the server") { client.starts_in_tls().observer->login_denied(); }
    SECTION("left by the client after its StartupMessage") { client.starts_in_tls(); }
    SECTION("ended by us after it had heard that it is let in") {
        client.starts_in_tls().settled();
        client.observer->login_denied();
    }
    client.over();
    world.wait(3s);
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls});
    CHECK(in_clear(world, elsewhere()) == List{Evidence::clear_startup});
    world.wait(2s);
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls});
    world.wait(1ms);
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("what we ended, and what was no TLS, is nobody's failure") {
    World world;
    Connection client(world);
    client.begins_tls();
    SECTION("cut off by us") { client.is_shown_the_certificate().ends({.by_us = true, .client_hello_seen = true}); }
    SECTION("garbage instead of a ClientHello") { client.ends({.we_failed = true}); }
    client.over();
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("a login over TLS with other names is another client's, and no reason to come in clear") {
    World world;
    Connection(world).begins_tls().starts_in_tls();
    CHECK(in_clear(world, record_of("somebody else")) == List{Evidence::clear_startup});
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls});
}

TEST_CASE("known processes that differ answer for none but themselves") {
    const auto of_process = [](pid_t pid, uid_t uid = 1000) {
        SessionRecord record = record_of("ada");
        record.client_addr = "127.0.0.1";
        record.process = std::make_shared<proxy::ProcessOwner>(
            proxy::Process{.uid = uid, .pid = pid, .exe = pid ? "/usr/bin/psql" : ""}, true);
        return record;
    };
    const SessionRecord first = of_process(17);
    World world;
    SECTION("a refusal") {
        Connection(world, first).begins_tls().leaves();
        CHECK(in_clear(world, first) == List{Evidence::clear_startup_after_refusal});
        CHECK(in_clear(world, of_process(0)) == List{Evidence::clear_startup_after_tls});
    }
    SECTION("TLS that came to nothing for another reason") {
        Connection(world, first).begins_tls().ends({.client_hello_seen = true, .we_failed = true});
        CHECK(in_clear(world, first) == List{Evidence::clear_startup_after_tls});
    }
    SECTION("a login that was refused") {
        denied_over_tls(world, first);
        CHECK(in_clear(world, first) == List{Evidence::clear_startup_after_tls_login});
        CHECK(in_clear(world, of_process(0)) == List{Evidence::clear_startup_after_tls_login});
    }
    SECTION("our N") {
        Connection(world, first).asks_where_there_is_no_tls();
        CHECK(in_clear(world, first) == List{Evidence::clear_startup_after_declined});
    }
    CHECK(in_clear(world, of_process(18)) == List{Evidence::clear_startup});
    CHECK(in_clear(world, of_process(0, 33)) == List{Evidence::clear_startup});
    world.wait(6s);  // what it did with TLS is long ago
    rejected_in_clear(world, first);
    CHECK(in_tls(world, of_process(18)) == List{Evidence::tls_startup});
    CHECK(in_tls(world, first) == List{Evidence::tls_startup, Evidence::tls_after_clear_refused});
}

TEST_CASE("who goes on in clear after it refused our certificate is told of once, with its name") {
    World world;
    Connection(world).begins_tls().refuses(SSL_AD_UNKNOWN_CA);
    Connection client(world);
    client.starts_in_clear().settled();
    CHECK(client.observer->take_refused_certificate() == "ours.crt");
    CHECK(client.observer->take_refused_certificate().empty());
    Connection again(world);
    again.starts_in_clear().settled();
    CHECK(again.observer->take_refused_certificate().empty());
    Connection other(world, elsewhere());
    other.begins_tls().ends({.client_hello_seen = true, .alert = SSL_AD_PROTOCOL_VERSION});
    Connection no_refusal(world, elsewhere());
    CHECK(no_refusal.starts_in_clear().settled() == List{Evidence::clear_startup_after_tls});
    CHECK(no_refusal.observer->take_refused_certificate().empty());
}

TEST_CASE("of a client whose names came through TLS just before, nobody says that it refused our certificate") {
    const auto here = [](pid_t pid) {
        SessionRecord record = record_of("ada");
        record.process = std::make_shared<proxy::ProcessOwner>(
            proxy::Process{.uid = 1000, .pid = pid, .exe = pid ? "/usr/bin/psql" : ""}, true);
        return record;
    };
    World world;
    Connection(world, here(18)).begins_tls().refuses(SSL_AD_UNKNOWN_CA);  // another, at the same address
    Connection client(world, here(0));                                    // whose process is not found
    SECTION("its login was denied") {
        denied_over_tls(world, here(17));
        CHECK(client.starts_in_clear().settled() == List{Evidence::clear_startup_after_tls_login});
        CHECK(client.observer->take_refused_certificate().empty());
    }
    SECTION("it left within its login") {
        Connection(world, here(17)).begins_tls().starts_in_tls().over();
        CHECK(client.starts_in_clear().settled() == List{Evidence::clear_startup_after_tls});
        CHECK(client.observer->take_refused_certificate().empty());
    }
    SECTION("others did") {
        Connection(world, record_of("somebody else")).begins_tls().starts_in_tls().over();
        CHECK(client.starts_in_clear().settled() == List{Evidence::clear_startup_after_tls});
        CHECK(client.observer->take_refused_certificate() == "ours.crt");
    }
    SECTION("its process is known, and had refused it as well") {
        Connection(world, here(17)).begins_tls().refuses(SSL_AD_UNKNOWN_CA);
        denied_over_tls(world, here(17));
        Connection known(world, here(17));
        CHECK(known.starts_in_clear().settled() == List{Evidence::clear_startup_after_tls_login});
        CHECK(known.observer->take_refused_certificate() == "ours.crt");
    }
}

TEST_CASE("in clear after a login over TLS is nobody's fallback") {
    World world;
    Connection client(world);
    client.begins_tls().starts_in_tls().observer->logged_in();
    CHECK(in_clear(world) == List{Evidence::clear_startup});
    client.over();
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("in clear after a cancel request through TLS is nobody's fallback") {
    World world;
    Connection client(world);
    client.begins_tls().observer->cancel_requested();
    client.over();
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("in clear within 2 s after the same client was refused its login over TLS: its fallback") {
    World world;
    denied_over_tls(world);
    world.wait(2s);
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls_login});
    for (const SessionRecord& other : others())
        CHECK(in_clear(world, other) != List{Evidence::clear_startup_after_tls_login});
    world.wait(1ms);
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls});
}

TEST_CASE("a login that is refused in clear is no reason to fall back") {
    World world;
    Connection(world).starts_in_clear().observer->login_denied();
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("in clear within 5 s after our N to that address: perhaps the same client, again") {
    World world;
    Connection(world).asks_where_there_is_no_tls().ends();
    world.wait(5s);
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_declined});
    CHECK(in_clear(world, elsewhere()) == List{Evidence::clear_startup});
    world.wait(1ms);
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

TEST_CASE("of several reasons to come in clear the most certain one counts") {
    World world;
    Connection(world).asks_where_there_is_no_tls();
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_declined});
    Connection(world).begins_tls();
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls});
    denied_over_tls(world);
    CHECK(in_clear(world) == List{Evidence::clear_startup_after_tls_login});
    CHECK(Connection(world).asks_where_there_is_no_tls().starts_in_clear().evidence() ==
          List{Evidence::clear_startup_after_no});
}

TEST_CASE("what came before in clear says nothing of TLS") {
    World world;
    Connection(world).begins_tls().leaves();
    Connection(world).asks_where_there_is_no_tls();
    denied_over_tls(world);
    CHECK(in_tls(world) == List{Evidence::tls_startup});
}

// --- In TLS after clear text

TEST_CASE("TLS within 2 s after the same client was rejected in clear") {
    World world;
    rejected_in_clear(world);
    world.wait(2s);
    CHECK(in_tls(world) == List{Evidence::tls_startup, Evidence::tls_after_clear_refused});
    for (const SessionRecord& other : others()) CHECK(in_tls(world, other) == List{Evidence::tls_startup});
    world.wait(1ms);
    CHECK(in_tls(world) == List{Evidence::tls_startup});
}

TEST_CASE("a client that goes round from TLS to clear text and back, refused in both, does not prefer clear text") {
    World world;
    denied_over_tls(world);
    rejected_in_clear(world);
    CHECK(in_tls(world) == List{Evidence::tls_startup});
    SECTION("where its TLS was declined") {
        world.wait(6s);
        Connection(world).asks_where_there_is_no_tls().starts_in_clear().observer->rejected_in_clear();
        CHECK(in_tls(world) == List{Evidence::tls_startup});
    }
}

TEST_CASE("a rejection that does not come in clear says nothing of TLS afterwards") {
    World world;
    Connection(world).begins_tls().starts_in_tls().observer->rejected_in_clear();
    CHECK(in_tls(world) == List{Evidence::tls_startup});
}

TEST_CASE("clear text that was not rejected says nothing of TLS afterwards") {
    World world;
    in_clear(world);
    CHECK(in_tls(world) == List{Evidence::tls_startup});
}

TEST_CASE("a client that was rejected in clear and comes in clear again did not fall back") {
    World world;
    rejected_in_clear(world);
    CHECK(in_clear(world) == List{Evidence::clear_startup});
}

// --- Probes

namespace {

const Kinds none;
const Kinds all = [] {
    Kinds kinds;
    for (const ProbeKind kind : protocol::probe_kinds) kinds[kind] = true;
    return kinds;
}();

/// A listener with probes, and a source that completed TLS with the real certificate.
struct Probed : World {
    Probed() {
        settings.enabled = true;
        settings.fraction = 1;
        settings.max_per_client = 10;
        Connection client(*this);
        client.begins_tls().observer->choose_probe(settings, none);
        client.starts_in_tls().observer->logged_in();
    }

    /// What the next connection would be shown; it comes to nothing.
    std::optional<ProbeKind> next() {
        Connection client(*this);
        return client.begins_tls().observer->choose_probe(settings, all);
    }

    config::Probe settings;
};

/// A connection to which the only probe is of that kind.
struct ProbedConnection : Connection {
    ProbedConnection(Probed& world, ProbeKind kind) : Connection(world) {
        Kinds available{};
        available[kind] = true;
        begins_tls();
        REQUIRE(observer->choose_probe(world.settings, available) == kind);
        CHECK(record.probe == kind);
    }
};

struct ProbeRow {
    ProbeKind kind;
    Evidence accepted, refused, silent;
};

const std::array probe_rows{ProbeRow{ProbeKind::untrusted, Evidence::untrusted_accepted, Evidence::untrusted_refused,
                                     Evidence::untrusted_refused_silently},
                            ProbeRow{ProbeKind::wrong_name, Evidence::wrong_name_accepted, Evidence::wrong_name_refused,
                                     Evidence::wrong_name_refused_silently},
                            ProbeRow{ProbeKind::candidate, Evidence::candidate_accepted, Evidence::candidate_refused,
                                     Evidence::candidate_refused_silently}};

}  // namespace

TEST_CASE("what a client does with a probe's certificate is evidence of its own") {
    for (const ProbeRow& row : probe_rows) {
        Probed world;
        ProbedConnection accepts(world, row.kind);
        // What nobody could have verified is the real certificate, and it is not what was shown.
        CHECK(accepts.starts_in_tls(Trust::undistributed).evidence() == List{row.accepted});
    }
    for (const ProbeRow& row : probe_rows) {
        Probed world;
        ProbedConnection refuses(world, row.kind);
        CHECK(refuses.refuses(SSL_AD_UNKNOWN_CA));
        CHECK(refuses.evidence() == List{row.refused});
    }
    for (const ProbeRow& row : probe_rows) {
        Probed world;
        ProbedConnection leaves(world, row.kind);
        CHECK(leaves.leaves());
        CHECK(leaves.evidence() == List{row.silent});
    }
}

TEST_CASE("a probe that is refused by an alert is answered; the next one waits for grace") {
    Probed world;
    ProbedConnection client(world, ProbeKind::untrusted);
    client.refuses(SSL_AD_UNKNOWN_CA);
    CHECK_FALSE(world.next().has_value());
    client.over();
    CHECK_FALSE(world.next().has_value());
    world.wait(world.settings.grace);
    CHECK(world.next() == ProbeKind::candidate);
}

TEST_CASE("a probe that is left without an alert is shown again after grace: it may be a coincidence") {
    Probed world;
    ProbedConnection client(world, ProbeKind::untrusted);
    client.leaves();
    CHECK_FALSE(world.next().has_value());
    client.over();
    CHECK_FALSE(world.next().has_value());
    world.wait(world.settings.grace);
    CHECK(world.next() == ProbeKind::untrusted);
}

TEST_CASE("a probe that comes to no certificate costs nothing, and is out until the login is over") {
    Probed world;
    ProbedConnection client(world, ProbeKind::untrusted);
    SECTION("left") { client.ends({.client_hello_seen = true}); }
    SECTION("ended by an alert") { client.ends({.client_hello_seen = true, .alert = SSL_AD_PROTOCOL_VERSION}); }
    SECTION("closed by us") { client.ends({.by_us = true, .client_hello_seen = true}); }
    SECTION("ended by us within the handshake") {}
    CHECK_FALSE(world.next().has_value());
    client.over();
    CHECK_FALSE(client.record.probe_end.has_value());
    CHECK(world.next() == ProbeKind::untrusted);
}

TEST_CASE("once a probe's certificate was sent, every end before a StartupMessage is a loss") {
    Probed world;
    ProbedConnection client(world, ProbeKind::untrusted);
    client.is_shown_the_certificate();
    for (const int alert : {SSL_AD_PROTOCOL_VERSION, SSL_AD_HANDSHAKE_FAILURE, SSL_AD_DECODE_ERROR}) {
        DYNAMIC_SECTION("alert " << alert) { client.ends({.client_hello_seen = true, .alert = alert}); }
    }
    SECTION("a close") { client.leaves(); }
    SECTION("our own failure") { client.ends({.client_hello_seen = true, .we_failed = true}); }
    SECTION("cut off by us") { client.ends({.by_us = true, .client_hello_seen = true}); }
    SECTION("nothing, until its time was over") {}
    client.settled();
    CHECK(client.record.probe_end == proxy::ProbeEnd::lost);
    client.over();
    CHECK_FALSE(world.next().has_value());  // grace
    world.settings.max_per_client = 1;
    world.wait(world.settings.grace);
    CHECK_FALSE(world.next().has_value());
}

TEST_CASE("no probe is spent on a client that was not admitted, and nothing is learnt from it") {
    Probed world;
    Connection stranger(world);
    stranger.observer->not_admitted();
    CHECK_FALSE(stranger.begins_tls().observer->choose_probe(world.settings, all).has_value());
    Connection other(world, elsewhere());
    other.observer->not_admitted();
    other.begins_tls().observer->choose_probe(world.settings, all);
    other.starts_in_tls();
    other.over();
    Connection later(world, elsewhere());
    CHECK_FALSE(later.begins_tls().observer->choose_probe(world.settings, all).has_value());
    CHECK(later.record.not_probed == proxy::NotProbed::first_connection);
}

TEST_CASE("the record says why there was no probe; asked again, the answer is the same") {
    Probed world;
    Connection client(world);
    client.begins_tls();
    CHECK(client.observer->choose_probe(world.settings, all) == ProbeKind::untrusted);
    CHECK(client.observer->choose_probe(world.settings, all) == ProbeKind::untrusted);
    CHECK_FALSE(client.record.not_probed.has_value());
    Connection another(world);
    CHECK_FALSE(another.begins_tls().observer->choose_probe(world.settings, all).has_value());
    CHECK(another.record.not_probed == proxy::NotProbed::another_is_out);
    CHECK_FALSE(in_clear(world).empty());
}

TEST_CASE("a probe is accepted by a StartupMessage or a cancel request, whatever comes of the login") {
    Probed world;
    ProbedConnection client(world, ProbeKind::untrusted);
    SECTION("by a StartupMessage") {
        client.starts_in_tls();
        SECTION("refused by the server") { client.observer->login_denied(); }
        SECTION("logged in") { client.observer->logged_in(); }
        CHECK_FALSE(world.next().has_value());  // the only client of that source accepts a stranger's
        client.over();
        CHECK_FALSE(world.next().has_value());
    }
    SECTION("by a cancel request, of which nobody knows whose it is") {
        client.observer->cancel_requested();
        CHECK(world.next() == ProbeKind::untrusted);
    }
}

TEST_CASE("a cancel request is no client of its source, of whom something were left to learn") {
    Probed world;
    Connection client(world);
    client.begins_tls().observer->choose_probe(world.settings, none);
    client.observer->cancel_requested();
    ProbedConnection(world, ProbeKind::untrusted).starts_in_tls();
    CHECK_FALSE(world.next().has_value());
}

TEST_CASE("what came of a probe is reported once, and does not end another connection's probe") {
    Probed world;
    ProbedConnection client(world, ProbeKind::untrusted);
    client.leaves();
    world.wait(world.settings.grace);
    ProbedConnection another(world, ProbeKind::untrusted);
    client.over();
    CHECK_FALSE(world.next().has_value());
    another.over();
    CHECK(world.next() == ProbeKind::untrusted);
}

TEST_CASE("clients of one source are told apart by their names") {
    Probed world;
    ProbedConnection(world, ProbeKind::untrusted).starts_in_tls();
    CHECK_FALSE(world.next().has_value());
    Connection another(world, record_of("bob"));
    CHECK_FALSE(another.begins_tls().observer->choose_probe(world.settings, all).has_value());
    another.starts_in_tls();
    CHECK(world.next() == ProbeKind::untrusted);
}

TEST_CASE("a client that refuses or leaves the real certificate is not probed any more") {
    Probed world;
    CHECK(world.next() == ProbeKind::untrusted);
    Connection client(world);
    client.begins_tls().observer->choose_probe(world.settings, none);
    SECTION("refused") { client.refuses(SSL_AD_UNKNOWN_CA); }
    SECTION("left") { client.leaves(); }
    client.over();
    world.wait(world.settings.grace);
    CHECK_FALSE(world.next().has_value());
    Connection another(world);  // another client at that address
    another.record.ja4 = "another";
    CHECK(another.begins_tls().observer->choose_probe(world.settings, all) == ProbeKind::untrusted);
}

TEST_CASE("a client that comes in clear after a probe was lost is never probed again") {
    Probed world;
    ProbedConnection(world, ProbeKind::untrusted).refuses(SSL_AD_UNKNOWN_CA);
    in_clear(world);
    world.wait(world.settings.cooldown);
    CHECK_FALSE(world.next().has_value());
}

TEST_CASE("a client that comes in clear at another time may be probed") {
    Probed world;
    in_clear(world);
    CHECK(world.next() == ProbeKind::untrusted);
}

TEST_CASE("probes tell executables of one address apart") {
    Probed world;
    const auto process = [](const char* exe) {
        return std::make_shared<proxy::ProcessOwner>(proxy::Process{.uid = 1, .pid = 2, .exe = exe}, true);
    };
    SessionRecord psql = record_of("ada");
    psql.process = process("/usr/bin/psql");
    Connection first(world, psql);
    first.begins_tls().observer->choose_probe(world.settings, none);
    first.starts_in_tls();
    const auto next = [&](const char* exe) {
        SessionRecord record = record_of("ada");
        record.process = process(exe);
        return Connection(world, record).observer->choose_probe(world.settings, all);
    };
    CHECK(next("/usr/bin/psql") == ProbeKind::untrusted);
    CHECK_FALSE(next("/usr/bin/java").has_value());
}

TEST_CASE("another program in clear ends no probing, also when its process is found a little later") {
    const auto falls_back = [](const char* found) {
        Probed world;
        const auto process = [](const char* exe, bool done) {
            return std::make_shared<proxy::ProcessOwner>(proxy::Process{.uid = 1, .pid = 2, .exe = exe}, done);
        };
        SessionRecord psql = record_of("ada");
        psql.process = process("/usr/bin/psql", true);
        Connection first(world, psql);
        first.begins_tls().observer->choose_probe(world.settings, none);
        first.starts_in_tls();
        first.observer.reset();
        Connection probed(world, psql);
        CHECK(probed.begins_tls().observer->choose_probe(world.settings, all) == ProbeKind::untrusted);
        probed.observer->certificate_sent();
        probed.observer->ended_early({.client_hello_seen = true, .alert = SSL_AD_UNKNOWN_CA});
        probed.observer.reset();

        SessionRecord clear = record_of("bob");
        const auto search = process("", false);
        clear.process = search;
        Connection other(world, clear);
        other.starts_in_clear();
        if (found) search->found(7, found);
        other.observer.reset();

        world.wait(world.settings.grace);
        const proxy::Probes::Visitor visitor{.source = psql.origin()};
        const auto reason = world.probes.why_not(world.settings, all, visitor, world.now.wall);
        return reason && reason->reason == proxy::NotProbed::falls_back;
    };
    CHECK(falls_back("/usr/bin/psql"));
    CHECK(falls_back(nullptr));
    CHECK_FALSE(falls_back("/usr/bin/java"));
}

TEST_CASE("without a probe the record says that the real certificate was shown") {
    Probed world;
    world.settings.enabled = false;
    Connection client(world);
    CHECK_FALSE(client.begins_tls().observer->choose_probe(world.settings, all).has_value());
    CHECK_FALSE(client.record.probe.has_value());
    CHECK(client.starts_in_tls().evidence() == List{Evidence::tls_startup});
}

// --- Who is asked for its password rather than offered SCRAM

namespace {

bool wants_password(World& world, const SessionRecord& client = record_of("ada")) {
    return Connection(world, client).starts_in_clear().observer->wants_password();
}

void scram_ends(World& world, const proxy::ScramConduct& conduct) {
    Connection(world).starts_in_clear().observer->scram_ended(conduct);
}

}  // namespace

TEST_CASE("a client that left when it was offered SCRAM is asked for its password, for a day") {
    World world;
    CHECK_FALSE(wants_password(world));
    scram_ends(world, {.left = true, .was_offered = true});
    for (const SessionRecord& other : others()) CHECK_FALSE(wants_password(world, other));
    world.wait(24h);
    CHECK(wants_password(world));
    world.wait(24h + 1ms);
    CHECK_FALSE(wants_password(world));
}

TEST_CASE("a client that spoke SCRAM before left its offer for another reason") {
    World world;
    scram_ends(world, {.gs2_flag = 'n'});
    scram_ends(world, {.left = true, .was_offered = true});
    CHECK_FALSE(wants_password(world));
}

TEST_CASE("a client that left when it was asked for its password at once had another reason") {
    World world;
    scram_ends(world, {.left = true, .was_offered = true});
    scram_ends(world, {.left = true, .asked_password = true});
    CHECK_FALSE(wants_password(world));
}

TEST_CASE("a client that left when it was to switch from SCRAM to its password is asked first") {
    World world;
    scram_ends(world, {.gs2_flag = 'y'});
    scram_ends(world, {.left = true, .asked_password = true, .gs2_flag = 'y'});
    CHECK(wants_password(world));
}

TEST_CASE("a client that did not leave, or left elsewhere in the login, declined nothing") {
    World world;
    scram_ends(world, {.was_offered = true});
    scram_ends(world, {.asked_password = true});
    scram_ends(world, {.left = true});
    scram_ends(world, {.left = true, .gs2_flag = 'n'});
    scram_ends(world, {.asked_password = true, .gs2_flag = 'y'});
    CHECK_FALSE(wants_password(world));
}
