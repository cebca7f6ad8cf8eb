#include "proxy/upstream/attempts.hpp"

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::SslMode;
using proxy::AttemptFailure;
using proxy::Attempts;
using proxy::Encryption;
using Kind = AttemptFailure::Kind;
using Next = Attempts::Next;

constexpr auto no_role = "28000";
const Attempts::TimePoint start{};
const Attempts::TimePoint deadline = start + 10s;

AttemptFailure failure(Kind kind, const std::string& address, const std::string& error) {
    return {.kind = kind, .error = error, .host = "db", .address = address};
}

AttemptFailure refused_certificate(const std::string& address) {
    AttemptFailure refused = failure(Kind::not_accepted, address, "certificate verify failed");
    refused.verify = tls::VerifyFailure{.code = X509_V_ERR_CERT_HAS_EXPIRED, .reason = "expired"};
    return refused;
}

/// A run against hosts that each have the same number of addresses; every step says first what is
/// expected to be next.
class Script {
   public:
    explicit Script(SslMode mode, std::size_t hosts = 1, std::size_t addresses = 1)
        : attempts({.sslmode = mode, .hosts = hosts, .deadline = deadline}), addresses_(addresses) {}
    explicit Script(const Attempts::Plan& plan) : attempts(plan), addresses_(1) {}

    Script& connects(Encryption with, Encryption got) {
        expect_connect(with);
        REQUIRE(attempts.connected(got, "a", now));
        REQUIRE(attempts.next() == Next::log_in);
        return *this;
    }
    /// One that is not used: it would be in clear.
    Script& only_in_clear() {
        expect_connect(Encryption::tls);
        REQUIRE_FALSE(attempts.connected(Encryption::clear, "a", now));
        return *this;
    }
    Script& connects(Encryption with) { return connects(with, with); }
    Script& fails(Encryption with, Kind kind) {
        expect_connect(with);
        attempts.failed(failure(kind, "a", "e"), now);
        return *this;
    }
    Script& refuses_the_login() {
        REQUIRE(attempts.next() == Next::log_in);
        REQUIRE(attempts.may_retry(no_role));
        attempts.refused(no_role, failure(Kind::unreachable, "a", "e"));
        return *this;
    }
    void ends_with_this_login() {
        REQUIRE(attempts.next() == Next::log_in);
        CHECK_FALSE(attempts.may_retry(no_role));
        CHECK_FALSE(attempts.closed_unanswered(now));
    }
    Script& says_nothing() {
        REQUIRE(attempts.next() == Next::log_in);
        attempts.unanswered(failure(Kind::unreachable, "a", "no answer"), now);
        return *this;
    }
    Script& cannot_connect_now() {
        REQUIRE(attempts.next() == Next::log_in);
        REQUIRE(attempts.may_retry("57P03"));
        attempts.refused("57P03", failure(Kind::unreachable, "a", "starting up"));
        return *this;
    }
    Script& is_at(std::size_t host, std::size_t address) {
        expect_connect(attempts.encryption());
        CHECK(attempts.host() == host);
        CHECK(attempts.address() == address);
        return *this;
    }
    void gives_up() { CHECK(attempts.next() == Next::give_up); }

    Attempts attempts;
    Attempts::TimePoint now = start;

   private:
    void expect_connect(Encryption with) {
        if (attempts.next() == Next::resolve) attempts.resolved(addresses_, now);
        if (attempts.next() == Next::connect) {
            const std::size_t address = attempts.address();
            attempts.began();
            attempts.reached(address);
        }
        REQUIRE(attempts.next() == Next::establish);
        REQUIRE(attempts.encryption() == with);
    }

    std::size_t addresses_;
};

constexpr auto tls_ = Encryption::tls;
constexpr auto clear = Encryption::clear;
const std::vector<SslMode> insisting{SslMode::require, SslMode::verify_ca, SslMode::verify_full};

}  // namespace

TEST_CASE("a server that takes the first connection is asked once in every sslmode") {
    Script(SslMode::disable).connects(clear).ends_with_this_login();
    for (const SslMode mode : insisting) Script(mode).connects(tls_).ends_with_this_login();
}

TEST_CASE("a login that is refused is tried the other way only by allow and prefer") {
    Script(SslMode::allow).connects(clear).refuses_the_login().connects(tls_).ends_with_this_login();
    Script(SslMode::prefer).connects(tls_).refuses_the_login().connects(clear).ends_with_this_login();
}

TEST_CASE("after an 'N' there is nothing else to try") {
    Script(SslMode::prefer).connects(tls_, clear).ends_with_this_login();
    Script(SslMode::allow).connects(clear).refuses_the_login().connects(tls_, clear).ends_with_this_login();
    for (const SslMode mode : insisting) Script(mode).fails(tls_, Kind::not_accepted).gives_up();
}

TEST_CASE("only prefer goes on in clear when TLS was the matter") {
    Script(SslMode::prefer).fails(tls_, Kind::not_accepted).connects(clear).ends_with_this_login();
    Script(SslMode::allow).connects(clear).refuses_the_login().fails(tls_, Kind::not_accepted).gives_up();
    for (const SslMode mode : insisting) Script(mode).fails(tls_, Kind::not_accepted).gives_up();
}

TEST_CASE("nothing goes on in clear when the server was not reached") {
    for (const SslMode mode : {SslMode::prefer, SslMode::require, SslMode::verify_ca, SslMode::verify_full})
        Script(mode).fails(tls_, Kind::unreachable).gives_up();
    for (const SslMode mode : {SslMode::disable, SslMode::allow})
        Script(mode).fails(clear, Kind::unreachable).gives_up();
}

TEST_CASE("nothing goes on in clear after suspicious bytes, whatever another address said") {
    Script(SslMode::prefer).fails(tls_, Kind::suspicious).gives_up();
    Script(SslMode::prefer, 1, 2).fails(tls_, Kind::suspicious).fails(tls_, Kind::not_accepted).gives_up();
    Script(SslMode::prefer, 2).fails(tls_, Kind::suspicious).fails(tls_, Kind::not_accepted).gives_up();
}

TEST_CASE("after suspicious bytes a login that is refused, or an 'N', is no reason for clear text either") {
    Script(SslMode::prefer, 2).fails(tls_, Kind::suspicious).connects(tls_).ends_with_this_login();
    Script(SslMode::prefer, 2).fails(tls_, Kind::suspicious).only_in_clear().gives_up();
    Script(SslMode::prefer, 3).fails(tls_, Kind::suspicious).only_in_clear().connects(tls_).ends_with_this_login();
}

TEST_CASE("hosts and their addresses are tried in order, and anew with the other encryption") {
    Script script(SslMode::prefer, 2, 2);
    std::vector<std::pair<std::size_t, std::size_t>> tried;
    const auto fail = [&](Encryption with, Kind kind) {
        script.fails(with, kind);
        tried.emplace_back(script.attempts.host(), script.attempts.address());
    };
    CHECK(script.attempts.host() == 0);
    for (int address = 0; address < 2; ++address) {
        for (const Kind kind : {Kind::unreachable, Kind::not_accepted}) fail(tls_, kind);
    }
    CHECK(tried == std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {1, 0}, {1, 1}, {0, 0}});
    CHECK(script.attempts.failed_attempts() == 4);
    script.connects(clear);
}

TEST_CASE("a host without an address is an attempt like any other") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 2, .deadline = deadline});
    attempts.failed(failure(Kind::unreachable, "one:5432", "could not translate host name"), start);
    REQUIRE(attempts.next() == Next::resolve);
    CHECK(attempts.host() == 1);
    attempts.resolved(1, start);
    REQUIRE(attempts.next() == Next::connect);
    attempts.began();
    attempts.not_reached(0, failure(Kind::unreachable, "10.0.0.1:5432", "Connection refused"), start);
    REQUIRE(attempts.next() == Next::give_up);
    CHECK(attempts.errors() == "one:5432: could not translate host name; 10.0.0.1:5432: Connection refused");
    CHECK(attempts.failure().address == "10.0.0.1:5432");
    CHECK(attempts.failure().reason() == proxy::Reason::server_not_reached);
}

TEST_CASE("a refused certificate is what is told of, whatever other addresses said") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 1, .deadline = deadline});
    attempts.resolved(3, start);
    attempts.began();
    attempts.not_reached(0, failure(Kind::unreachable, "a", "Connection refused"), start);
    attempts.began();
    attempts.reached(1);
    attempts.failed(refused_certificate("b"), start);
    attempts.began();
    attempts.not_reached(2, failure(Kind::unreachable, "c", "timeout expired"), start);
    REQUIRE(attempts.next() == Next::give_up);
    CHECK(attempts.failure().address == "b");
    CHECK(attempts.failure().reason() == proxy::Reason::server_certificate_rejected);
    CHECK(attempts.errors() == "a: Connection refused; b: certificate verify failed (expired); c: timeout expired");
}

TEST_CASE("no address is tried after the deadline, but every host is asked for") {
    Script script(SslMode::verify_full, 2, 2);
    script.now = deadline - 1s;
    script.attempts.resolved(2, script.now);
    REQUIRE(script.attempts.next() == Next::connect);
    script.attempts.began();
    script.now = deadline;
    script.attempts.not_reached(0, failure(Kind::unreachable, "a", "timeout expired"), script.now);
    REQUIRE(script.attempts.next() == Next::resolve);
    script.attempts.resolved(2, script.now);
    script.gives_up();
    CHECK(script.attempts.errors() == "a: timeout expired");
}

TEST_CASE("a host that is not tried for want of time is told beside those that failed, and blamed for nothing") {
    Attempts attempts({.sslmode = SslMode::prefer, .hosts = 3, .deadline = deadline});
    attempts.failed(failure(Kind::unreachable, "a", "timeout expired"), deadline);
    REQUIRE(attempts.next() == Next::resolve);
    attempts.not_tried("b", "client_login_timeout is over");
    REQUIRE(attempts.next() == Next::resolve);
    attempts.not_tried("c", "client_login_timeout is over");
    REQUIRE(attempts.next() == Next::give_up);
    CHECK(attempts.failure().address == "a");
    CHECK(attempts.failed_attempts() == 1);
    CHECK(attempts.errors() ==
          "a: timeout expired; b: not tried: client_login_timeout is over; c: not tried: client_login_timeout is over");
}

TEST_CASE("without time nothing begins anew: what failed is what is told") {
    Attempts in_clear({.sslmode = SslMode::prefer, .hosts = 1, .deadline = deadline});
    in_clear.failed(failure(Kind::not_accepted, "a", "no TLS"), deadline);
    CHECK(in_clear.next() == Next::give_up);
    CHECK(in_clear.errors() == "a: no TLS");
    Attempts second_walk({.sslmode = SslMode::require,
                          .hosts = 1,
                          .wanted = config::TargetSessionAttrs::prefer_standby,
                          .deadline = deadline});
    second_walk.unwanted(failure(Kind::unwanted, "a", "a primary"), deadline);
    CHECK(second_walk.next() == Next::give_up);
}

TEST_CASE("errors of one encryption are not those of the other") {
    Script script(SslMode::prefer);
    script.fails(tls_, Kind::not_accepted).fails(clear, Kind::unreachable).gives_up();
    CHECK(script.attempts.errors() == "a: e");
    CHECK(script.attempts.failure().kind == Kind::unreachable);
}

TEST_CASE("without a host there is nothing to try") {
    const Attempts attempts({.sslmode = SslMode::prefer, .hosts = 0, .deadline = deadline});
    CHECK(attempts.next() == Next::give_up);
    CHECK(attempts.failure().error == "no host is configured");
}

TEST_CASE("a connection that is ready comes first, and its login is never tried in another way") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 1, .prewarmed = true, .deadline = deadline});
    REQUIRE(attempts.next() == Next::take_prewarmed);
    SECTION("there is one") {
        attempts.took_prewarmed(true);
        REQUIRE(attempts.next() == Next::log_in);
        CHECK_FALSE(attempts.may_retry(no_role));
    }
    SECTION("there is none") {
        attempts.took_prewarmed(false);
        CHECK(attempts.next() == Next::resolve);
    }
}

TEST_CASE("a connection whose server had left before it was asked is replaced, once") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 1, .prewarmed = true, .deadline = deadline});
    attempts.took_prewarmed(true);
    SECTION("in time") {
        REQUIRE(attempts.closed_unanswered(start));
        REQUIRE(attempts.next() == Next::resolve);
        attempts.resolved(1, start);
        attempts.began();
        attempts.reached(0);
        REQUIRE(attempts.connected(tls_, "a", start));
        CHECK_FALSE(attempts.closed_unanswered(start));
    }
    SECTION("too late") { CHECK_FALSE(attempts.closed_unanswered(deadline)); }
}

TEST_CASE("the next address begins beside one that is silent, and the first that is there is used") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 1, .deadline = deadline});
    attempts.resolved(3, start);
    REQUIRE(attempts.address() == 0);
    attempts.began();
    REQUIRE(attempts.next() == Next::wait);
    REQUIRE(attempts.may_begin_next());
    attempts.silent(start + 250ms);
    REQUIRE(attempts.next() == Next::connect);
    REQUIRE(attempts.address() == 1);
    attempts.began();
    REQUIRE(attempts.next() == Next::wait);
    SECTION("the one that began later") {
        attempts.reached(1);
        REQUIRE(attempts.next() == Next::establish);
        CHECK(attempts.address() == 1);
        REQUIRE(attempts.connected(tls_, "b", start));
        CHECK(attempts.failed_attempts() == 1);
    }
    SECTION("the one that was slow") {
        attempts.reached(0);
        REQUIRE(attempts.next() == Next::establish);
        CHECK(attempts.address() == 0);
        CHECK(attempts.failed_attempts() == 0);
    }
    SECTION("a failure of one does not wait for the silence of another") {
        attempts.not_reached(1, failure(Kind::unreachable, "b", "Connection refused"), start);
        REQUIRE(attempts.next() == Next::connect);
        CHECK(attempts.address() == 2);
    }
    SECTION("the last of them is waited for") {
        attempts.silent(start + 500ms);
        attempts.began();
        CHECK_FALSE(attempts.may_begin_next());
        attempts.not_reached(1, failure(Kind::unreachable, "b", "timeout expired"), start);
        attempts.not_reached(0, failure(Kind::unreachable, "a", "timeout expired"), start);
        CHECK(attempts.next() == Next::wait);
        attempts.not_reached(2, failure(Kind::unreachable, "c", "timeout expired"), start);
        CHECK(attempts.next() == Next::give_up);
    }
}

TEST_CASE("addresses that were left for a faster one come again when that is of no use") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 1, .deadline = deadline});
    attempts.resolved(3, start);
    attempts.began();
    attempts.silent(start + 250ms);
    attempts.began();
    attempts.reached(1);
    attempts.failed(failure(Kind::unreachable, "b", "timeout expired"), start);
    REQUIRE(attempts.next() == Next::connect);
    CHECK(attempts.address() == 2);
    attempts.began();
    attempts.not_reached(2, failure(Kind::unreachable, "c", "Connection refused"), start);
    REQUIRE(attempts.next() == Next::connect);
    CHECK(attempts.address() == 0);
}

TEST_CASE("a server that does not answer the StartupMessage is left for the next address, then the next host") {
    Script script(SslMode::prefer, 2, 2);
    script.connects(tls_).says_nothing().is_at(0, 1);
    script.connects(tls_).says_nothing().is_at(1, 0);
    script.connects(tls_).says_nothing().connects(tls_).says_nothing().gives_up();
    CHECK(script.attempts.errors() == "a: no answer; a: no answer; a: no answer; a: no answer");
}

TEST_CASE("a server that cannot be connected to now is left for the next host, whose other addresses are the same") {
    Script script(SslMode::prefer, 2, 2);
    script.connects(tls_).cannot_connect_now().is_at(1, 0);
    script.connects(tls_);
    CHECK_FALSE(script.attempts.may_retry("57P03"));
    CHECK(script.attempts.failed_attempts() == 1);
}

TEST_CASE("a connection that was ready and is silent, or whose server cannot be connected to now, is replaced") {
    Attempts attempts({.sslmode = SslMode::verify_full, .hosts = 2, .prewarmed = true, .deadline = deadline});
    attempts.took_prewarmed(true);
    SECTION("silent") { attempts.unanswered({}, start); }
    SECTION("not now") {
        REQUIRE(attempts.may_retry("57P03"));
        attempts.refused("57P03", failure(Kind::unreachable, "a", "starting up"));
    }
    REQUIRE(attempts.next() == Next::resolve);
    CHECK(attempts.host() == 0);
    CHECK(attempts.errors().empty());
    CHECK(attempts.failed_attempts() == 1);
}

TEST_CASE("after a server of another kind come the other addresses of its host, and then the next host") {
    Attempts attempts({.sslmode = SslMode::require,
                       .hosts = 2,
                       .wanted = config::TargetSessionAttrs::read_write,
                       .deadline = deadline});
    for (const std::size_t host : {0U, 1U}) {
        for (const std::size_t address : {0U, 1U}) {
            if (attempts.next() == Next::resolve) attempts.resolved(2, start);
            REQUIRE(attempts.next() == Next::connect);
            CHECK(attempts.host() == host);
            CHECK(attempts.address() == address);
            attempts.began();
            attempts.reached(address);
            REQUIRE(attempts.connected(tls_, "a", start));
            CHECK(attempts.wanted() == config::TargetSessionAttrs::read_write);
            CHECK(attempts.has_more() == (host == 0 || address == 0));
            attempts.unwanted(failure(Kind::unwanted, "a", "session is read-only"), start);
        }
    }
    CHECK(attempts.next() == Next::give_up);
    CHECK(attempts.failure().reason() == proxy::Reason::no_wanted_host);
    CHECK(attempts.failed_attempts() == 4);
    CHECK(attempts.walk() == 1);
}

TEST_CASE("prefer-standby walks along the hosts twice, the second time for any") {
    Script script({.sslmode = SslMode::require,
                   .hosts = 2,
                   .wanted = config::TargetSessionAttrs::prefer_standby,
                   .deadline = deadline});
    for (const std::size_t host : {0U, 1U}) {
        script.is_at(host, 0);
        CHECK(script.attempts.wanted() == config::TargetSessionAttrs::prefer_standby);
        REQUIRE(script.attempts.connected(tls_, "a", start));
        script.attempts.unwanted(failure(Kind::unwanted, "a", "server is not in hot standby mode"), start);
    }
    script.is_at(0, 0);
    CHECK(script.attempts.wanted() == config::TargetSessionAttrs::any);
    CHECK(script.attempts.walk() == 2);
    script.attempts.failed(failure(Kind::unreachable, "a", "refused"), start);
    script.fails(tls_, Kind::unreachable).gives_up();
}

TEST_CASE("a server of another kind is no reason to go on in clear") {
    Script script(
        {.sslmode = SslMode::prefer, .hosts = 1, .wanted = config::TargetSessionAttrs::primary, .deadline = deadline});
    script.connects(tls_);
    script.attempts.unwanted(failure(Kind::unwanted, "a", "server is in hot standby mode"), start);
    script.gives_up();
}

TEST_CASE("a connection that was ready and leads to another kind of server is followed by a new one") {
    Attempts attempts({.sslmode = SslMode::require,
                       .hosts = 1,
                       .prewarmed = true,
                       .wanted = config::TargetSessionAttrs::primary,
                       .deadline = deadline});
    attempts.took_prewarmed(true);
    CHECK(attempts.has_more());
    attempts.unwanted(failure(Kind::unwanted, "a", "server is in hot standby mode"), start);
    CHECK(attempts.next() == Next::resolve);
}

TEST_CASE("who may wait for a host keeps the last one's 57P03 from the client") {
    Script script({.sslmode = SslMode::require, .hosts = 1, .may_wait = true, .deadline = deadline});
    script.connects(tls_).cannot_connect_now().gives_up();
    CHECK(script.attempts.failure().reason() == proxy::Reason::server_not_reached);
    Script other({.sslmode = SslMode::require, .hosts = 1, .deadline = deadline});
    other.connects(tls_);
    CHECK_FALSE(other.attempts.may_retry("57P03"));
}
