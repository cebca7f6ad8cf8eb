#include "proxy/session/rejection.hpp"

#include <memory>

#include "proxy/session/login_request.hpp"
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
        const proxy::Rejection told = proxy::rejection(fault, "");
        CAPTURE(label(told.reason));
        CHECK(label(told.reason) == protocol::label(fault));
        CHECK(told.reason != proxy::Reason::none);
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
    const auto told = proxy::rejection(Fault::password_failed, "ada").response;
    CHECK(told.message == "password authentication failed for user \"ada\"");
    CHECK(told.sqlstate == "28P01");
    CHECK(told.detail.empty());
    CHECK(told.hint.empty());
    CHECK(proxy::rejection(Fault::password_empty, "ada").response.sqlstate == "28P01");
}

TEST_CASE("only a wrong password is told with the user's name") {
    for (const Fault fault : faults) {
        if (fault == Fault::password_failed) continue;
        const auto told = proxy::rejection(fault, "ada lovelace").response;
        CHECK((told.message + told.detail + told.hint).find("ada lovelace") == std::string::npos);
    }
}

TEST_CASE("a limit that a server exceeds is told") {
    CHECK(proxy::rejection(Fault::scram_iterations, "").response.detail == "The limit is 600000.");
}

TEST_CASE("who can do something about a refusal is told what") {
    for (const Fault fault : {Fault::channel_binding_hidden, Fault::password_in_clear, Fault::scram_iterations,
                              Fault::scram_secret, Fault::tls_required}) {
        CHECK_FALSE(proxy::rejection(fault, "").response.hint.empty());
    }
}

TEST_CASE("who comes from an address that is not allowed is told where to add it") {
    const auto told = proxy::address_not_allowed("main", "10.0.0.9");
    CHECK(told.reason == proxy::Reason::address_not_allowed);
    CHECK(told.response.sqlstate == "28000");
    CHECK(told.response.message == "no entry in \"allow\" of listener \"main\" for host \"10.0.0.9\"");
    CHECK(told.response.hint == "Add the address to listener.allow in pgairlock's configuration.");
}

TEST_CASE("a client too many is told which limit is reached") {
    const auto told = proxy::too_many_connections("max_connections");
    CHECK(told.reason == proxy::Reason::too_many_connections);
    CHECK(told.response.sqlstate == "53300");
    CHECK(told.response.message == "sorry, too many clients already");
    CHECK(told.response.detail == "pgairlock's max_connections is reached.");
    CHECK(told.response.hint == "Raise runtime.max_connections.");
}

TEST_CASE("names of a client that a refusal repeats are cut and printable") {
    proxy::ListenerRoute route;
    route.settings.name = "main";
    auto upstream = std::make_shared<proxy::UpstreamRoute>();
    upstream->settings.name = "orders";
    route.upstream = upstream;
    const std::string name = "a\nb" + std::string(100, 'x');
    const auto told = proxy::user_is_full({.route = route, .user = name, .database = "", .now = {}});
    CHECK(told.response.message.find('\n') == std::string::npos);
    CHECK(told.response.message.size() < 120);
}

TEST_CASE("who comes during the drain, or too late, is told in PostgreSQL's words") {
    const auto ending = proxy::rejection(proxy::Reason::shutting_down).response;
    CHECK(ending.sqlstate == "57P03");
    CHECK(ending.message == "pgairlock is shutting down");
    CHECK(ending.hint == "Connect again: another instance or the next one will answer.");
    const auto late = proxy::rejection(proxy::Reason::login_timeout).response;
    CHECK(late.sqlstate == "57014");
    CHECK(late.message == "canceling authentication due to timeout");
    CHECK(late.detail == "The login did not reach ReadyForQuery within client_login_timeout.");
    const auto silent = proxy::rejection(proxy::Reason::opening_timeout).response;
    CHECK(silent.sqlstate == "57014");
    CHECK(silent.message == "canceling authentication due to timeout");
    CHECK(silent.detail == "The client did not go on within client_opening_timeout.");
}

TEST_CASE("the hint about a PROXY protocol header asks for nothing that the listener has already") {
    const auto hint = [](config::ProxyProtocol mode, const std::string& address, bool has_front) {
        config::Listener listener;
        listener.proxy_protocol = mode;
        return proxy::foreign_hint(protocol::Foreign::proxy_protocol, listener, address, has_front);
    };
    using config::ProxyProtocol;
    CHECK(hint(ProxyProtocol::off, "192.0.2.1", false) == protocol::hint(protocol::Foreign::proxy_protocol));
    CHECK(hint(ProxyProtocol::require, "192.0.2.1", false) ==
          "192.0.2.1 sends a PROXY protocol header and is not in trusted_proxies: add it if it is your load balancer");
    for (const auto& [address, has_front] : {std::pair("", false), std::pair("192.0.2.1", true)}) {
        const std::string told = hint(ProxyProtocol::require, address, has_front);
        CAPTURE(told);
        CHECK(told.find("PROXY protocol header") != std::string::npos);
        CHECK(told.find("trusted_proxies") == std::string::npos);
    }
    config::Listener behind;
    behind.proxy_protocol = ProxyProtocol::require;
    CHECK(proxy::foreign_hint(protocol::Foreign::http, behind, "192.0.2.1", false) ==
          protocol::hint(protocol::Foreign::http));
}
