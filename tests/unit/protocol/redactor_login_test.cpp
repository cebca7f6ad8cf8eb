// From the first byte to the end of the login: what never stays, and how the framing is found.
#include "support/redaction.hpp"

namespace {

using namespace std::string_literals;
using namespace support;
using protocol::Payload;
using protocol::Redactor;

constexpr Payload all_payloads[]{Payload::headers, Payload::redacted, Payload::full};

std::string zeros(std::size_t size) { return std::string(size, '\0'); }
std::string parameter(std::string_view name, std::string_view of) { return cstring(name) + cstring(of); }

const std::string ssl_request = opening(80877103, "");
const std::string gssenc_request = opening(80877104, "");
const std::string ready = message('Z', "I");

void say(Redactor& redactor, Sender sender, std::string& bytes) {
    redactor.blank(sender, bytes_of(bytes, 0, bytes.size()));
}
std::string said(Redactor& redactor, Sender sender, std::string bytes) {
    say(redactor, sender, bytes);
    return bytes;
}

}  // namespace

TEST_CASE("a StartupMessage keeps its names, and the values that say who the client is") {
    const auto packet = [](std::string_view style, std::string_view zone, std::string_view search_path,
                           std::string_view options, std::string_view version) {
        return startup(parameter("database", "orders") + parameter("application_name", "psql") +
                           parameter("client_encoding", "UTF8") + parameter("replication", "database") +
                           parameter("DateStyle", style) + parameter("TimeZone", zone) +
                           parameter("search_path", search_path) + parameter("options", options) +
                           parameter("_pq_.x", version),
                       0x30002);
    };
    const Conversation whole{{client, packet("ISO", "<x>5", "tenant", "-c a=b", "y")}};
    CHECK(last_blanked(Payload::headers, whole) == packet("***", "****", "******", "******", "*"));
    CHECK(last_blanked(Payload::redacted, whole) == packet("***", "****", "******", "******", "*"));
    CHECK(last_blanked(Payload::full, whole) == packet("ISO", "<x>5", "tenant", "-c a=b", "y"));
}

TEST_CASE("passwords and tokens in a StartupMessage never stay") {
    for (const Payload payload : all_payloads) {
        CHECK(last_blanked(payload, {{client, startup(parameter("PassWord", "secret"))}}) ==
              startup(parameter("PassWord", "******")));
        CHECK(last_blanked(payload, {{client, startup(parameter("oauth_token", "secret"))}}) ==
              startup(parameter("oauth_token", "******")));
        CHECK(last_blanked(payload, {{client, startup(parameter("application_name", "a password=secret"))}}) ==
              startup(parameter("application_name", "a password=******")));
        const std::string strange = startup(parameter(std::string(70, 'n'), "secret"));
        CHECK(last_blanked(payload, {{client, strange}}) ==
              startup(parameter(std::string(63, 'n') + "*******", "******")));
        // Behind its end.
        CHECK(last_blanked(payload, {{client, opening(0x30000, "user\0bob\0\0secret"s)}}) ==
              opening(0x30000, "user\0bob\0\0"s + zeros(6)));
    }
    CHECK(last_blanked(Payload::full, {{client, startup(parameter("options", "-c my.password=secret"))}}) ==
          startup(parameter("options", "-c my.password=******")));
}

TEST_CASE("a CancelRequest keeps its process id, and a BackendKeyData, with keys of any length") {
    for (const Payload payload : all_payloads) {
        for (const std::size_t size : {4U, 32U, 256U}) {
            const std::string key(size, 'k');
            CHECK(last_blanked(payload, {{client, opening(80877102, int32(4711) + key)}}) ==
                  opening(80877102, int32(4711) + zeros(size)));
            CHECK(last_blanked_behind_login(payload, {{server, message('K', int32(4711) + key)}}) ==
                  message('K', int32(4711) + zeros(size)));
        }
    }
}

TEST_CASE("requests for encryption and their answers are as they are") {
    for (const Payload payload : all_payloads) {
        const Conversation whole{{client, gssenc_request}, {server, "N"},  {client, ssl_request}, {server, "N"},
                                 {client, startup()},      {server, ready}};
        const auto left_of = blanked(payload, whole);
        for (std::size_t i = 0; i < whole.size(); ++i) CHECK(left_of[i] == whole[i].bytes);
    }
    // A server that knows no such request.
    const std::string error = message('E', "SFATAL\0C0A000\0\0"s);
    CHECK(last_blanked(Payload::headers, {{client, ssl_request}, {server, error}}) == error);
}

TEST_CASE("inside TLS a startup packet comes anew") {
    Redactor redactor(Payload::redacted);
    CHECK(said(redactor, client, ssl_request) == ssl_request);
    CHECK(said(redactor, server, "S") == "S");
    redactor.tls_began();
    CHECK(said(redactor, client, startup()) == startup());
    CHECK(said(redactor, server, ready) == ready);
    CHECK(said(redactor, client, message('Q', "SELECT 'a'\0"s)) == message('Q', "SELECT '*'\0"s));
}

TEST_CASE("passwords never stay, whatever the server asked for") {
    for (const Payload payload : all_payloads) {
        for (const std::uint32_t code : {3U, 5U}) {
            const Conversation login{{client, startup()},
                                     {server, message('R', int32(code) + (code == 5 ? "salt" : ""))},
                                     {client, message('p', "secret\0"s)}};
            CHECK(last_blanked(payload, login) == message('p', "******\0"s));
            CHECK(blanked(payload, login)[1] == message('R', int32(code) + zeros(code == 5 ? 4 : 0)));
        }
        CHECK(last_blanked(payload, {{client, startup()}, {client, message('p', "secret\0"s)}}) ==
              message('p', zeros(7)));
        CHECK(last_blanked(payload,
                           {{client, startup()}, {server, message('R', int32(3))}, {client, message('p', "no end")}}) ==
              message('p', "*****\0"s));
    }
}

TEST_CASE("of SASL only the mechanisms stay") {
    const auto offer = message('R', int32(10) + "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
    const Conversation login{{client, startup()},
                             {server, offer},
                             {client, message('p', "SCRAM-SHA-256\0"s + value("n,,n=,r=nonce"))},
                             {server, message('R', int32(11) + "r=nonce,s=salt,i=4096")},
                             {client, message('p', "c=biws,p=proof")},
                             {server, message('R', int32(12) + "v=signature") + message('R', int32(0)) + ready}};
    for (const Payload payload : all_payloads) {
        const auto left = blanked(payload, login);
        CHECK(left[1] == offer);
        CHECK(left[2] == message('p', "SCRAM-SHA-256\0"s + value(std::string(13, '*'))));
        CHECK(left[3] == message('R', int32(11) + zeros(21)));
        CHECK(left[4] == message('p', std::string(14, '*')));
        CHECK(left[5] == message('R', int32(12) + zeros(11)) + message('R', int32(0)) + ready);
    }
    // A mechanism that nobody knows may be a password.
    CHECK(last_blanked(Payload::full,
                       {{client, startup()}, {server, offer}, {client, message('p', "hunter2\0abcdef"s)}}) ==
          message('p', "*******\0"s + zeros(6)));
    CHECK(last_blanked(Payload::full,
                       {{client, startup()}, {server, offer}, {client, message('p', "SCRAM-SHA-256x\0abcdef"s)}}) ==
          message('p', "SCRAM-SHA-256*\0"s + zeros(6)));
    CHECK(last_blanked(Payload::full, {{client, startup()},
                                       {server, offer},
                                       {client, message('p', "OAUTHBEARER\0"s + value("auth=Bearer t"))}}) ==
          message('p', "OAUTHBEARER\0"s + value(std::string(13, '*'))));
}

TEST_CASE("GSSAPI's tokens never stay, and nothing of what it encrypts") {
    for (const Payload payload : all_payloads) {
        const Conversation login{{client, startup()},
                                 {server, message('R', int32(7))},
                                 {client, message('p', "token")},
                                 {server, message('R', int32(8) + "token")},
                                 {client, message('p', "token")}};
        const auto left = blanked(payload, login);
        CHECK(left[2] == message('p', zeros(5)));
        CHECK(left[3] == message('R', int32(8) + zeros(5)));
        CHECK(left[4] == message('p', zeros(5)));

        Redactor redactor(payload);
        said(redactor, client, gssenc_request);
        CHECK(said(redactor, server, "G\0\0\1token"s) == "G"s + zeros(8));
        CHECK(said(redactor, client, "\0\0\1token"s) == zeros(8));
        CHECK(redactor.lost(client));
        CHECK(redactor.lost(server));
    }
}

TEST_CASE("NegotiateProtocolVersion says which options are unknown") {
    const auto answer = message('v', int32(0x30000) + int32(2) + "_pq_.a\0_pq_.b\0"s);
    CHECK(last_blanked(Payload::redacted, {{client, startup()}, {server, answer}}) == answer);
    CHECK(last_blanked(Payload::full, {{client, startup()}, {server, answer}}) == answer);
    CHECK(last_blanked(Payload::headers, {{client, startup()}, {server, answer}}) ==
          message('v', int32(0x30000) + int32(2) + "******\0******\0"s));
}

TEST_CASE("when the framing of a side is lost, all the rest of it is blanked") {
    const auto lost_after = [](const std::string& bytes, std::size_t kept, Sender sender) {
        for (const Payload payload : all_payloads) {
            const std::string secret = message('S', "") + "secret, and more of it";
            const std::string left = last_blanked_behind_login(payload, {{sender, bytes + secret}});
            CHECK(left == bytes.substr(0, kept) + zeros(bytes.size() - kept + secret.size()));
            Redactor redactor(payload);
            for (const Said& each : logged_in()) said(redactor, each.sender, each.bytes);
            CHECK_FALSE(redactor.lost(sender));
            said(redactor, sender, bytes);
            CHECK(redactor.lost(sender));
            CHECK_FALSE(redactor.lost(sender == client ? server : client));
        }
    };
    for (const Sender sender : {client, server}) {
        lost_after("\0"s, 0, sender);
        lost_after("9", 0, sender);
        lost_after("Q\0\0\0\3"s, 4, sender);
        lost_after("Q\0\0\0\0"s, 4, sender);
        lost_after("D\x40\0\0\0"s, 1, sender);
        lost_after("D\xff\xff\xff\xff", 1, sender);
        lost_after(message('S', "") + "\x16\3\1", 5, sender);
    }
    // What is long is not lost.
    Redactor redactor(Payload::redacted);
    for (const Said& each : logged_in()) said(redactor, each.sender, each.bytes);
    CHECK(said(redactor, server, "D\x3f\xff\xff\xff\0\1\0\0\0\6secret"s) == "D\x3f\xff\xff\xff\0\1\0\0\0\6******"s);
    CHECK_FALSE(redactor.lost(server));
}

TEST_CASE("an opening packet that is none loses the client") {
    for (const std::string& bytes :
         {"\x16\3\1\2\0"s, "\0\0\0\7\0\0\0"s, "\0\0\x27\x15\0\3\0\0"s, int32(9) + int32(80877103) + "x",
          int32(8) + int32(0x20000), "GET / HTTP/1.1\r\n"s}) {
        Redactor redactor(Payload::full);
        const std::string left = said(redactor, client, bytes + "secret");
        CHECK(redactor.lost(client));
        CHECK(left.find("secret") == std::string::npos);
    }
    Redactor impatient(Payload::full);
    CHECK(said(impatient, client, ssl_request + startup()) == ssl_request + zeros(startup().size()));
    Redactor cancelled(Payload::full);
    const std::string cancel = opening(80877102, int32(1) + int32(2));
    CHECK(said(cancelled, client, cancel + startup()) == cancel.substr(0, 12) + zeros(4 + startup().size()));
    CHECK(cancelled.lost(client));
    Redactor answered_wrongly(Payload::full);
    said(answered_wrongly, client, ssl_request);
    CHECK(said(answered_wrongly, server, "Gsecret") == zeros(7));
    CHECK(answered_wrongly.lost(server));
}

TEST_CASE("a session that is behind its login enters between two messages") {
    Redactor redactor(Payload::redacted);
    redactor.begin_established();
    CHECK(said(redactor, server, message('D', int16(1) + value("a"))) == message('D', int16(1) + value("*")));
    CHECK(said(redactor, client, message('Q', "SELECT 'a', b, \xc3\xa4\0"s)) == message('Q', "SELECT '*', b, **\0"s));

    Redactor known(Payload::redacted);
    known.begin_established("UTF8");
    CHECK(said(known, client, message('Q', "SELECT 'a', b, \xc3\xa4\0"s)) ==
          message('Q', "SELECT '*', b, \xc3\xa4\0"s));

    // What was prepared before may hold secrets.
    const auto bind = [](const std::string& name, const std::string& text) {
        return message('B', '\0' + cstring(name) + int16(0) + int16(1) + value(text) + int16(0));
    };
    Redactor full(Payload::full);
    full.begin_established("UTF8");
    CHECK(said(full, client, bind("old", "a")) == bind("old", "*"));
    // Whether the server prepares it anew, is not known.
    said(full, client, message('P', "old\0SELECT $1\0"s + int16(0)));
    CHECK(said(full, client, bind("old", "a")) == bind("old", "*"));
    CHECK(said(full, client, bind("Old", "a")) == bind("Old", "*"));
    CHECK(said(full, client, bind("", "a")) == bind("", "*"));
    said(full, client, message('P', "\0SELECT $1\0"s + int16(0)));
    CHECK(said(full, client, bind("", "a")) == bind("", "a"));
    said(full, client, message('S', ""));
    CHECK(said(full, client, bind("", "a")) == bind("", "*"));
}
