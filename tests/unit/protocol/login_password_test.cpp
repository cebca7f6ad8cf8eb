#include "login_exchange.hpp"

using namespace login_script;

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
