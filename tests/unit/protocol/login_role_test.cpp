// What a client hears, and when, where a certain kind of server is wanted; and how the next server
// is logged in at.
#include <string>

#include "protocol/login.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"
#include "tls/scram_crypto.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::HostRole;
using protocol::Login;
using protocol::LoginOutput;
using protocol::LoginPolicy;
using protocol::RoleQuestion;
using support::message;
using Next = Login::Next;

std::string authentication(char code, const std::string& rest = {}) { return message('R', "\0\0\0"s + code + rest); }
std::string status(const std::string& name, const std::string& value) {
    return message('S', name + "\0"s + value + "\0"s);
}
std::string row(const std::string& value) {
    return message('D', "\0\1\0\0\0"s + static_cast<char>(value.size()) + value);
}

const std::string ok = authentication(0);
const std::string asks_password = authentication(3);
const std::string asks_scram = authentication(10, "SCRAM-SHA-256\0\0"s);
const std::string ready = message('Z', "I");
const std::string standby = status("in_hot_standby", "on");
const std::string primary = status("in_hot_standby", "off");
const std::string writable = status("default_transaction_read_only", "off");
const std::string read_only = status("default_transaction_read_only", "on");
const std::string show = message('Q', "SHOW transaction_read_only\0"s);
const std::string in_recovery = message('Q', "SELECT pg_catalog.pg_is_in_recovery()\0"s);
const std::string columns = message('T', "\0\0"s);
const std::string complete = message('C', "SHOW\0"s);
const std::string version = message('v', "\0\3\0\0\0\0\0\0"s);

LoginPolicy policy(RoleQuestion question, protocol::ScramMode scram = protocol::ScramMode::passthrough) {
    LoginPolicy made;
    made.question = question;
    made.scram = scram;
    made.crypto = tls::scram_crypto();
    made.password_is_safe = true;
    return made;
}

/// Of both directions, what was sent in answer.
struct Said {
    std::string to_client;
    std::string to_server;
};

protocol::Message parsed(const std::string& bytes) {
    const protocol::Bytes whole = as_bytes(bytes);
    return {.type = bytes[0], .body = whole.subspan(5), .whole = whole};
}

Said taken(const LoginOutput& out) {
    return {std::string(as_text(out.to_client)), std::string(as_text(out.to_server))};
}

Said server(Login& login, const std::string& bytes) {
    REQUIRE(login.next() == Next::read_server);
    LoginOutput out;
    login.from_server(parsed(bytes), out);
    return taken(out);
}

Said client(Login& login, const std::string& bytes) {
    REQUIRE(login.next() == Next::read_client);
    LoginOutput out;
    login.from_client(parsed(bytes), out);
    return taken(out);
}

std::string released(Login& login) {
    REQUIRE(login.next() == Next::judge);
    LoginOutput out;
    login.release(out);
    CHECK(out.to_server.empty());
    return taken(out).to_client;
}

}  // namespace

TEST_CASE("a client hears nothing of its login before it is known what server this is") {
    Login login(policy(RoleQuestion::in_recovery));
    for (const std::string& said : {ok, primary, ready}) {
        const Said sent = server(login, said);
        CHECK(sent.to_client.empty());
        CHECK(sent.to_server.empty());
    }
    CHECK(login.host_role() == HostRole::primary);
    CHECK(released(login) == ok + primary + ready);
    CHECK(login.next() == Next::established);
}

TEST_CASE("whether a session is read-only is known where both are reported, and the last word of each counts") {
    const auto known = [](const std::string& hot, const std::string& setting) {
        Login login(policy(RoleQuestion::read_only));
        server(login, ok);
        server(login, standby);
        server(login, read_only);
        server(login, hot);
        server(login, setting);
        CHECK(server(login, ready).to_server.empty());
        REQUIRE(login.next() == Next::judge);
        return login.read_only();
    };
    CHECK(known(primary, writable) == false);
    CHECK(known(primary, read_only) == true);
    CHECK(known(standby, writable) == true);
    CHECK(known(standby, read_only) == true);
}

TEST_CASE("a server that does not report it is asked, and the client hears nothing of that") {
    for (const std::string& told : {""s, primary, read_only}) {
        Login login(policy(RoleQuestion::read_only));
        server(login, ok);
        if (!told.empty()) server(login, told);
        const Said asked = server(login, ready);
        CHECK(asked.to_server == show);
        CHECK(asked.to_client.empty());
        server(login, columns);
        server(login, row("off"));
        server(login, complete);
        server(login, ready);
        CHECK(login.read_only() == false);
        CHECK(login.host_role() == HostRole::primary);
        CHECK(released(login) == ok + told + ready);
        CHECK(login.next() == Next::established);
    }
}

TEST_CASE("a server is asked whether it is in recovery where its role is wanted") {
    Login login(policy(RoleQuestion::in_recovery));
    server(login, ok);
    CHECK(server(login, ready).to_server == in_recovery);
    server(login, columns);
    server(login, row("t"));
    server(login, complete);
    server(login, ready);
    CHECK(login.next() == Next::judge);
    CHECK(login.host_role() == HostRole::standby);
}

TEST_CASE("that sessions are read-only makes no standby of a server") {
    Login login(policy(RoleQuestion::read_only));
    server(login, ok);
    server(login, ready);
    server(login, row("on"));
    server(login, ready);
    CHECK(login.read_only() == true);
    CHECK(login.host_role() == HostRole::unknown);
}

TEST_CASE("a server that answers with an error, or with nonsense, is one of which nothing is known") {
    for (const std::string& told :
         {message('E', "SERROR\0C42501\0Mno\0\0"s), row("maybe"), row(""), message('D', "\0\2"s)}) {
        for (const RoleQuestion question : {RoleQuestion::read_only, RoleQuestion::in_recovery}) {
            Login login(policy(question));
            server(login, ok);
            server(login, ready);
            server(login, told);
            server(login, ready);
            CHECK(login.next() == Next::judge);
            CHECK(login.read_only() == std::nullopt);
            CHECK(login.host_role() == HostRole::unknown);
        }
    }
}

TEST_CASE("rows that nobody asked for are refused") {
    for (const std::string& told : {columns, row("off"), complete}) {
        Login login(policy(RoleQuestion::read_only));
        server(login, ok);
        server(login, told);
        CHECK(login.next() == Next::failed);
    }
}

TEST_CASE("an error after AuthenticationOk is heard with all that came before it") {
    Login login(policy(RoleQuestion::read_only));
    server(login, ok);
    server(login, primary);
    const std::string error = message('E', "SFATAL\0C3D000\0Mno\0\0"s);
    CHECK(server(login, error).to_client == ok + primary + error);
    CHECK(login.next() == Next::denied);
}

TEST_CASE("a server that says more than is kept is judged by what is known, and then heard") {
    Login login(policy(RoleQuestion::in_recovery));
    server(login, ok);
    server(login, primary);
    const std::string notice = message('N', std::string(100'000, 'x'));
    std::string said = ok + primary;
    while (login.next() == Next::read_server) {
        CHECK(server(login, notice).to_client.empty());
        said += notice;
        REQUIRE(said.size() < 2 * protocol::max_held_back);
    }
    CHECK(released(login) == said);
    CHECK(login.next() == Next::read_server);
    CHECK(server(login, notice).to_client == notice);
    CHECK(server(login, ready).to_client == ready);
    CHECK(login.next() == Next::established);
}

TEST_CASE("a server that says more than is kept instead of answering is one of which nothing is known") {
    for (const std::string& more : {message('N', std::string(10'000, 'x')), message('A', std::string(10'000, 'x')),
                                    message('S', std::string(10'000, 'x')), message('v', std::string(10'000, 'x'))}) {
        Login login(policy(RoleQuestion::read_only));
        server(login, ok);
        CHECK(server(login, ready).to_server == show);
        std::size_t said = ok.size() + ready.size();
        while (login.next() == Next::read_server) {
            CHECK(server(login, more).to_client.empty());
            said += more.size();
            REQUIRE(said < protocol::max_held_back + 2 * more.size());
        }
        CHECK(login.next() == Next::judge);
        CHECK(login.host_role() == HostRole::unknown);
        CHECK(login.read_only() == std::nullopt);
        // Whoever takes it nevertheless hears all of it, and nothing of the question.
        CHECK(released(login).size() == said);
        CHECK(server(login, row("off")).to_client.empty());
        CHECK(server(login, more).to_client == more);
        CHECK(server(login, ready).to_client.empty());
        CHECK(login.next() == Next::established);
    }
}

TEST_CASE("a message that is too long to be kept has the server judged, also before it has answered") {
    Login login(policy(RoleQuestion::in_recovery));
    server(login, ok);
    server(login, ready);
    CHECK(login.passes_oversized('N'));
    CHECK(login.judge_now());
    CHECK(login.next() == Next::judge);
    CHECK(released(login) == ok + ready);
    CHECK_FALSE(login.judge_now());
}

TEST_CASE("versions without end are held back no more than anything else") {
    Login login(policy(RoleQuestion::in_recovery));
    server(login, ok);
    for (std::size_t said = 0; login.next() == Next::read_server; said += version.size()) {
        server(login, version);
        REQUIRE(said < 2 * protocol::max_held_back);
    }
    CHECK(login.next() == Next::judge);
}

TEST_CASE("passwords without end, asked for again and again, are not kept") {
    Login login(policy(RoleQuestion::none));
    const std::string password = message('p', std::string(60'000, 'x') + "\0"s);
    std::size_t given = 0;
    for (;;) {
        server(login, asks_password);
        const Said sent = client(login, password);
        if (login.next() == Next::failed) {
            CHECK(sent.to_server.empty());
            break;
        }
        given += password.size();
        REQUIRE(given <= protocol::max_told_in_clear + password.size());
    }
    CHECK(given > 0);
    CHECK(login.fault() == protocol::Fault::client_message_length);
}

TEST_CASE("where any server will do nothing is held back") {
    Login login(policy(RoleQuestion::none));
    CHECK(server(login, ok).to_client == ok);
    CHECK_FALSE(login.judge_now());
    CHECK(server(login, ready).to_client == ready);
    CHECK(login.next() == Next::established);
}

TEST_CASE("a client that was asked for nothing logs in at another server as if it were the first") {
    Login first(policy(RoleQuestion::in_recovery));
    server(first, version);
    server(first, ok);
    server(first, standby);
    server(first, ready);
    CHECK(first.can_be_repeated());
    auto answers = first.take_answers();
    REQUIRE(answers);
    Login second(policy(RoleQuestion::in_recovery), *answers);
    CHECK(server(second, version).to_client.empty());  // it has heard that
    CHECK(server(second, asks_password).to_client == asks_password);
    CHECK(client(second, message('p', "secret\0"s)).to_server == message('p', "secret\0"s));
    server(second, ok);
    server(second, primary);
    server(second, ready);
    CHECK(released(second) == ok + primary + ready);
}

TEST_CASE("another version than the client has heard of is refused") {
    Login first(policy(RoleQuestion::in_recovery));
    server(first, version);
    server(first, ok);
    server(first, primary);
    server(first, ready);
    Login second(policy(RoleQuestion::in_recovery), *first.take_answers());
    server(second, message('v', "\0\3\0\2\0\0\0\0"s));
    CHECK(second.next() == Next::failed);
}

TEST_CASE("a password that was given is given to the next server, and known again in what that says") {
    Login first(policy(RoleQuestion::read_only));
    server(first, asks_password);
    client(first, message('p', "secret-of-alice\0"s));
    server(first, ok);
    server(first, standby);
    server(first, read_only);
    server(first, ready);
    Login second(policy(RoleQuestion::read_only), *first.take_answers());
    const Said answered = server(second, asks_password);
    CHECK(answered.to_server == message('p', "secret-of-alice\0"s));
    CHECK(answered.to_client.empty());
    CHECK(second.repeats_secret("no such role as secret-of-alice"));
    server(second, ok);
    server(second, primary);
    server(second, writable);
    server(second, ready);
    CHECK(second.auth_method() == "password");
    CHECK(released(second) == ok + primary + writable + ready);
}

TEST_CASE("a password that was given in clear serves a server that wants SCRAM") {
    Login first(policy(RoleQuestion::read_only));
    server(first, asks_password);
    client(first, message('p', "secret\0"s));
    server(first, ok);
    server(first, standby);
    server(first, read_only);
    server(first, ready);
    Login second(policy(RoleQuestion::read_only), *first.take_answers());
    const Said begun = server(second, asks_scram);
    CHECK(begun.to_client.empty());
    CHECK(begun.to_server.find("SCRAM-SHA-256") != std::string::npos);
    CHECK(second.next() == Next::read_server);
}

TEST_CASE("a server that asks a client for something else, which has answered, is refused") {
    for (const std::string& other : {authentication(5, "salt"), authentication(7)}) {
        Login first(policy(RoleQuestion::read_only));
        server(first, asks_password);
        client(first, message('p', "secret\0"s));
        server(first, ok);
        server(first, ready);
        server(first, row("on"));
        server(first, ready);
        Login second(policy(RoleQuestion::read_only), *first.take_answers());
        CHECK(server(second, other).to_client.empty());
        CHECK(second.next() == Next::failed);
    }
}

TEST_CASE("MD5, SCRAM and GSSAPI that passed through serve one server alone") {
    for (const std::string& asked : {authentication(5, "salt"), authentication(7)}) {
        Login login(policy(RoleQuestion::read_only));
        server(login, asked);
        client(login, message('p', "proof\0"s));
        server(login, ok);
        CHECK_FALSE(login.can_be_repeated());
        CHECK_FALSE(login.take_answers());
    }
    Login login(policy(RoleQuestion::read_only));
    server(login, asks_scram);
    client(login, message('p', "SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc"s));
    server(login, authentication(11, "r=abcd,s=QQ==,i=4096"));
    client(login, message('p', "c=biws,r=abcd,p=x"));
    server(login, authentication(12, "v=x"));
    server(login, ok);
    CHECK_FALSE(login.can_be_repeated());
}

TEST_CASE("before a server has let the client in there is nothing to repeat") {
    Login login(policy(RoleQuestion::read_only));
    CHECK_FALSE(login.can_be_repeated());
    CHECK_FALSE(login.take_answers());
}

TEST_CASE("a password that we were given for SCRAM is not told in clear to another server") {
    // Whatever the first server was: what counts is how the password was given.
    protocol::ClientAnswers answers;
    answers.was_asked = true;
    answers.password = {'s', 'e', 'c', 'r', 'e', 't'};
    answers.auth_method = "scram-sha-256";
    answers.auth_bridge = protocol::AuthBridge::cleartext;
    Login login(policy(RoleQuestion::read_only, protocol::ScramMode::bridge), answers);
    CHECK(server(login, asks_password).to_server.empty());
    CHECK(login.next() == Next::failed);
}
