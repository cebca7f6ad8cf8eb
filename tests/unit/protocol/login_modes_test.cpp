#include "login_exchange.hpp"

using namespace login_script;

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
