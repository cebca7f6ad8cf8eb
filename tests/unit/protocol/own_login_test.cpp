#include "protocol/own_login.hpp"

#include "protocol/login.hpp"
#include "protocol/simple_query.hpp"
#include "protocol/startup.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"
#include "tls/scram_crypto.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::Buffer;
using protocol::OwnLogin;
using protocol::OwnLoginPolicy;
using protocol::SimpleQuery;
using support::message;
using Next = OwnLogin::Next;

std::string authentication(char code, const std::string& rest = {}) { return message('R', "\0\0\0"s + code + rest); }
const std::string ok = authentication(0);
const std::string ready = message('Z', "I");
const std::string plus = "SCRAM-SHA-256-PLUS\0"s;
const std::string scram = "SCRAM-SHA-256\0"s;

Buffer bytes(std::string_view text) { return Buffer(as_bytes(text).begin(), as_bytes(text).end()); }

OwnLoginPolicy policy(std::string_view password = "Secret-7") {
    return {.user = "pgairlock_monitor",
            .database = "postgres",
            .application_name = "pgairlock monitor",
            .password = bytes(password),
            .crypto = tls::scram_crypto(),
            .server_end_point = bytes(std::string(32, 'e')),
            .server_verified = true,
            .may_tell = true};
}

/// Whole messages, one after the other, to whatever takes them; what it sends.
template <class Machine>
std::string say(Machine& machine, const std::string& said) {
    Buffer out;
    protocol::MessageBuffer from_server(protocol::max_server_login_message);
    from_server.append(as_bytes(said));
    while (const auto one = from_server.next()) {
        if constexpr (std::is_same_v<Machine, OwnLogin>) {
            if (machine.next() != Next::read_server) break;
            machine.from_server(*one, out);
        } else {
            if (machine.next() != SimpleQuery::Next::read_server) break;
            machine.from_server(*one);
        }
    }
    return std::string(as_text(out));
}

std::string body(const std::string& whole) { return whole.substr(5); }

/// What a server with this password says and hears; `bind` its certificate's hash.
void log_in_by_scram(OwnLogin& login, const std::string& offered, const std::string& bind,
                     const std::string& password = "Secret-7") {
    const std::string initial = body(say(login, authentication(10, offered + "\0"s)));
    REQUIRE(login.next() == Next::read_server);
    const auto response = protocol::parse_sasl_initial_response(as_bytes(initial));
    REQUIRE(response);
    const protocol::ScramSalt salt{.salt = bytes("0123456789abcdef"), .iterations = 4096};
    protocol::ScramServer server(tls::scram_crypto(), bytes(bind), salt);
    char flag = 0;
    std::string reply;
    REQUIRE(server.client_first(response->mechanism, *response->data, flag, reply) == protocol::Fault::none);
    say(login, authentication(11, reply));
    REQUIRE(login.next() == Next::derive_key);
    CHECK(login.salt() == salt);
    Buffer out;
    login.derived(tls::salted_password(login.password(), login.salt()), out);
    REQUIRE(server.client_final(body(std::string(as_text(out)))) == protocol::Fault::none);
    const auto secret = protocol::scram_secret(tls::scram_crypto(), tls::salted_password(bytes(password), salt), salt);
    CHECK(server.proves(secret.stored_key).has_value() == (password == "Secret-7"));
    say(login, authentication(12, server.final_message(secret.server_key)));
}

}  // namespace

TEST_CASE("a login of our own says who it is") {
    const Buffer startup = OwnLogin(policy()).startup();
    const auto parsed = std::get<protocol::StartupMessage>(protocol::parse_opening(startup));
    CHECK(parsed.version == 3 << 16);
    CHECK(parsed.find("user") == "pgairlock_monitor");
    CHECK(parsed.database() == "postgres");
    CHECK(parsed.find("application_name") == "pgairlock monitor");
    CHECK(parsed.find("client_encoding") == "SQL_ASCII");  // so that no server fails to convert a name
    CHECK(as_text(startup).find("Secret") == std::string_view::npos);
}

TEST_CASE("a login of our own proves its password, bound to the channel where the server offers that") {
    OwnLogin login(policy());
    log_in_by_scram(login, plus + scram, std::string(32, 'e'));
    say(login, ok + message('S', "in_hot_standby\0on\0"s) + message('K', "\0\0\0\x01KEY!"s));
    CHECK(login.next() == Next::read_server);
    say(login, ready);
    CHECK(login.next() == Next::ready);
    CHECK(login.host_role() == protocol::HostRole::standby);
}

TEST_CASE("a login of our own goes on without channel binding where there is none") {
    OwnLoginPolicy bare = policy();
    bare.server_end_point.clear();
    OwnLogin login(bare);
    log_in_by_scram(login, plus + scram, "");
    say(login, ok + ready);
    CHECK(login.next() == Next::ready);
}

TEST_CASE("a server that does not know the password is not logged in to, whatever it says") {
    SECTION("it proves another one") {
        OwnLogin login(policy());
        log_in_by_scram(login, scram, "", "another one");
        CHECK(login.next() == Next::failed);
    }
    SECTION("it skips the proof") {
        OwnLogin login(policy());
        say(login, authentication(10, scram + "\0"s) + ok);
        CHECK(login.next() == Next::failed);
    }
    SECTION("it asks for the password in clear once SCRAM has begun") {
        OwnLogin login(policy());
        const std::string said = say(login, authentication(10, scram + "\0"s) + authentication(3));
        CHECK(login.next() == Next::failed);
        CHECK(said.find("Secret") == std::string::npos);
    }
    SECTION("it is ready before anybody was authenticated") {
        OwnLogin login(policy());
        say(login, ready);
        CHECK(login.next() == Next::failed);
    }
    SECTION("it says one thing after AuthenticationOk that belongs before") {
        OwnLogin login(policy());
        CHECK(say(login, ok + authentication(3)).empty());
        CHECK(login.next() == Next::failed);
    }
}

TEST_CASE("the password is told only where it may be, and its MD5 digest never") {
    OwnLogin told(policy());
    CHECK(say(told, authentication(3)) == message('p', "Secret-7\0"s));
    say(told, ok + ready);
    CHECK(told.next() == Next::ready);

    OwnLogin twice(policy());
    say(twice, authentication(3));
    CHECK(say(twice, authentication(3)).empty());
    CHECK(twice.next() == Next::failed);

    OwnLoginPolicy unverified = policy();
    unverified.may_tell = false;
    OwnLogin kept(unverified);
    CHECK(say(kept, authentication(3)).empty());
    CHECK(kept.next() == Next::failed);
    CHECK(kept.failure().text.find("not verified") != std::string::npos);

    OwnLogin digest(policy());
    CHECK(say(digest, authentication(5, "salt")).empty());
    CHECK(digest.next() == Next::failed);
    CHECK(digest.failure().text.find("MD5") != std::string::npos);

    OwnLogin gss(policy());
    CHECK(say(gss, authentication(7)).empty());
    CHECK(gss.next() == Next::failed);
}

TEST_CASE("without a password none is told or proved, and a server that asks for none is logged in to") {
    for (const std::string& asked : {authentication(3), authentication(10, scram + "\0"s)}) {
        OwnLogin login(policy(""));
        CHECK(say(login, asked).empty());
        CHECK(login.next() == Next::failed);
    }
    OwnLogin trusted(policy(""));
    say(trusted, ok + ready);
    CHECK(trusted.next() == Next::ready);
}

TEST_CASE("what the server refuses a login of our own with is kept") {
    OwnLogin login(policy());
    say(login, message('E', "SFATAL\0C28P01\0Mpassword authentication failed\0\0"s));
    CHECK(login.next() == Next::failed);
    CHECK(login.failure().sqlstate == "28P01");
    CHECK(login.failure().text == "password authentication failed");

    OwnLogin repeated(policy());
    say(repeated, authentication(3) + message('E', "SFATAL\0C28P01\0Mnot Secret-7\0\0"s));
    CHECK(repeated.failure().sqlstate == "28P01");
    CHECK(repeated.failure().text.find("Secret") == std::string::npos);

    OwnLogin transformed(policy());
    say(transformed, authentication(3) + message('E', "SFATAL\0CSECRE\0Mnot S-E-C-R-E-T-7\0\0"s));
    CHECK(transformed.failure().sqlstate.empty());
    CHECK(transformed.failure().text.empty());
}

TEST_CASE("a server that never stops talking is not listened to for ever") {
    OwnLogin login(policy());
    const std::string notice = message('N', std::string(60'000, 'x'));
    for (int i = 0; i < 100 && login.next() == Next::read_server; ++i) say(login, notice);
    CHECK(login.next() == Next::failed);
    OwnLogin oversized(policy());
    oversized.oversized();
    CHECK(oversized.next() == Next::failed);
}

TEST_CASE("a login of our own that is cut anywhere is not over") {
    const std::string whole = ok +
                              message('S',
                                      "server_version\0"
                                      "17.2\0"s) +
                              ready;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        OwnLogin login(policy());
        say(login, whole.substr(0, size));
        CHECK(login.next() == Next::read_server);
    }
}

// --- What is asked then

namespace {

std::string row(const std::vector<std::optional<std::string>>& values) {
    Buffer out;
    protocol::Writer writer(out);
    writer.u8(0);
    writer.u8(static_cast<std::uint8_t>(values.size()));
    for (const auto& value : values) {
        writer.u32(value ? static_cast<std::uint32_t>(value->size()) : 0xffffffff);
        if (value) writer.bytes(as_bytes(*value));
    }
    return message('D', as_text(out));
}

}  // namespace

TEST_CASE("a query of our own and its end are whole messages") {
    Buffer out;
    protocol::append_query(out, "SELECT 1");
    protocol::append_terminate(out);
    CHECK(as_text(out) == message('Q', "SELECT 1\0"s) + message('X', ""));
}

TEST_CASE("the rows of an answer are read as text, NULL among them") {
    SimpleQuery query({});
    say(query, message('T', "\0\0"s) + message('N', "SNOTICE\0\0"s) + row({"t", std::nullopt, ""}) + row({}) +
                   message('S', "in_hot_standby\0off\0"s) + message('C', "SELECT 2\0"s));
    CHECK(query.next() == SimpleQuery::Next::read_server);
    say(query, ready);
    REQUIRE(query.next() == SimpleQuery::Next::answered);
    REQUIRE(query.rows().size() == 2);
    CHECK(query.rows()[0] == protocol::TextRow{"t", std::nullopt, ""});
    CHECK(query.rows()[1].empty());
}

TEST_CASE("an error of the statement leaves the session, one that ends it does not") {
    SimpleQuery refused({});
    say(refused, message('E', "SERROR\0C42501\0Mno\0\0"s));
    CHECK(refused.next() == SimpleQuery::Next::read_server);
    say(refused, ready);
    CHECK(refused.next() == SimpleQuery::Next::refused);
    CHECK(refused.failure().sqlstate == "42501");

    SimpleQuery ended({});
    say(ended, message('E', "SFATAL\0C57P01\0Mbye\0\0"s));
    CHECK(ended.next() == SimpleQuery::Next::failed);
    CHECK(ended.failure().sqlstate == "57P01");
}

TEST_CASE("an answer beyond its bounds is none") {
    SimpleQuery rows({.bytes = 10'000, .rows = 2});
    say(rows, row({"1"}) + row({"2"}));
    CHECK(rows.next() == SimpleQuery::Next::read_server);
    say(rows, row({"3"}));
    CHECK(rows.next() == SimpleQuery::Next::failed);

    SimpleQuery bytes({.bytes = 100, .rows = 10});
    say(bytes, row({std::string(60, 'x')}));
    CHECK(bytes.next() == SimpleQuery::Next::read_server);
    say(bytes, row({std::string(60, 'x')}));
    CHECK(bytes.next() == SimpleQuery::Next::failed);
}

TEST_CASE("a row that is malformed anywhere is no row") {
    const std::string good = row({"abc", std::nullopt}).substr(5);
    for (std::size_t size = 0; size < good.size(); ++size) {
        SimpleQuery query({});
        say(query, message('D', good.substr(0, size)));
        CHECK(query.next() == SimpleQuery::Next::failed);
    }
    SimpleQuery longer({});
    say(longer, message('D', good + "x"));
    CHECK(longer.next() == SimpleQuery::Next::failed);
    for (const char type : {'G', 'H', 'W', 'K', 'R', 'v', '1'}) {
        SimpleQuery other({});
        say(other, message(type, "\0\0\0\0"s));
        CHECK(other.next() == SimpleQuery::Next::failed);
    }
}
