// A login as a script: who says what, and what the other side is sent of it. Played whole, and up
// to each of its steps to see what ends it there.
#pragma once

#include <algorithm>
#include <map>

#include "protocol/login.hpp"
#include "protocol/startup.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"
#include "tls/scram_crypto.hpp"

namespace login_script {

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

inline std::string authentication(char code, const std::string& rest = {}) {
    return message('R', "\0\0\0"s + code + rest);
}
inline std::string offer(const std::string& mechanisms) { return authentication(10, mechanisms + "\0"s); }
inline std::string error(const std::string& sqlstate) { return message('E', "SFATAL\0C"s + sqlstate + "\0Mno\0\0"s); }

/// SASLInitialResponse.
inline std::string choice(const std::string& mechanism, const std::string& response) {
    return message('p', mechanism + "\0\0\0\0"s + static_cast<char>(response.size()) + response);
}

/// The same, without the client-first-message.
inline std::string choice_alone(const std::string& mechanism) {
    return message('p', mechanism + "\0\xff\xff\xff\xff"s);
}
inline std::string password_message(const std::string& password) { return message('p', password + "\0"s); }

inline const std::string ok = authentication(0);
inline const std::string ready = message('Z', "I");
inline const std::string parameter = message('S',
                                             "server_version\0"
                                             "17.2\0"s);
inline const std::string key = message('K',
                                       "\0\0\0\x2a"
                                       "KEY!"s);
inline const std::string plus = "SCRAM-SHA-256-PLUS\0"s;
inline const std::string scram = "SCRAM-SHA-256\0"s;
inline const std::string client_first = ",,n=,r=abc";

inline LoginPolicy passthrough() {
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

inline ScramKey salted_password(const KeyDerivation& derivation) {
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
inline void fails_cleanly_at_each_step(const Script& script, const LoginPolicy& policy = passthrough()) {
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

inline Play check_established(const Script& script, const std::string& auth_method,
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

}  // namespace login_script
