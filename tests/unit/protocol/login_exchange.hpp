// Logins that we take part in: SCRAM between the client and us, and between us and the server.
#pragma once

#include "login_script.hpp"

namespace login_script {

inline const std::string server_certificate = "the hash of the server's certificate";
inline const std::string our_certificate = "the hash of our certificate";
inline const std::string secret = "correct horse";  // what must never be seen again
inline const std::string please = authentication(3);
inline const std::string salt_of_ada = "salt of ada";  // and of whoever users_file does not have
inline const std::string y_first = choice("SCRAM-SHA-256", "y" + client_first);

inline Buffer bytes(std::string_view text) { return Buffer(text.begin(), text.end()); }

inline protocol::ScramCrypto with_nonce(std::string (*nonce)()) {
    protocol::ScramCrypto crypto = tls::scram_crypto();
    crypto.nonce = nonce;
    return crypto;
}
inline const protocol::ScramCrypto ours = with_nonce([] { return "ours"s; });
inline const protocol::ScramCrypto theirs = with_nonce([] { return "theirs"s; });

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

inline const ScramSalt salt_of_server{.salt = bytes("salt of the server"), .iterations = 2};
inline const ScramSalt our_salt{.salt = bytes(salt_of_ada), .iterations = 4096};

/// Between us and the server.
inline Exchange with_server(const std::string& end_point = server_certificate, const std::string& password = secret) {
    return {{.client = ours, .server = theirs}, password, salt_of_server, end_point};
}
/// Between the client and us.
inline Exchange with_client(const std::string& end_point = {}, const std::string& password = secret,
                            const ScramSalt& salt = our_salt) {
    return {{.client = theirs, .server = ours}, password, salt, end_point};
}

inline LoginPolicy policy(ScramMode mode) {
    LoginPolicy policy;
    policy.scram = mode;
    policy.password_is_safe = true;
    policy.crypto = ours;
    policy.server_end_point = bytes(server_certificate);
    return policy;
}

inline LoginPolicy terminate(const ScramUser* user, const std::string& end_point = our_certificate) {
    LoginPolicy terminating = policy(ScramMode::terminate);
    terminating.client_end_point = bytes(end_point);
    terminating.user = user;
    terminating.user_salt = {.salt = bytes(salt_of_ada)};
    return terminating;
}

inline ScramUser with_password(const std::string& password) { return {.password = bytes(password), .secret = {}}; }
inline ScramUser with_secret(const ScramSalt& salt) {
    return {.password = {},
            .secret = protocol::scram_secret(ours, salted_password({.password = bytes(secret), .salt = salt}), salt)};
}
inline const ScramUser ada = with_password(secret);
inline const ScramUser ada_of_server = with_secret(salt_of_server);

/// The client has been asked for its password, and the server has offered `offered`.
inline Script asked(const std::string& offered = plus + scram) { return Script().server(offer(offered), please); }
/// We have sent our first message to the server.
inline Script begun() { return asked().client(password_message(secret), with_server().first); }
/// We have sent our proof to the server.
inline Script proven() {
    const Exchange upstream = with_server();
    return begun().server_answered(upstream.challenge, "").derive(upstream.derivation, upstream.response);
}
/// What we say and hear from the password on until the client is in.
inline Script& log_in(Script& script, const Exchange& upstream) {
    return script.server_answered(upstream.challenge, "")
        .derive(upstream.derivation, upstream.response)
        .server_answered(upstream.final, "")
        .server(ok)
        .server(parameter)
        .server(key)
        .server(ready);
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline void keeps_the_secret(const Play& play) {
    CHECK_FALSE(contains(play.all.to_client, secret));
    CHECK_FALSE(contains(play.all.to_server, secret));
}

/// The client gave us its password.
inline void check_bridged(const Script& script, const std::string& auth_method, char flag, const LoginPolicy& policy) {
    const Play play = check_established(script, auth_method, policy);
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::cleartext);
    CHECK(play.login.channel_binding() == flag);
    CHECK_FALSE(play.login.asking_password());
    keeps_the_secret(play);
}

/// The client proved to us who it is, and we to the server.
inline void check_terminated(const Script& script, const std::string& auth_method, char flag,
                             const LoginPolicy& policy) {
    const Play play = check_established(script, auth_method, policy);
    CHECK(play.login.auth_bridge() == protocol::AuthBridge::terminate);
    CHECK(play.login.channel_binding() == flag);
    keeps_the_secret(play);
}

}  // namespace login_script
