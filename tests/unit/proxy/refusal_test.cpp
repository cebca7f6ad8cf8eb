#include "proxy/session/refusal.hpp"

#include "support/catch.hpp"

namespace {

using protocol::Fault;

/// Of every fault of an authentication that a client is told.
const std::vector<Fault> faults = {
    Fault::sasl_mechanism,         Fault::sasl_message,
    Fault::channel_binding_hidden, Fault::channel_binding_downgrade,
    Fault::channel_binding_failed, Fault::password_message,
    Fault::password_empty,         Fault::password_failed,
    Fault::password_in_clear,      Fault::sasl_nothing_left,
    Fault::scram_message,          Fault::scram_iterations,
    Fault::scram_signature,        Fault::scram_secret,
};

}  // namespace

TEST_CASE("a refused login is told with reason, SQLSTATE and sentence") {
    for (const Fault fault : faults) {
        const proxy::Refusal told = proxy::refusal(fault);
        CAPTURE(told.reason);
        CHECK(told.reason == protocol::label(fault));
        CHECK(told.reason != "none");
        CHECK(told.response.severity == "FATAL");
        CHECK(told.response.sqlstate == protocol::sqlstate(fault));
        CHECK(told.response.sqlstate.size() == 5);
        CHECK(told.response.message.starts_with(protocol::message(fault)));
    }
}

TEST_CASE("no two faults have one name") {
    for (const Fault a : faults) {
        for (const Fault b : faults) CHECK((a == b) == (protocol::label(a) == protocol::label(b)));
    }
}

TEST_CASE("a wrong password is told in PostgreSQL's words") {
    const auto told = proxy::refusal(Fault::password_failed, "ada").response;
    CHECK(told.message == "password authentication failed for user \"ada\"");
    CHECK(told.sqlstate == "28P01");
    CHECK(told.detail.empty());
    CHECK(told.hint.empty());
    CHECK(proxy::refusal(Fault::password_empty, "ada").response.sqlstate == "28P01");
}

TEST_CASE("only a wrong password is told with the user's name") {
    for (const Fault fault : faults) {
        if (fault == Fault::password_failed) continue;
        const auto told = proxy::refusal(fault, "ada lovelace").response;
        CHECK((told.message + told.detail + told.hint).find("ada lovelace") == std::string::npos);
    }
}

TEST_CASE("a limit that a server exceeds is told") {
    CHECK(proxy::refusal(Fault::scram_iterations).response.detail == "The limit is 600000.");
}

TEST_CASE("who can do something about a refusal is told what") {
    for (const Fault fault : {Fault::channel_binding_hidden, Fault::password_in_clear, Fault::scram_iterations,
                              Fault::scram_secret, Fault::tls_required}) {
        CHECK_FALSE(proxy::refusal(fault).response.hint.empty());
    }
}
