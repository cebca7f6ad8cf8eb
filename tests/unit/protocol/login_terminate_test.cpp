#include "login_exchange.hpp"

using namespace login_script;

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
