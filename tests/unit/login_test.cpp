#include "protocol/login.hpp"

#include <algorithm>

#include "protocol/startup.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::Buffer;
using protocol::Fault;
using protocol::Login;
using protocol::LoginOutput;
using protocol::LoginPolicy;
using protocol::Message;
using Next = Login::Next;

std::string message(char type, const std::string& body) {
    Buffer out;
    protocol::Writer writer(out);
    writer.u8(static_cast<std::uint8_t>(type));
    writer.u32(static_cast<std::uint32_t>(body.size() + 4));
    writer.bytes(as_bytes(body));
    return std::string(as_text(out));
}

std::string authentication(char code, const std::string& rest = {}) {
    return message('R', "\0\0\0"s + code + rest);
}
std::string offer(const std::string& mechanisms) {
    return authentication(10, mechanisms + "\0"s);
}
std::string error(const std::string& sqlstate) {
    return message('E', "SFATAL\0C"s + sqlstate + "\0Mno\0\0"s);
}

/// SASLInitialResponse.
std::string choice(const std::string& mechanism, const std::string& response) {
    return message('p', mechanism + "\0\0\0\0"s + static_cast<char>(response.size()) + response);
}

const std::string ok = authentication(0);
const std::string ready = message('Z', "I");
const std::string parameter = message('S',
                                      "server_version\0"
                                      "17.2\0"s);
const std::string key = message('K',
                                "\0\0\0\x2a"
                                "KEY!"s);
const std::string plus = "SCRAM-SHA-256-PLUS\0"s;
const std::string scram = "SCRAM-SHA-256\0"s;
const std::string client_first = ",,n=,r=abc";

LoginPolicy passthrough() {
    LoginPolicy policy;
    policy.scram = protocol::ScramMode::passthrough;
    return policy;
}

class Script {
 public:
    Script& server(std::string bytes) { return add({.from_server = true, .bytes = bytes, .passed = bytes}); }
    Script& client(std::string bytes) { return add({.from_server = false, .bytes = bytes, .passed = bytes}); }
    /// The client gets something else than what the server said.
    Script& server(std::string bytes, std::string passed) { return add({.from_server = true, .bytes = bytes, .passed = passed}); }

 private:
    struct Step {
        bool from_server;
        std::string bytes;
        std::string passed;
    };
    Script& add(Step step) {
        steps_.push_back(std::move(step));
        return *this;
    }

    std::vector<Step> steps_;
    friend class Play;
};

/// A Login fed with the first `steps` of a script; each message must be the one that next() asks for, and must be passed on.
class Play {
 public:
    explicit Play(const Script& script, LoginPolicy policy = passthrough(), std::size_t steps = ~std::size_t{0})
        : login(std::move(policy)) {
        for (std::size_t i = 0; i < std::min(steps, script.steps_.size()); ++i) {
            const auto& step = script.steps_[i];
            REQUIRE(login.next() == (step.from_server ? Next::read_server : Next::read_client));
            CHECK(feed(step.bytes) == step.passed);
        }
    }

    /// What the other side is sent when the side that next() asks for says `bytes`.
    std::string feed(const std::string& bytes) {
        const Message message{
            .type = bytes[0], .body = as_bytes(bytes).subspan(protocol::message_header_size), .whole = as_bytes(bytes)};
        LoginOutput out;
        if (login.next() == Next::read_server) {
            login.from_server(message, out);
            CHECK(out.to_server.empty());
            return std::string(as_text(out.to_client));
        }
        login.from_client(message, out);
        CHECK(out.to_client.empty());
        return std::string(as_text(out.to_server));
    }

    /// The message is refused, and nothing of it passed on.
    void refuses(const std::string& bytes, Fault fault) {
        CHECK(feed(bytes).empty());
        CHECK(login.next() == Next::failed);
        CHECK(login.fault() == fault);
    }

    static std::size_t steps(const Script& script) { return script.steps_.size(); }

    Login login;
};

/// Whatever goes wrong instead of a script's next message ends the login for the right reason.
void fails_cleanly_at_each_step(const Script& script, const LoginPolicy& policy = passthrough()) {
    for (std::size_t i = 0; i < Play::steps(script); ++i) {
        const auto play = [&] { return Play(script, policy, i); };
        if (play().login.next() == Next::read_server) {
            Play refused = play();
            CHECK(refused.feed(error("28P01")) == error("28P01"));
            CHECK(refused.login.next() == Next::refused);
            CHECK(refused.login.server_error().sqlstate == "28P01");
            CHECK(refused.login.refused_at_once() == (i == 0));
            for (const char type : {'p', 'D', 'T', 'A', 'X', '\0', '\xff'})
                play().refuses(message(type, ""), Fault::server_message);
            play().refuses(message('R', "\0\0\0"s), Fault::server_message);
            play().refuses(message('R', "\0\0\0\x02"s), Fault::server_message);
            Play oversized = play();
            oversized.login.oversized();
            CHECK(oversized.login.next() == Next::failed);
            CHECK(oversized.login.fault() == Fault::server_message_length);
        } else {
            for (const char type : {'Q', 'X', 'R', 'P', '\0'}) play().refuses(message(type, ""), Fault::client_message);
            Play oversized = play();
            oversized.login.oversized();
            CHECK(oversized.login.next() == Next::failed);
            CHECK(oversized.login.fault() == Fault::client_message_length);
        }
    }
}

Play check_established(const Script& script, const std::string& auth_method, const LoginPolicy& policy = passthrough()) {
    fails_cleanly_at_each_step(script, policy);
    Play play(script, policy);
    CHECK(play.login.next() == Next::established);
    CHECK(play.login.fault() == Fault::none);
    CHECK(play.login.authenticated());
    CHECK(play.login.auth_method() == auth_method);
    CHECK_FALSE(play.login.refused_at_once());
    return play;
}

}  // namespace

TEST_CASE("a trusted client is logged in without a question") {
    const Play play = check_established(Script().server(ok).server(parameter).server(key).server(ready), "cert/trust");
    REQUIRE(play.login.key().has_value());
    CHECK(play.login.key()->pid == 42);
    CHECK(as_text(play.login.key()->key) == "KEY!");
    CHECK(play.login.channel_binding() == 0);
}

TEST_CASE("passwords in clear and as MD5 pass through") {
    check_established(Script().server(authentication(3)).client(message('p', "secret\0"s)).server(ok).server(ready), "password");
    check_established(Script().server(authentication(5, "salt")).client(message('p', "md5...\0"s)).server(ok).server(ready),
                      "md5");
}

TEST_CASE("GSSAPI and SSPI go on for as many rounds as they need") {
    const std::string token = message('p', "token");
    check_established(Script()
                          .server(authentication(7))
                          .client(token)
                          .server(authentication(8, "a"))
                          .client(token)
                          .server(authentication(8, "b"))
                          .client(token)
                          .server(ok)
                          .server(ready),
                      "gss");
    check_established(Script().server(authentication(9)).client(token).server(ok).server(ready), "gss");
}

TEST_CASE("SCRAM without channel binding passes through, and channel binding is taken out of the offer") {
    const Script script = Script()
                              .server(offer(plus + scram), offer(scram))
                              .client(choice("SCRAM-SHA-256", "n" + client_first))
                              .server(authentication(11, "r=abc,s=,i=4096"))
                              .client(message('p', "c=biws,r=abc,p="))
                              .server(authentication(12, "v="))
                              .server(ok)
                              .server(key)
                              .server(ready);
    const Play play = check_established(script, "scram-sha-256");
    CHECK(play.login.channel_binding() == 'n');
}

TEST_CASE("an offer without channel binding is passed on as it came") {
    Play play{Script().server(offer(scram))};
    CHECK(play.login.next() == Next::read_client);
    Play others{Script().server(offer("SCRAM-SHA-512-PLUS\0OAUTHBEARER\0"s + scram), offer("OAUTHBEARER\0"s + scram))};
    CHECK(others.login.next() == Next::read_client);
}

TEST_CASE("a server that offers nothing but channel binding cannot be served") {
    Play(Script()).refuses(offer(plus), Fault::sasl_nothing_left);
    Play(Script()).refuses(offer(""), Fault::sasl_nothing_left);
}

TEST_CASE("an offer that cannot be read is refused") {
    Play(Script()).refuses(authentication(10, "SCRAM-SHA-256"), Fault::server_message);
    Play(Script()).refuses(authentication(10, "SCRAM-SHA-256\0"s), Fault::server_message);
}

TEST_CASE("a client that could bind channels would be refused by a server that offered it: it is told by us") {
    const Script offered = Script().server(offer(plus + scram), offer(scram));
    Play hidden(offered);
    hidden.refuses(choice("SCRAM-SHA-256", "y" + client_first), Fault::channel_binding_hidden);
    CHECK(hidden.login.channel_binding() == 'y');
    CHECK(hidden.login.auth_method() == "scram-sha-256");
}

TEST_CASE("a client that could bind channels is passed on when the server could not either") {
    const Play play = check_established(Script()
                                            .server(offer(scram))
                                            .client(choice("SCRAM-SHA-256", "y" + client_first))
                                            .server(authentication(11, "r="))
                                            .client(message('p', "c="))
                                            .server(authentication(12, "v="))
                                            .server(ok)
                                            .server(ready),
                                        "scram-sha-256");
    CHECK(play.login.channel_binding() == 'y');
}

TEST_CASE("channel binding that was not offered is refused") {
    const Script offered = Script().server(offer(plus + scram), offer(scram));
    Play(offered).refuses(choice("SCRAM-SHA-256-PLUS", "p=tls-server-end-point" + client_first), Fault::sasl_mechanism);
    Play(offered).refuses(choice("SCRAM-SHA-256", "p=tls-server-end-point" + client_first), Fault::sasl_message);
    Play(offered).refuses(choice("SCRAM-SHA-256", "p=tls-unique" + client_first), Fault::sasl_message);
}

TEST_CASE("a choice that was not offered, or cannot be read, is refused") {
    const Script offered = Script().server(offer(scram));
    Play(offered).refuses(choice("PLAIN", "n,,"), Fault::sasl_mechanism);
    Play(offered).refuses(choice("", "n,,"), Fault::sasl_mechanism);
    Play(offered).refuses(choice("scram-sha-256", "n,,"), Fault::sasl_mechanism);
    Play(offered).refuses(choice("SCRAM-SHA-256", ""), Fault::sasl_message);
    Play(offered).refuses(message('p', ""), Fault::sasl_message);
    Play(offered).refuses(message('p', "secret\0"s), Fault::sasl_message);
}

TEST_CASE("only the first SASL message is a choice") {
    Play play{Script().server(offer(scram)).client(choice("SCRAM-SHA-256", "n" + client_first)).server(authentication(11, "r="))};
    const std::string unreadable = message('p', "y");
    CHECK(play.feed(unreadable) == unreadable);
    CHECK(play.login.next() == Next::read_server);
    CHECK(play.login.channel_binding() == 'n');
}

TEST_CASE("a choice may leave its response for later: we ask for it, and the server hears of both at once") {
    Login login(passthrough());
    const auto say = [&](const std::string& bytes) {
        const Message message{
            .type = bytes[0], .body = as_bytes(bytes).subspan(protocol::message_header_size), .whole = as_bytes(bytes)};
        LoginOutput out;
        login.next() == Next::read_server ? login.from_server(message, out) : login.from_client(message, out);
        return std::pair(std::string(as_text(out.to_client)), std::string(as_text(out.to_server)));
    };
    say(offer(scram));
    CHECK(say(message('p', scram + "\xff\xff\xff\xff"s)) == std::pair(authentication(11), ""s));
    CHECK(login.next() == Next::read_client);
    CHECK(login.channel_binding() == 0);
    CHECK(say(message('p', "n" + client_first)) == std::pair(""s, choice("SCRAM-SHA-256", "n" + client_first)));
    CHECK(login.next() == Next::read_server);
    CHECK(login.channel_binding() == 'n');
}

TEST_CASE("an error at once may be tried again, an error after anything else may not") {
    CHECK(Play(Script().server(error("28000"))).login.refused_at_once());
    CHECK_FALSE(Play(Script().server(message('N', "SNOTICE\0\0"s)).server(error("28000"))).login.refused_at_once());
    CHECK_FALSE(
        Play(Script().server(authentication(3)).client(message('p', "x\0"s)).server(error("28P01"))).login.refused_at_once());
    CHECK_FALSE(Play(Script().server(ok).server(error("57P03"))).login.refused_at_once());
}

TEST_CASE("an error after AuthenticationOk is passed on, and the client was authenticated") {
    const Play play(Script().server(ok).server(parameter).server(error("3D000")));
    CHECK(play.login.next() == Next::refused);
    CHECK(play.login.authenticated());
    CHECK(play.login.server_error().sqlstate == "3D000");
    CHECK(play.login.server_error().message == "no");
}

TEST_CASE("a negotiated protocol version and notices pass through before and after authentication") {
    const std::string negotiate = message('v', "\0\x03\0\0\0\0\0\0"s);
    const std::string notice = message('N', "SNOTICE\0\0"s);
    check_established(Script().server(negotiate).server(notice).server(ok).server(notice).server(parameter).server(ready),
                      "cert/trust");
}

TEST_CASE("a cancel key of protocol 3.2 is kept whole") {
    const std::string long_key(256, 'k');
    const Play play(Script().server(ok).server(message('K', "\0\0\0\1"s + long_key)).server(ready));
    REQUIRE(play.login.key().has_value());
    CHECK(as_text(play.login.key()->key) == long_key);
}

TEST_CASE("a cancel key that cannot be read passes through and is not kept") {
    const Play play(Script()
                        .server(ok)
                        .server(message('K',
                                        "\0\0\0\1"
                                        "abc"s))
                        .server(message('Z', "I")));
    CHECK(play.login.next() == Next::established);
    CHECK_FALSE(play.login.key().has_value());
}

TEST_CASE("a server without cancel keys is served") {
    CHECK_FALSE(Play(Script().server(ok).server(ready)).login.key().has_value());
}

TEST_CASE("ReadyForQuery before AuthenticationOk is refused") {
    Play(Script()).refuses(ready, Fault::server_message);
    Play(Script().server(key)).refuses(ready, Fault::server_message);
    Play(Script().server(authentication(3)).client(message('p', "x\0"s))).refuses(ready, Fault::server_message);
}

TEST_CASE("a second authentication after AuthenticationOk is refused") {
    for (const std::string& second : {ok, authentication(3), authentication(5, "salt"), offer(scram), authentication(12)}) {
        Play(Script().server(ok)).refuses(second, Fault::server_message);
    }
}

TEST_CASE("authentication methods that no server has are refused") {
    for (const char code : {'\x01', '\x02', '\x04', '\x06', '\x0d', '\x7f'})
        Play(Script()).refuses(authentication(code), Fault::server_message);
}

TEST_CASE("a login message is limited to what PostgreSQL takes") {
    CHECK(protocol::max_client_login_message == 65'539);
    CHECK(protocol::max_server_login_message == 262'144);
    const std::string token = message('p', std::string(65'535, 't'));
    protocol::MessageBuffer fits(protocol::max_client_login_message);
    fits.append(as_bytes(token));
    REQUIRE(fits.next().has_value());
    protocol::MessageBuffer over(protocol::max_client_login_message);
    over.append(as_bytes(message('p', std::string(65'536, 't'))));
    CHECK_FALSE(over.next().has_value());
    CHECK(over.oversized());
    Play play{Script().server(authentication(7))};
    CHECK(play.feed(token) == token);
}
