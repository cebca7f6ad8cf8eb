#include "bench/replay/opening_comparison.hpp"
#include "support/catch.hpp"

using namespace bench::replay;
using bench::Phase;

namespace {

constexpr bool only_opening = true;

Attempt failed(Phase phase, const std::string& sqlstate, const std::string& error) {
    return {.error = error, .sqlstate = sqlstate, .phase = phase};
}
const Attempt went_well;
const Attempt no_database = failed(Phase::startup, "3D000", "startup: FATAL 3D000: no database");
const Attempt wrong_password = failed(Phase::authentication, "28P01", "authentication: FATAL 28P01: wrong");
const Attempt no_connection = failed(Phase::tcp, "", "tcp: 127.0.0.1:1: Connection refused");
const Attempt no_tls = failed(Phase::sslrequest, "", "sslrequest: server does not support TLS");
const Attempt not_trusted{
    .error = "tls: certificate verify failed", .sqlstate = "", .phase = Phase::tls, .certificate_refused = true};

Outcome opened(Login was, const std::string& code, const Attempt& attempt, bool openings = false) {
    CapturedSession session;
    session.plan.startup = protocol::StartupMessage{.version = 3 << 16, .parameters = {{"user", "a"}}};
    session.plan.login = was;
    session.plan.sqlstate = code;
    Outcome outcome;
    compare_opening(session, attempt, openings, outcome);
    return outcome;
}

/// Of a session whose TLS failed in the capture.
Outcome failed_tls(const SessionFacts& facts, const Attempt& attempt, std::optional<TlsOffer> offer = {},
                   std::vector<std::string> tls_left_out = {}) {
    CapturedSession session;
    session.facts = facts;
    session.facts.failed = "tls_failed";
    session.offer = std::move(offer);
    Outcome outcome;
    outcome.tls_left_out = std::move(tls_left_out);
    compare_opening(session, attempt, only_opening, outcome);
    return outcome;
}

SessionFacts refused_by_client() {
    SessionFacts facts;
    facts.reason = "tls_abandoned";
    facts.error = "alert unknown_ca (48)";
    facts.alert = facts.certificate_shown = true;
    return facts;
}

SessionFacts failed_at_server(const std::string& error) {
    SessionFacts facts;
    facts.reason = "tls_failed";
    facts.error = error;
    return facts;
}

}  // namespace

TEST_CASE("a session that cannot be opened is not played, whyever, and is neither the same nor different") {
    for (const Attempt& attempt : {no_database, wrong_password, no_connection, no_tls, not_trusted}) {
        INFO(attempt.error);
        const Outcome outcome = opened(Login::accepted, "", attempt);
        CHECK_FALSE(outcome.same());
        CHECK(outcome.different == 0);
        CHECK(outcome.left_out.empty());
        CHECK(outcome.why_not_played == attempt.error);
    }
    CHECK(opened(Login::accepted, "", wrong_password).not_played_as == "wrong password, or no such user (28P01)");
    CHECK(opened(Login::accepted, "", no_database).not_played_as == "no such database (3D000)");
    CHECK(opened(Login::accepted, "", no_connection).not_played_as == "no connection");
    CHECK(opened(Login::accepted, "", not_trusted).not_played_as == "the server's certificate is not trusted");
    CHECK(opened(Login::accepted, "", went_well).same());
}

TEST_CASE("of an opening a refusal is an answer, but for what the server has no part in") {
    for (const Attempt& attempt : {no_database, no_tls, not_trusted}) {
        const Outcome outcome = opened(Login::accepted, "", attempt, only_opening);
        REQUIRE(outcome.first.has_value());
        CHECK(outcome.first->was == "logged in");
        CHECK(outcome.first->is == attempt.error);
        CHECK(outcome.not_played_as.empty());
    }
    CHECK(opened(Login::accepted, "", failed(Phase::authentication, "", "authentication: server closed the connection"),
                 only_opening)
              .different == 1);
    Attempt no_password = failed(Phase::authentication, "", "authentication: the server asks for a password");
    no_password.cannot_log_in = true;
    for (const Attempt& attempt : {wrong_password, no_connection, no_password}) {
        const Outcome outcome = opened(Login::accepted, "", attempt, only_opening);
        CHECK(outcome.different == 0);
        CHECK_FALSE(outcome.not_played_as.empty());
    }
}

TEST_CASE(
    "a refusal that was captured is compared by its SQLSTATE, but for those that were refused for who they were") {
    CHECK(opened(Login::refused, "3D000", no_database).same());
    CHECK(opened(Login::refused, "3D000", went_well).first->was == "refused with 3D000");
    CHECK(opened(Login::refused, "53300", no_database).first->is == no_database.error);
    CHECK_FALSE(opened(Login::refused, "3D000", no_connection).not_played_as.empty());
    CHECK_FALSE(opened(Login::refused, "28P01", went_well).left_out.empty());
    CHECK_FALSE(opened(Login::refused, "28P01", wrong_password).same());
    CHECK_FALSE(opened(Login::unknown, "", went_well).left_out.empty());
}

TEST_CASE("what a client trusts cannot be replayed: its refusal is no difference, and never the same") {
    for (const Attempt& attempt : {went_well, not_trusted}) {
        const Outcome outcome = failed_tls(refused_by_client(), attempt);
        CHECK(outcome.different == 0);
        CHECK_FALSE(outcome.same());
        CHECK(outcome.left_out ==
              "its client refused the handshake (alert unknown_ca (48)), and what a client trusts is not in a capture: "
              "that cannot be replayed");
    }
    SessionFacts left = refused_by_client();
    left.alert = left.certificate_shown = false;
    left.error = "closed";
    for (const Attempt& attempt : {went_well, no_tls})
        CHECK(failed_tls(left, attempt).left_out.starts_with("its client left the handshake (closed)"));
    CHECK_FALSE(failed_tls(refused_by_client(), no_connection).not_played_as.empty());
    SessionFacts old;  // of a capture whose events say no reason
    old.alert = true;
    CHECK_FALSE(failed_tls(old, went_well).left_out.empty());
}

TEST_CASE("a server that does not get as far as to show a certificate differs from one that did") {
    const Outcome outcome = failed_tls(refused_by_client(), no_tls);
    REQUIRE(outcome.first.has_value());
    CHECK(outcome.first->was == "the certificate was shown, and the client left: alert unknown_ca (48)");
    CHECK(outcome.first->is == no_tls.error);
}

TEST_CASE("TLS that the server failed is compared where what it failed for is offered again") {
    const TlsOffer offer{.lowest = 0x0302, .highest = 0x0302, .groups = {29}, .key_shares = {}};
    CHECK(failed_tls(failed_at_server("unsupported protocol"), no_tls, offer).same());
    CHECK(failed_tls(failed_at_server("unsupported protocol"), went_well, offer).first->was ==
          "TLS failed: unsupported protocol");
    CHECK(failed_tls(failed_at_server("no suitable key share"), went_well, offer).different == 1);
    for (const Outcome& outcome :
         {failed_tls(failed_at_server("no shared cipher"), went_well, offer),
          failed_tls(failed_at_server("unsupported protocol"), went_well),
          failed_tls(failed_at_server("no suitable key share"), went_well, offer, {"0x7777"})}) {
        CHECK(outcome.different == 0);
        CHECK_FALSE(outcome.left_out.empty());
    }
}
