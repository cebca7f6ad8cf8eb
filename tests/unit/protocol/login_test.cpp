#include "login_exchange.hpp"

using namespace login_script;

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
