#include "protocol/login.hpp"

#include <algorithm>
#include <map>

#include "protocol/startup.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"
#include "tls/scram_crypto.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::Buffer;
using protocol::Fault;
using protocol::KeyDerivation;
using protocol::Login;
using protocol::LoginOutput;
using protocol::LoginPolicy;
using protocol::Message;
using protocol::ScramKey;
using protocol::ScramMode;
using protocol::ScramSalt;
using protocol::ScramUser;
using support::message;
using Next = Login::Next;

std::string authentication(char code, const std::string& rest = {}) { return message('R', "\0\0\0"s + code + rest); }
std::string offer(const std::string& mechanisms) { return authentication(10, mechanisms + "\0"s); }
std::string error(const std::string& sqlstate) { return message('E', "SFATAL\0C"s + sqlstate + "\0Mno\0\0"s); }

/// SASLInitialResponse.
std::string choice(const std::string& mechanism, const std::string& response) {
    return message('p', mechanism + "\0\0\0\0"s + static_cast<char>(response.size()) + response);
}

/// The same, without the client-first-message.
std::string choice_alone(const std::string& mechanism) { return message('p', mechanism + "\0\xff\xff\xff\xff"s); }
std::string password_message(const std::string& password) { return message('p', password + "\0"s); }

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

/// What a Login sends when it has heard something.
struct Sent {
    std::string to_client;
    std::string to_server;
};

class Script {
   public:
    /// The other side is sent the same.
    Script& server(std::string bytes) {
        return add({.who = Next::read_server, .bytes = bytes, .sent = {.to_client = bytes, .to_server = {}}});
    }
    Script& client(std::string bytes) {
        return add({.who = Next::read_client, .bytes = bytes, .sent = {.to_client = {}, .to_server = bytes}});
    }
    /// The other side is sent something else.
    Script& server(std::string bytes, std::string passed) {
        return add({.who = Next::read_server, .bytes = bytes, .sent = {.to_client = passed, .to_server = {}}});
    }
    Script& client(std::string bytes, std::string passed) {
        return add({.who = Next::read_client, .bytes = bytes, .sent = {.to_client = {}, .to_server = passed}});
    }
    /// We answer ourselves, and the other side hears nothing of it.
    Script& server_answered(std::string bytes, std::string answer) {
        return add({.who = Next::read_server, .bytes = bytes, .sent = {.to_client = {}, .to_server = answer}});
    }
    Script& client_answered(std::string bytes, std::string answer) {
        return add({.who = Next::read_client, .bytes = bytes, .sent = {.to_client = answer, .to_server = {}}});
    }
    /// A key is derived, and the server hears of it.
    Script& derive(KeyDerivation wanted, std::string passed) {
        return add(
            {.who = Next::derive_key, .wanted = std::move(wanted), .sent = {.to_client = {}, .to_server = passed}});
    }

   private:
    struct Step {
        Next who;
        std::string bytes = {};
        KeyDerivation wanted = {};
        Sent sent;
    };
    Script& add(Step step) {
        steps_.push_back(std::move(step));
        return *this;
    }

    std::vector<Step> steps_;
    friend class Play;
};

ScramKey salted_password(const KeyDerivation& derivation) {
    static std::map<std::tuple<Buffer, Buffer, unsigned>, ScramKey>
        known;  // each takes a millisecond, and a script is played often
    const auto [at, is_new] =
        known.try_emplace({derivation.password, derivation.salt.salt, derivation.salt.iterations});
    if (is_new) at->second = tls::salted_password(derivation.password, derivation.salt);
    return at->second;
}

/// A Login fed with the first `steps` of a script; each must be the one that next() asks for, and
/// must have the effect that the script says.
class Play {
   public:
    explicit Play(const Script& script, LoginPolicy policy = passthrough(), std::size_t steps = ~std::size_t{0})
        : login(std::move(policy)) {
        for (std::size_t i = 0; i < std::min(steps, script.steps_.size()); ++i) {
            const auto& step = script.steps_[i];
            CAPTURE(i);
            REQUIRE(login.next() == step.who);
            const Sent sent = step.who == Next::derive_key ? derive(step.wanted) : say(step.bytes);
            CHECK(sent.to_client == step.sent.to_client);
            CHECK(sent.to_server == step.sent.to_server);
        }
    }

    /// The side that next() asks for says `bytes`.
    Sent say(const std::string& bytes) {
        const Message message{
            .type = bytes[0], .body = as_bytes(bytes).subspan(protocol::message_header_size), .whole = as_bytes(bytes)};
        LoginOutput out;
        login.next() == Next::read_server ? login.from_server(message, out) : login.from_client(message, out);
        return collect(out);
    }

    Sent derive(const KeyDerivation& wanted) {
        const KeyDerivation derivation = login.take_derivation();
        CHECK(as_text(derivation.password) == as_text(wanted.password));
        CHECK(as_text(derivation.salt.salt) == as_text(wanted.salt.salt));
        CHECK(derivation.salt.iterations == wanted.salt.iterations);
        LoginOutput out;
        login.derived(salted_password(derivation), out);
        return collect(out);
    }

    /// What the other side is sent when the side that next() asks for says `bytes`.
    std::string feed(const std::string& bytes) {
        const bool from_server = login.next() == Next::read_server;
        const Sent sent = say(bytes);
        CHECK((from_server ? sent.to_server : sent.to_client).empty());
        return from_server ? sent.to_client : sent.to_server;
    }

    /// The message is refused, and nothing of it passed on.
    void refuses(const std::string& bytes, Fault fault) { failed(say(bytes), fault); }

    /// A key is derived, proves that the client is not who it says, and nobody hears of it.
    void refuses(const KeyDerivation& wanted, Fault fault) {
        REQUIRE(login.next() == Next::derive_key);
        failed(derive(wanted), fault);
    }

    static std::size_t steps(const Script& script) { return script.steps_.size(); }

    Login login;
    Sent all;  ///< that was ever sent

   private:
    void failed(const Sent& sent, Fault fault) {
        CHECK(sent.to_client.empty());
        CHECK(sent.to_server.empty());
        CHECK(login.next() == Next::failed);
        CHECK(login.fault() == fault);
    }

    Sent collect(const LoginOutput& out) {
        Sent sent{.to_client = std::string(as_text(out.to_client)), .to_server = std::string(as_text(out.to_server))};
        all.to_client += sent.to_client;
        all.to_server += sent.to_server;
        return sent;
    }
};

/// Whatever goes wrong instead of a script's next message ends the login for the right reason.
void fails_cleanly_at_each_step(const Script& script, const LoginPolicy& policy = passthrough()) {
    for (std::size_t i = 0; i < Play::steps(script); ++i) {
        const auto play = [&] { return Play(script, policy, i); };
        if (play().login.next() == Next::derive_key) continue;
        if (play().login.next() == Next::read_server) {
            Play refused = play();
            CHECK(refused.feed(error("28P01")) == error("28P01"));
            CHECK(refused.login.next() == Next::denied);
            CHECK(refused.login.server_error().sqlstate == "28P01");
            CHECK(refused.login.denied_at_once() == (i == 0));
            for (const char type : {'p', 'D', 'T', 'X', '\0', '\xff'})
                play().refuses(message(type, ""), Fault::server_message);
            if (!play().login.authenticated()) play().refuses(message('A', ""), Fault::server_message);
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

Play check_established(const Script& script, const std::string& auth_method,
                       const LoginPolicy& policy = passthrough()) {
    fails_cleanly_at_each_step(script, policy);
    Play play(script, policy);
    CHECK(play.login.next() == Next::established);
    CHECK(play.login.fault() == Fault::none);
    CHECK(play.login.authenticated());
    CHECK(play.login.auth_method() == auth_method);
    CHECK_FALSE(play.login.denied_at_once());
    return play;
}

// --- Logins that we take part in

const std::string server_certificate = "the hash of the server's certificate";
const std::string our_certificate = "the hash of our certificate";
const std::string secret = "correct horse";  // what must never be seen again
const std::string please = authentication(3);
const std::string salt_of_ada = "salt of ada";  // and of whoever users_file does not have
const std::string y_first = choice("SCRAM-SHA-256", "y" + client_first);

Buffer bytes(std::string_view text) { return Buffer(text.begin(), text.end()); }

protocol::ScramCrypto with_nonce(std::string (*nonce)()) {
    protocol::ScramCrypto crypto = tls::scram_crypto();
    crypto.nonce = nonce;
    return crypto;
}
const protocol::ScramCrypto ours = with_nonce([] { return "ours"s; });
const protocol::ScramCrypto theirs = with_nonce([] { return "theirs"s; });

/// One SCRAM exchange as it is on the wire, when everybody is honest.
struct Exchange {
    struct Sides {
        protocol::ScramCrypto client, server;
    };
    Exchange(const Sides& sides, const std::string& password, const ScramSalt& salt, const std::string& end_point)
        : derivation{.password = bytes(password), .salt = salt} {
        protocol::ScramClient client(sides.client, bytes(end_point));
        protocol::ScramServer server(sides.server, bytes(end_point), salt);
        const protocol::ScramKeys keys = protocol::scram_keys(ours, salted_password(derivation));
        char flag = 0;
        std::string reply;
        ScramSalt read;
        first_message = client.first_message();
        REQUIRE(server.client_first(client.mechanism(), first_message, flag, reply) == Fault::none);
        REQUIRE(client.server_first(reply, read) == Fault::none);
        const std::string last = client.final_message(keys);
        REQUIRE(server.client_final(last) == Fault::none);
        first = choice(std::string(client.mechanism()), first_message);
        challenge = authentication(11, reply);
        response = message('p', last);
        final = authentication(12, server.final_message(keys.server_key));
    }

    KeyDerivation derivation;
    std::string first_message;
    std::string first, challenge, response, final;
};

const ScramSalt salt_of_server{.salt = bytes("salt of the server"), .iterations = 2};
const ScramSalt our_salt{.salt = bytes(salt_of_ada), .iterations = 4096};

/// Between us and the server.
Exchange with_server(const std::string& end_point = server_certificate, const std::string& password = secret) {
    return {{.client = ours, .server = theirs}, password, salt_of_server, end_point};
}
/// Between the client and us.
Exchange with_client(const std::string& end_point = {}, const std::string& password = secret,
                     const ScramSalt& salt = our_salt) {
    return {{.client = theirs, .server = ours}, password, salt, end_point};
}

LoginPolicy policy(ScramMode mode) {
    LoginPolicy policy;
    policy.scram = mode;
    policy.password_is_safe = true;
    policy.crypto = ours;
    policy.server_end_point = bytes(server_certificate);
    return policy;
}

LoginPolicy terminate(const ScramUser* user, const std::string& end_point = our_certificate) {
    LoginPolicy terminating = policy(ScramMode::terminate);
    terminating.client_end_point = bytes(end_point);
    terminating.user = user;
    terminating.user_salt = {.salt = bytes(salt_of_ada)};
    return terminating;
}

ScramUser with_password(const std::string& password) { return {.password = bytes(password), .secret = {}}; }
ScramUser with_secret(const ScramSalt& salt) {
    return {.password = {},
            .secret = protocol::scram_secret(ours, salted_password({.password = bytes(secret), .salt = salt}), salt)};
}
const ScramUser ada = with_password(secret);
const ScramUser ada_of_server = with_secret(salt_of_server);

/// The client has been asked for its password, and the server has offered `offered`.
Script asked(const std::string& offered = plus + scram) { return Script().server(offer(offered), please); }
/// We have sent our first message to the server.
Script begun() { return asked().client(password_message(secret), with_server().first); }
/// We have sent our proof to the server.
Script proven() {
    const Exchange upstream = with_server();
    return begun().server_answered(upstream.challenge, "").derive(upstream.derivation, upstream.response);
}
/// What we say and hear from the password on until the client is in.
Script& log_in(Script& script, const Exchange& upstream) {
    return script.server_answered(upstream.challenge, "")
        .derive(upstream.derivation, upstream.response)
        .server_answered(upstream.final, "")
        .server(ok)
        .server(parameter)
        .server(key)
        .server(ready);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void keeps_the_secret(const Play& play) {
    CHECK_FALSE(contains(play.all.to_client, secret));
    CHECK_FALSE(contains(play.all.to_server, secret));
}

/// The client gave us its password.
void check_bridged(const Script& script, const std::string& auth_method, char flag, const LoginPolicy& policy) {
    const Play play = check_established(script, auth_method, policy);
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::cleartext);
    CHECK(play.login.channel_binding() == flag);
    CHECK_FALSE(play.login.asking_password());
    keeps_the_secret(play);
}

/// The client proved to us who it is, and we to the server.
void check_terminated(const Script& script, const std::string& auth_method, char flag, const LoginPolicy& policy) {
    const Play play = check_established(script, auth_method, policy);
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::terminate);
    CHECK(play.login.channel_binding() == flag);
    keeps_the_secret(play);
}

}  // namespace

TEST_CASE("a trusted client is logged in without a question") {
    const Play play = check_established(Script().server(ok).server(parameter).server(key).server(ready), "cert/trust");
    REQUIRE(play.login.key().has_value());
    CHECK(play.login.key()->pid == 42);
    CHECK(as_text(play.login.key()->key) == "KEY!");
    CHECK(play.login.channel_binding() == 0);
}

TEST_CASE("what a server reports of its role at a login is passed on and remembered, the last word of it") {
    const auto told = [](const std::string& value) { return message('S', "in_hot_standby\0"s + value + "\0"s); };
    const Script trusted = Script().server(ok).server(parameter);
    const auto role_after = [](const Script& script) {
        return check_established(script, "cert/trust").login.host_role();
    };
    CHECK(role_after(Script(trusted).server(ready)) == protocol::HostRole::unknown);
    CHECK(role_after(Script(trusted).server(told("on")).server(ready)) == protocol::HostRole::standby);
    CHECK(role_after(Script(trusted).server(told("off")).server(key).server(ready)) == protocol::HostRole::primary);
    CHECK(role_after(Script(trusted).server(told("on")).server(told("off")).server(ready)) ==
          protocol::HostRole::primary);
    CHECK(role_after(Script(trusted).server(told("on")).server(told("perhaps")).server(ready)) ==
          protocol::HostRole::standby);
}

TEST_CASE("passwords in clear and as MD5 pass through") {
    check_established(Script().server(authentication(3)).client(message('p', "secret\0"s)).server(ok).server(ready),
                      "password");
    check_established(
        Script().server(authentication(5, "salt")).client(message('p', "md5...\0"s)).server(ok).server(ready), "md5");
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
    Play play{Script()
                  .server(offer(scram))
                  .client(choice("SCRAM-SHA-256", "n" + client_first))
                  .server(authentication(11, "r="))};
    const std::string unreadable = message('p', "y");
    CHECK(play.feed(unreadable) == unreadable);
    CHECK(play.login.next() == Next::read_server);
    CHECK(play.login.channel_binding() == 'n');
}

TEST_CASE("a choice may leave its response for later: we ask for it, and the server hears of both at once") {
    const Script later =
        Script().server(offer(scram)).client_answered(choice_alone("SCRAM-SHA-256"), authentication(11));
    CHECK(Play(later).login.channel_binding() == 0);
    const Play play =
        check_established(Script(later)
                              .client(message('p', "n" + client_first), choice("SCRAM-SHA-256", "n" + client_first))
                              .server(authentication(11, "r="))
                              .client(message('p', "c="))
                              .server(ok)
                              .server(ready),
                          "scram-sha-256");
    CHECK(play.login.channel_binding() == 'n');
}

TEST_CASE("a mechanism that is not ours may leave its response for later as well: the server asks for it") {
    const std::string alone = choice_alone("OAUTHBEARER");
    for (const ScramMode mode :
         {ScramMode::automatic, ScramMode::passthrough, ScramMode::bridge, ScramMode::terminate}) {
        LoginPolicy policy;
        policy.scram = mode;
        check_established(Script()
                              .server(offer("OAUTHBEARER\0"s))
                              .client(alone)
                              .server(authentication(11))
                              .client(message('p', "n,,auth=Bearer x"))
                              .server(ok)
                              .server(ready),
                          "oauthbearer", policy);
    }
}

TEST_CASE("an error at once may be tried again, an error after anything else may not") {
    CHECK(Play(Script().server(error("28000"))).login.denied_at_once());
    CHECK_FALSE(Play(Script().server(message('N', "SNOTICE\0\0"s)).server(error("28000"))).login.denied_at_once());
    CHECK_FALSE(Play(Script().server(authentication(3)).client(message('p', "x\0"s)).server(error("28P01")))
                    .login.denied_at_once());
    CHECK_FALSE(Play(Script().server(ok).server(error("57P03"))).login.denied_at_once());
}

TEST_CASE("an error after AuthenticationOk is passed on, and the client was authenticated") {
    const Play play(Script().server(ok).server(parameter).server(error("3D000")));
    CHECK(play.login.next() == Next::denied);
    CHECK(play.login.authenticated());
    CHECK(play.login.server_error().sqlstate == "3D000");
    CHECK(play.login.server_error().message == "no");
}

TEST_CASE("a negotiated protocol version and notices pass through before and after authentication") {
    const std::string negotiate = message('v', "\0\x03\0\0\0\0\0\0"s);
    const std::string notice = message('N', "SNOTICE\0\0"s);
    check_established(
        Script().server(negotiate).server(notice).server(ok).server(notice).server(parameter).server(ready),
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
    for (const std::string& second :
         {ok, authentication(3), authentication(5, "salt"), offer(scram), authentication(12)}) {
        Play(Script().server(ok)).refuses(second, Fault::server_message);
    }
}

TEST_CASE("authentication methods that no server has are refused") {
    for (const char code : {'\x01', '\x02', '\x04', '\x06', '\x0d', '\x7f'})
        Play(Script()).refuses(authentication(code), Fault::server_message);
}

TEST_CASE("a server that never stops talking is refused") {
    CHECK(protocol::max_server_login_total == 1'048'576);
    const std::string notice = message('N', std::string(65'531, 'n'));  // 64 KiB with its header
    Play play{Script()};
    for (int i = 0; i < 16; ++i) CHECK(play.feed(notice) == notice);
    play.refuses(message('N', ""), Fault::server_message_length);
}

TEST_CASE("behind AuthenticationOk a server may say whatever the protocol allows") {
    const std::string notice = message('N', std::string(65'531, 'n'));
    const std::string notification = message('A', "\0\0\0\7channel\0payload\0"s);
    Play play{Script().server(ok)};
    for (int i = 0; i < 40; ++i) CHECK(play.feed(notice) == notice);
    CHECK(play.feed(notification) == notification);
    for (const char type : {'N', 'A', 'S'}) CHECK(play.login.passes_oversized(type));
    for (const char type : {'K', 'Z', 'E', 'R', 'D'}) CHECK_FALSE(play.login.passes_oversized(type));
    CHECK_FALSE(Play{Script()}.login.passes_oversized('N'));
    CHECK(play.feed(ready) == ready);
    CHECK(play.login.next() == Next::established);
}

TEST_CASE("what a client tells in clear is known again, and pieces of it") {
    const std::string secret = "correct horse battery";
    const Play play{Script().server(authentication(3)).client(message('p', secret + "\0"s))};
    for (const std::string& text :
         {"\"" + secret + "\" is wrong", "got correct hor..."s, "ttery"s, "battery!" + secret})
        CHECK(play.login.repeats_secret(text) == (text != "ttery"));
    CHECK_FALSE(play.login.repeats_secret("password authentication failed for user \"ada\""));
    CHECK_FALSE(play.login.repeats_secret(""));

    CHECK(play.login.repeats_secret("no such password: CORRECT HORSE"));
    CHECK(play.login.is_part_of_secret("HORSE"));
    CHECK_FALSE(play.login.is_part_of_secret("28P01"));

    const Play shorter{Script().server(authentication(3)).client(message('p', "pw\0"s))};
    CHECK(shorter.login.repeats_secret("'pw'"));
    CHECK_FALSE(shorter.login.repeats_secret("p w"));
    const Play none{Script().server(authentication(3)).client(message('p', "\0"s))};
    CHECK_FALSE(none.login.repeats_secret("anything"));
    const Play hashed{Script().server(authentication(5, "salt")).client(message('p', "md5of-something\0"s))};
    CHECK_FALSE(hashed.login.repeats_secret("md5of-something"));
}

TEST_CASE("a token is known again, and its absence") {
    const auto sent = [](const std::string& auth) {
        return Play{Script()
                        .server(offer("OAUTHBEARER\0"s))
                        .client(choice("OAUTHBEARER",
                                       "n,,\x01"
                                       "auth=" +
                                           auth + "\x01\x01"))};
    };
    CHECK(sent("").login.oauth_discovery());
    CHECK_FALSE(sent("").login.repeats_secret("OAUTHBEARER"));
    const Play token = sent("Bearer abcdefghijklmno");
    CHECK_FALSE(token.login.oauth_discovery());
    CHECK(token.login.repeats_secret("no such token: bcdefghi"));
    CHECK_FALSE(token.login.repeats_secret("OAUTHBEARER: no such Bearer"));
    const Play later{Script()
                         .server(offer("OAUTHBEARER\0"s))
                         .client(choice_alone("OAUTHBEARER"))
                         .server(authentication(11))
                         .client(message('p',
                                         "n,,\x01"
                                         "auth=\x01\x01"))};
    CHECK(later.login.oauth_discovery());
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

// --- auto: passed on as far as it can be

TEST_CASE("auto: a client that does not bind channels is passed on") {
    const Play play = check_established(Script()
                                            .server(offer(plus + scram), offer(scram))
                                            .client(choice("SCRAM-SHA-256", "n" + client_first))
                                            .server(authentication(11, "r="))
                                            .client(message('p', "c="))
                                            .server(authentication(12, "v="))
                                            .server(ok)
                                            .server(ready),
                                        "scram-sha-256", policy(ScramMode::automatic));
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::none);
    CHECK(play.login.channel_binding() == 'n');
}

TEST_CASE("auto: a client that could bind channels is passed on when the server could not either") {
    const Play play = check_established(Script()
                                            .server(offer(scram))
                                            .client(y_first)
                                            .server(authentication(11, "r="))
                                            .client(message('p', "c="))
                                            .server(ok)
                                            .server(ready),
                                        "scram-sha-256", policy(ScramMode::automatic));
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::none);
    CHECK(play.login.channel_binding() == 'y');
}

TEST_CASE("auto: a client that could bind channels is asked for its password, and we bind the channel at the server") {
    const Exchange upstream = with_server();
    Script script;
    script.server(offer(plus + scram), offer(scram))
        .client_answered(y_first, please)
        .client(password_message(secret), upstream.first);
    check_bridged(log_in(script, upstream), "scram-sha-256-plus", 'y', policy(ScramMode::automatic));
}

TEST_CASE("auto: so is one that left its first message for later, and the server has heard of one exchange alone") {
    const Exchange upstream = with_server();
    Script script;
    script.server(offer(plus + scram), offer(scram))
        .client_answered(choice_alone("SCRAM-SHA-256"), authentication(11))
        .client_answered(message('p', "y" + client_first), please)
        .client(password_message(secret), upstream.first);
    check_bridged(log_in(script, upstream), "scram-sha-256-plus", 'y', policy(ScramMode::automatic));
}

TEST_CASE("auto: a server whose certificate has no hash is logged in at without channel binding") {
    const Exchange upstream = with_server("");
    LoginPolicy without = policy(ScramMode::automatic);
    without.server_end_point.clear();
    Script script;
    script.server(offer(plus + scram), offer(scram))
        .client_answered(y_first, please)
        .client(password_message(secret), upstream.first);
    check_bridged(log_in(script, upstream), "scram-sha-256", 'y', without);
    CHECK(contains(upstream.first, "n,,n=,r=ours"));
}

TEST_CASE("auto: a client that gave up on SCRAM is asked for its password at once") {
    const Exchange upstream = with_server();
    LoginPolicy at_once = policy(ScramMode::automatic);
    at_once.ask_at_once = true;
    Script script = asked();
    check_bridged(log_in(script.client(password_message(secret), upstream.first), upstream), "scram-sha-256-plus", 0,
                  at_once);
}

TEST_CASE("auto: where the server offers nothing but channel binding, the client is asked for its password at once") {
    const Exchange upstream = with_server();
    Script script = asked(plus);
    check_bridged(log_in(script.client(password_message(secret), upstream.first), upstream), "scram-sha-256-plus", 0,
                  policy(ScramMode::automatic));
}

TEST_CASE("auto: nothing but channel binding of another mechanism cannot be served") {
    Play(Script(), policy(ScramMode::automatic)).refuses(offer("SCRAM-SHA-512-PLUS\0"s), Fault::sasl_nothing_left);
    Play(Script(), policy(ScramMode::automatic)).refuses(offer(""), Fault::sasl_nothing_left);
}

TEST_CASE("auto: no client is asked for a password that would cross a network in clear") {
    LoginPolicy in_clear = policy(ScramMode::automatic);
    in_clear.password_is_safe = false;
    Play(Script().server(offer(plus + scram), offer(scram)), in_clear).refuses(y_first, Fault::password_in_clear);
    Play(Script(), in_clear).refuses(offer(plus), Fault::password_in_clear);
    in_clear.ask_at_once = true;
    Play(Script(), in_clear).refuses(offer(plus + scram), Fault::password_in_clear);
    in_clear.scram = ScramMode::bridge;
    Play(Script(), in_clear).refuses(offer(plus + scram), Fault::password_in_clear);
    Play(Script(), in_clear).refuses(offer(scram), Fault::password_in_clear);
}

TEST_CASE("passthrough: no client is ever asked for its password") {
    LoginPolicy never = policy(ScramMode::passthrough);
    never.ask_at_once = true;
    Play(Script().server(offer(plus + scram), offer(scram)), never).refuses(y_first, Fault::channel_binding_hidden);
    Play(Script(), never).refuses(offer(plus), Fault::sasl_nothing_left);
}

// --- bridge

TEST_CASE("bridge: every client is asked for its password") {
    const Exchange upstream = with_server();
    Script script = asked();
    check_bridged(log_in(script.client(password_message(secret), upstream.first), upstream), "scram-sha-256-plus", 0,
                  policy(ScramMode::bridge));
}

TEST_CASE("bridge: a server that does not offer channel binding is logged in at without") {
    const Exchange upstream = with_server("");
    LoginPolicy in_clear = policy(ScramMode::bridge);
    in_clear.server_end_point.clear();  // no TLS upstream
    Script script = asked(scram);
    check_bridged(log_in(script.client(password_message(secret), upstream.first), upstream), "scram-sha-256", 0,
                  in_clear);
}

TEST_CASE("bridge: a server over TLS that does not offer channel binding is told that we could") {
    // As libpq tells it with gs2 flag 'y' (fe-auth-scram.c, build_client_first_message). With 'n'
    // nobody would notice somebody between us who shows another certificate and takes -PLUS out of
    // the server's offer.
    Play play(asked(scram), policy(ScramMode::bridge));
    const Sent sent = play.say(password_message(secret));
    CHECK(contains(sent.to_server, "SCRAM-SHA-256\0\0\0\0\x0cy,,n=,r=ours"s));
}

TEST_CASE("bridge: a server whose certificate was verified is not, for nobody is between us") {
    LoginPolicy verified = policy(ScramMode::bridge);
    verified.server_verified = true;
    const Exchange upstream = with_server("");
    Script script = asked(scram);
    check_bridged(log_in(script.client(password_message(secret), upstream.first), upstream), "scram-sha-256", 0,
                  verified);
    const Exchange bound = with_server();
    Script offered = asked();
    check_bridged(log_in(offered.client(password_message(secret), bound.first), bound), "scram-sha-256-plus", 0,
                  verified);
}

TEST_CASE("bridge: mechanisms that are not SCRAM pass through") {
    const std::string token = choice("OAUTHBEARER", "n,,auth=Bearer x");
    const Play play = check_established(Script().server(offer("OAUTHBEARER\0"s)).client(token).server(ok).server(ready),
                                        "oauthbearer", policy(ScramMode::bridge));
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::none);
    CHECK(play.login.channel_binding() == 0);
}

TEST_CASE(
    "channel binding alone at a server whose certificate has no hash: nobody is asked for a password that is of no "
    "use") {
    for (const ScramMode mode : {ScramMode::bridge, ScramMode::automatic}) {
        LoginPolicy without = policy(mode);
        without.server_end_point.clear();
        Play(Script(), without).refuses(offer(plus), Fault::sasl_nothing_left);
    }
}

TEST_CASE("while a client is asked, it is known for what") {
    const Play choosing(Script().server(offer(plus + scram), offer(scram)), policy(ScramMode::automatic));
    CHECK(choosing.login.offering_scram());
    CHECK_FALSE(choosing.login.asking_password());
    const Play switching(Script().server(offer(plus + scram), offer(scram)).client_answered(y_first, please),
                         policy(ScramMode::automatic));
    CHECK_FALSE(switching.login.offering_scram());
    CHECK(switching.login.asking_password());
    CHECK(switching.login.channel_binding() == 'y');
    const Play asked_at_once(asked(), policy(ScramMode::bridge));
    CHECK_FALSE(asked_at_once.login.offering_scram());
    CHECK(asked_at_once.login.asking_password());
    const Play answered(begun(), policy(ScramMode::bridge));
    CHECK_FALSE(answered.login.asking_password());
}

// --- What a client gives for a password

TEST_CASE("a password is one string, and not empty") {
    const auto refused = [](const std::string& body, Fault fault) {
        Play(asked(), policy(ScramMode::bridge)).refuses(message('p', body), fault);
    };
    refused("\0"s, Fault::password_empty);
    refused("", Fault::password_message);
    refused(secret, Fault::password_message);
    refused("correct\0horse\0"s, Fault::password_message);
    refused("\0horse\0"s, Fault::password_message);
    refused("horse\0\0"s, Fault::password_message);
    refused("correct\0horse"s, Fault::password_message);
}

TEST_CASE("the password is derived as it was typed") {
    for (const std::string& typed : {"x"s, " "s, "\xff\xfe"s, "I\u00adX"s, "a\nb"s, std::string(65'534, 'x')}) {
        Play play(asked(), policy(ScramMode::bridge));
        play.say(password_message(typed));
        play.say(with_server().challenge);
        REQUIRE(play.login.next() == Next::derive_key);
        play.derive({.password = bytes(typed), .salt = salt_of_server});
    }
}

TEST_CASE("a SASL response is no password") {
    Play(asked(), policy(ScramMode::bridge))
        .refuses(choice("SCRAM-SHA-256", "n" + client_first), Fault::password_message);
    Play(asked(), policy(ScramMode::bridge)).refuses(with_client().response, Fault::password_message);
}

// --- What a server may not do to us once we log in with a password

TEST_CASE("a server is not believed before it has proved that it knows the password") {
    Play(begun(), policy(ScramMode::bridge)).refuses(ok, Fault::scram_signature);
    Play(proven(), policy(ScramMode::bridge)).refuses(ok, Fault::scram_signature);
    Play(proven(), policy(ScramMode::bridge)).refuses(ready, Fault::server_message);
}

TEST_CASE("a server that does not know the password is found out") {
    Play(proven(), policy(ScramMode::bridge))
        .refuses(with_server(server_certificate, "eraser").final, Fault::scram_signature);
    Play(proven(), policy(ScramMode::bridge)).refuses(with_server("").final, Fault::scram_signature);
    Play(proven(), policy(ScramMode::bridge)).refuses(authentication(12), Fault::scram_signature);
    Play(proven(), policy(ScramMode::bridge)).refuses(authentication(12, "e=other-error"), Fault::scram_signature);
    Play(proven(), policy(ScramMode::bridge)).refuses(with_server().final.substr(0, 9) + "v=", Fault::scram_signature);
}

TEST_CASE("the last thing that a server proves counts") {
    const Script proved = proven().server_answered(with_server().final, "");
    Play(proved, policy(ScramMode::bridge)).refuses(authentication(12, "v="), Fault::scram_signature);
}

TEST_CASE("a server that does not wait for our proof is refused") {
    Play(begun(), policy(ScramMode::bridge)).refuses(with_server().final, Fault::scram_signature);
    Play(begun(), policy(ScramMode::bridge))
        .refuses(authentication(12, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), Fault::scram_signature);
}

TEST_CASE("a server that wants something weaker in the middle of SCRAM gets nothing, and neither does the client") {
    for (const Script& middle : {begun(), proven(), proven().server_answered(with_server().final, "")}) {
        for (const char code : {'\x03', '\x05', '\x07', '\x08', '\x09'}) {
            Play play(middle, policy(ScramMode::bridge));
            const std::string before = play.all.to_client;
            play.refuses(authentication(code, "salt"), Fault::server_message);
            CHECK(play.all.to_client == before);
            keeps_the_secret(play);
        }
    }
}

TEST_CASE("what a server asks for in vain is not how it authenticates the user") {
    Play play(begun(), policy(ScramMode::bridge));
    play.refuses(please, Fault::server_message);
    CHECK(play.login.auth_method() == "scram-sha-256-plus");
}

TEST_CASE("a server offers once") {
    for (const Script& middle : {begun(), proven()}) {
        Play(middle, policy(ScramMode::bridge)).refuses(offer(plus + scram), Fault::server_message);
        Play(middle, policy(ScramMode::bridge)).refuses(offer(scram), Fault::server_message);
    }
    Play(Script().server(offer(scram)).client(choice("SCRAM-SHA-256", "n" + client_first)),
         policy(ScramMode::automatic))
        .refuses(offer(scram), Fault::server_message);
}

TEST_CASE("a server challenges once") {
    Play(proven(), policy(ScramMode::bridge)).refuses(with_server().challenge, Fault::scram_message);
}

TEST_CASE("a challenge that is none, or not for us, is refused") {
    for (const std::string& challenge : {""s, "r=ours"s, "r=ours,s=c2FsdA==,i=4096"s, "r=other,s=c2FsdA==,i=4096"s,
                                         "r=oursX,s=,i=4096"s, "r=oursX,s=c2FsdA==,i=0"s, "e=other-error"s}) {
        Play(begun(), policy(ScramMode::bridge)).refuses(authentication(11, challenge), Fault::scram_message);
    }
}

TEST_CASE("a server may not have us compute as much as it likes") {
    Play(begun(), policy(ScramMode::bridge))
        .refuses(authentication(11, "r=oursX,s=c2FsdA==,i=600001"), Fault::scram_iterations);
}

TEST_CASE("what a server says beside SCRAM passes through") {
    const std::string notice = message('N', "SNOTICE\0\0"s);
    const Exchange upstream = with_server();
    Script script = begun().server(notice).server(parameter);
    check_bridged(log_in(script, upstream), "scram-sha-256-plus", 0, policy(ScramMode::bridge));
}

// --- terminate: we are the SCRAM server

TEST_CASE("terminate: a client that knows the password of users_file logs in, and we at the server") {
    const Exchange client = with_client();
    const Exchange upstream = with_server();
    Script script;
    script.server(offer(plus + scram))
        .client_answered(client.first, client.challenge)
        .client_answered(client.response, "")
        .derive(client.derivation, upstream.first)
        .server_answered(upstream.challenge, "")
        .derive(upstream.derivation, upstream.response)
        .server_answered(upstream.final, "")
        .server(ok, client.final + ok)
        .server(key)
        .server(ready);
    check_terminated(script, "scram-sha-256-plus", 'n', terminate(&ada));
}

TEST_CASE("terminate: a client binds the channel to our certificate, and we to the server's") {
    const Exchange client = with_client(our_certificate);
    const Exchange upstream = with_server();
    Script script;
    script.server(offer(plus + scram))
        .client_answered(client.first, client.challenge)
        .client_answered(client.response, "")
        .derive(client.derivation, upstream.first)
        .server_answered(upstream.challenge, "")
        .derive(upstream.derivation, upstream.response)
        .server_answered(upstream.final, "")
        .server(ok, client.final + ok)
        .server(ready);
    check_terminated(script, "scram-sha-256-plus", 'p', terminate(&ada));
}

TEST_CASE("terminate: who has a SCRAM secret logs in without a derivation") {
    const Exchange client = with_client("", secret, salt_of_server);
    const Exchange upstream = with_server();
    Script script;
    script.server(offer(plus + scram))
        .client_answered(client.first, client.challenge)
        .client(client.response, upstream.first)
        .server_answered(upstream.challenge, upstream.response)
        .server_answered(upstream.final, "")
        .server(ok, client.final + ok)
        .server(key)
        .server(ready);
    check_terminated(script, "scram-sha-256-plus", 'n', terminate(&ada_of_server));
}

TEST_CASE("terminate: a client in clear is not offered channel binding") {
    const Exchange client = with_client();
    const LoginPolicy in_clear = terminate(&ada, "");
    Play play(Script().server(offer(plus + scram), offer(scram)).client_answered(client.first, client.challenge),
              in_clear);
    CHECK(play.login.next() == Next::read_client);
    Play(Script().server(offer(plus + scram), offer(scram)), in_clear)
        .refuses(with_client(our_certificate).first, Fault::sasl_mechanism);
}

TEST_CASE("terminate: what the client is offered does not depend on which SCRAM the server offers") {
    for (const std::string& offered : {scram, plus, "SCRAM-SHA-512\0"s + scram, scram + "OAUTHBEARER\0"s}) {
        Play(Script().server(offer(offered), offer(plus + scram)), terminate(&ada));
        Play(Script().server(offer(offered), offer(scram)), terminate(&ada, ""));
    }
}

TEST_CASE("terminate: a server that offers no SCRAM-SHA-256 is left to the client") {
    const std::string token = choice("OAUTHBEARER", "n,,auth=Bearer x");
    const Play play = check_established(Script().server(offer("OAUTHBEARER\0"s)).client(token).server(ok).server(ready),
                                        "oauthbearer", terminate(&ada));
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::none);
}

TEST_CASE("terminate: SCRAM may cross a network in clear, as no password does") {
    LoginPolicy in_clear = terminate(&ada, "");
    in_clear.password_is_safe = false;
    in_clear.ask_at_once = true;
    Play(Script().server(offer(plus + scram), offer(scram)), in_clear);
}

TEST_CASE("terminate: a client may leave its first message for later") {
    const Exchange client = with_client(our_certificate);
    Play play(Script()
                  .server(offer(plus + scram))
                  .client_answered(choice_alone("SCRAM-SHA-256-PLUS"), authentication(11))
                  .client_answered(message('p', client.first_message), client.challenge)
                  .client_answered(client.response, "")
                  .derive(client.derivation, with_server().first),
              terminate(&ada));
    CHECK(play.login.channel_binding() == 'p');
}

TEST_CASE("terminate: a client that could bind channels and thinks that we could not has been lied to") {
    Play downgraded(Script().server(offer(plus + scram)), terminate(&ada));
    downgraded.refuses(y_first, Fault::channel_binding_downgrade);
    CHECK(downgraded.login.channel_binding() == 'y');
    Play in_clear(Script().server(offer(plus + scram), offer(scram)), terminate(&ada, ""));
    CHECK(contains(in_clear.say(y_first).to_client, "r=abcours,"));
}

TEST_CASE("terminate: a client bound to another certificate than ours is refused before its proof is looked at") {
    const Exchange client = with_client("the certificate of somebody between");
    Play(Script().server(offer(plus + scram)).client_answered(client.first, client.challenge), terminate(&ada))
        .refuses(client.response, Fault::channel_binding_failed);
}

TEST_CASE("terminate: what a client says out of turn is refused") {
    const Exchange client = with_client();
    const Script offered = Script().server(offer(plus + scram));
    Play(offered, terminate(&ada)).refuses(client.response, Fault::sasl_message);
    Play(offered, terminate(&ada)).refuses(password_message(secret), Fault::sasl_message);
    Play(offered, terminate(&ada)).refuses(choice("OAUTHBEARER", "n,,"), Fault::sasl_mechanism);
    const Script challenged = Script(offered).client_answered(client.first, client.challenge);
    Play(challenged, terminate(&ada)).refuses(client.first, Fault::sasl_message);
    Play(challenged, terminate(&ada)).refuses(password_message(secret), Fault::sasl_message);
    Play(challenged, terminate(&ada)).refuses(message('p', ""), Fault::sasl_message);
    const Script alone = Script(offered).client_answered(choice_alone("SCRAM-SHA-256"), authentication(11));
    Play(alone, terminate(&ada)).refuses(message('p', ""), Fault::sasl_message);
    Play(alone, terminate(&ada)).refuses(client.first, Fault::sasl_message);
}

TEST_CASE("terminate: a wrong password is refused, after a derivation as for a right one") {
    const Exchange client = with_client("", "eraser");
    Play play(Script()
                  .server(offer(plus + scram))
                  .client_answered(client.first, client.challenge)
                  .client_answered(client.response, ""),
              terminate(&ada));
    play.refuses(with_client().derivation, Fault::password_failed);
    keeps_the_secret(play);
}

TEST_CASE("terminate: a user that users_file does not have is challenged and refused as one with another password") {
    const Exchange client = with_client();
    Play(Script()
             .server(offer(plus + scram))
             .client_answered(client.first, client.challenge)
             .client_answered(client.response, ""),
         terminate(nullptr))
        .refuses(KeyDerivation{.password = {}, .salt = our_salt}, Fault::password_failed);
}

TEST_CASE("terminate: nobody has the empty password") {
    const Exchange client = with_client("", "");
    const ScramUser nothing;
    for (const ScramUser* user : {static_cast<const ScramUser*>(nullptr), &nothing}) {
        Play(Script()
                 .server(offer(plus + scram))
                 .client_answered(client.first, client.challenge)
                 .client_answered(client.response, ""),
             terminate(user))
            .refuses(client.derivation, Fault::password_failed);
    }
}

TEST_CASE("terminate: a wrong proof for a SCRAM secret costs a derivation too, and is refused whatever that gives") {
    const Exchange client = with_client("", "eraser", salt_of_server);
    const Script script = Script()
                              .server(offer(plus + scram))
                              .client_answered(client.first, client.challenge)
                              .client_answered(client.response, "");
    Play(script, terminate(&ada_of_server))
        .refuses(KeyDerivation{.password = {}, .salt = salt_of_server}, Fault::password_failed);

    const Exchange empty = with_client("", "", salt_of_server);
    Play(Script()
             .server(offer(plus + scram))
             .client_answered(empty.first, empty.challenge)
             .client_answered(empty.response, ""),
         terminate(&ada_of_server))
        .refuses(empty.derivation, Fault::password_failed);
}

TEST_CASE("terminate: a SCRAM secret serves only at the server that it was copied from") {
    for (const ScramSalt& other : {ScramSalt{.salt = bytes("salt of another server"), .iterations = 2},
                                   ScramSalt{.salt = salt_of_server.salt, .iterations = 3}}) {
        const ScramUser user = with_secret(other);
        const Exchange client = with_client("", secret, other);
        const Exchange upstream = with_server();
        Play(Script()
                 .server(offer(plus + scram))
                 .client_answered(client.first, client.challenge)
                 .client(client.response, upstream.first),
             terminate(&user))
            .refuses(upstream.challenge, Fault::scram_secret);
    }
}

TEST_CASE("terminate: a secret does not let a server off its proof") {
    const Exchange client = with_client("", secret, salt_of_server);
    const Exchange upstream = with_server();
    const Script proven = Script()
                              .server(offer(plus + scram))
                              .client_answered(client.first, client.challenge)
                              .client(client.response, upstream.first)
                              .server_answered(upstream.challenge, upstream.response);
    Play(proven, terminate(&ada_of_server)).refuses(ok, Fault::scram_signature);
    Play(proven, terminate(&ada_of_server))
        .refuses(with_server(server_certificate, "eraser").final, Fault::scram_signature);
}

TEST_CASE("terminate: a client hears that we know its password only when the server has let us in") {
    const Exchange client = with_client("", secret, salt_of_server);
    const Exchange upstream = with_server();
    Play play(Script()
                  .server(offer(plus + scram))
                  .client_answered(client.first, client.challenge)
                  .client(client.response, upstream.first)
                  .server_answered(upstream.challenge, upstream.response)
                  .server_answered(upstream.final, ""),
              terminate(&ada_of_server));
    CHECK_FALSE(contains(play.all.to_client, client.final));
    CHECK(play.feed(error("53300")) == error("53300"));
    CHECK_FALSE(contains(play.all.to_client, client.final));
}

TEST_CASE("terminate: channel binding alone is not begun at a server whose certificate has no hash") {
    LoginPolicy without = terminate(&ada, "");
    without.server_end_point.clear();
    Play(Script(), without).refuses(offer(plus), Fault::sasl_nothing_left);
}

// --- Every mode

TEST_CASE("whatever is done about SCRAM, other methods pass through") {
    const std::string token = message('p', "token");
    for (const ScramMode mode :
         {ScramMode::automatic, ScramMode::passthrough, ScramMode::bridge, ScramMode::terminate}) {
        CAPTURE(to_string(mode));
        LoginPolicy any = policy(mode);
        any.ask_at_once = true;
        const auto passes = [&](const Script& script, const std::string& auth_method) {
            const Play play = check_established(script, auth_method, any);
            CHECK(play.login.auth_bridge() == protocol::AuthBridge::none);
            CHECK(play.login.channel_binding() == 0);
        };
        passes(Script().server(ok).server(ready), "cert/trust");
        passes(Script().server(authentication(3)).client(password_message(secret)).server(ok).server(ready),
               "password");
        passes(Script().server(authentication(5, "salt")).client(password_message("md5")).server(ok).server(ready),
               "md5");
        passes(Script()
                   .server(authentication(7))
                   .client(token)
                   .server(authentication(8, "a"))
                   .client(token)
                   .server(ok)
                   .server(ready),
               "gss");
        passes(Script().server(authentication(9)).client(token).server(ok).server(ready), "gss");
    }
}

TEST_CASE("the modes are spelled as in the file") {
    CHECK(to_string(ScramMode::automatic) == "auto");
    CHECK(to_string(ScramMode::passthrough) == "passthrough");
    CHECK(to_string(ScramMode::bridge) == "bridge");
    CHECK(to_string(ScramMode::terminate) == "terminate");
}

TEST_CASE("a gs2 flag that there is not is not reported") {
    for (const std::string& data : {"x" + client_first, "\xff" + client_first, ",,"s, "N" + client_first}) {
        const Play play(Script().server(offer(scram)).client(choice("SCRAM-SHA-256", data)),
                        policy(ScramMode::automatic));
        CHECK(play.login.channel_binding() == 0);
    }
}
