#include "protocol/messages.hpp"

#include "protocol/startup.hpp"
#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::Buffer;
using protocol::ErrorResponse;
using protocol::MessageBuffer;
using support::message;

}  // namespace

TEST_CASE("messages come out whole however their bytes arrive") {
    const std::string stream =
        message('R', "\0\0\0\0"s) + message('Z', "I") + message('S', "") + message('D', std::string(300, 'd'));
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        MessageBuffer buffer(1000);
        std::string types;
        std::string again;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            buffer.append(as_bytes(std::string_view(stream).substr(at, piece)));
            while (const auto got = buffer.next()) {
                types += got->type;
                again += as_text(got->whole);
                CHECK(got->body.size() + protocol::message_header_size == got->whole.size());
            }
        }
        CHECK(types == "RZSD");
        CHECK(again == stream);
        CHECK(buffer.rest().empty());
        CHECK_FALSE(buffer.oversized());
    }
}

TEST_CASE("what lies behind the last message taken is the rest") {
    MessageBuffer buffer(100);
    buffer.append(as_bytes(message('Z', "I") + "tail"));
    REQUIRE(buffer.next().has_value());
    CHECK(as_text(buffer.rest()) == "tail");
    CHECK_FALSE(buffer.next().has_value());
    CHECK(as_text(buffer.rest()) == "tail");
}

TEST_CASE("a message may be as long as the limit and not longer") {
    const auto oversized = [](std::uint32_t length) {
        Buffer header;
        protocol::Writer writer(header);
        writer.u8('p');
        writer.u32(length);
        MessageBuffer buffer(100);
        buffer.append(header);
        CHECK((length == 4) == buffer.next().has_value());
        return buffer.oversized();
    };
    for (std::uint32_t length = 0; length < 4; ++length) CHECK(oversized(length));
    CHECK_FALSE(oversized(4));
    CHECK_FALSE(oversized(100));
    CHECK(oversized(101));
    CHECK(oversized(0x7fffffff));
    CHECK(oversized(0xffffffff));
}

TEST_CASE("an oversized message is seen before its body arrives, and is not skipped") {
    MessageBuffer buffer(10);
    buffer.append(as_bytes(message('p', std::string(7, 'x')) + message('p', "")));
    CHECK_FALSE(buffer.next().has_value());
    CHECK(buffer.oversized());
    CHECK_FALSE(buffer.next().has_value());
}

TEST_CASE("a header of four bytes tells nothing yet") {
    MessageBuffer buffer(10);
    buffer.append(as_bytes("p\xff\xff\xff"s));
    CHECK_FALSE(buffer.next().has_value());
    CHECK_FALSE(buffer.oversized());
}

TEST_CASE("an ErrorResponse is laid out as the manual says, and empty fields are left out") {
    const Buffer bytes =
        serialize(ErrorResponse{.severity = "FATAL", .sqlstate = "28000", .message = "no", .detail = {}, .hint = {}});
    CHECK(as_text(bytes) == "E\0\0\0\x1e"s + "SFATAL\0VFATAL\0C28000\0Mno\0\0"s);
}

TEST_CASE("an ErrorResponse says where in the query, when that is known") {
    const Buffer bytes = serialize(ErrorResponse{
        .severity = "ERROR", .sqlstate = "42601", .message = "no", .detail = {}, .hint = {}, .position = 12});
    CHECK(as_text(bytes) == "E\0\0\0\x22"s + "SERROR\0VERROR\0C42601\0Mno\0P12\0\0"s);
}

TEST_CASE("an ErrorResponse survives a round trip") {
    const ErrorResponse sent{
        .severity = "ERROR", .sqlstate = "57P01", .message = "gone", .detail = "why", .hint = "try again"};
    const Buffer bytes = serialize(sent);
    MessageBuffer buffer(1000);
    buffer.append(bytes);
    const auto message = buffer.next();
    REQUIRE(message.has_value());
    CHECK(message->type == 'E');
    const ErrorResponse got = protocol::parse_error_response(message->body);
    CHECK(got.severity == sent.severity);
    CHECK(got.sqlstate == sent.sqlstate);
    CHECK(got.message == sent.message);
    CHECK(got.detail == sent.detail);
    CHECK(got.hint == sent.hint);
}

TEST_CASE("an ErrorResponse of a server is read past fields that nobody knows") {
    const auto got = protocol::parse_error_response(
        as_bytes("SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0Fauth.c\0L324\0Rauth_failed\0\0"s));
    CHECK(got.sqlstate == "28P01");
    CHECK(got.message == "password authentication failed");
    CHECK(got.detail.empty());
}

TEST_CASE("an ErrorResponse cut off anywhere gives what came before") {
    const std::string whole = "SFATAL\0C28000\0Mmessage\0\0"s;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        const auto got = protocol::parse_error_response(as_bytes(whole.substr(0, size)));
        CHECK((got.sqlstate.empty() || got.sqlstate == "28000"));
        CHECK((got.message.empty() || got.message == "message"));
    }
}

TEST_CASE("AuthenticationSASL survives a round trip") {
    const protocol::AuthenticationSASL sent{.mechanisms = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}};
    Buffer bytes;
    append(bytes, sent);
    CHECK(as_text(bytes) == "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
    const auto got = protocol::parse_authentication_sasl(protocol::Bytes(bytes).subspan(protocol::message_header_size));
    REQUIRE(got.has_value());
    CHECK(got->mechanisms == sent.mechanisms);
}

TEST_CASE("a list of mechanisms without its end is refused") {
    const auto parse = [](const std::string& body) { return protocol::parse_authentication_sasl(as_bytes(body)); };
    CHECK(parse("\0\0\0\x0a\0"s)->mechanisms.empty());
    CHECK_FALSE(parse("\0\0\0\x0a"s).has_value());
    CHECK_FALSE(parse("\0\0\0\x0aSCRAM-SHA-256"s).has_value());
    CHECK_FALSE(parse("\0\0\0\x0aSCRAM-SHA-256\0"s).has_value());
    CHECK_FALSE(parse("\0\0\0\x0bSCRAM-SHA-256\0\0"s).has_value());
    CHECK_FALSE(parse("").has_value());
}

TEST_CASE("SASLInitialResponse tells the mechanism and the first message") {
    const auto parse = [](const std::string& body) { return protocol::parse_sasl_initial_response(as_bytes(body)); };
    for (const char flag : {'n', 'y', 'p'}) {
        const std::string body = "SCRAM-SHA-256\0\0\0\0\x03"s + flag + ",,";
        const auto got = parse(body);
        REQUIRE(got.has_value());
        CHECK(got->mechanism == "SCRAM-SHA-256");
        CHECK(got->data == flag + ",,"s);
    }
    SECTION("the response may be left for later") {
        const auto got = parse("SCRAM-SHA-256\0\xff\xff\xff\xff"s);
        REQUIRE(got.has_value());
        CHECK_FALSE(got->data.has_value());
    }
    SECTION("a length that does not count the response is refused") {
        CHECK_FALSE(parse("SCRAM-SHA-256\0\0\0\0\x02n,,"s).has_value());
        CHECK_FALSE(parse("SCRAM-SHA-256\0\0\0\0\x04n,,"s).has_value());
        CHECK_FALSE(parse("SCRAM-SHA-256\0\0\0\0\0"s).has_value());
        CHECK_FALSE(parse("SCRAM-SHA-256\0\xff\xff\xff\xffn"s).has_value());
        CHECK_FALSE(parse("SCRAM-SHA-256\0\0\0\0"s).has_value());
        CHECK_FALSE(parse("SCRAM-SHA-256"s).has_value());
        CHECK_FALSE(parse("").has_value());
    }
}

TEST_CASE("Authentication messages are laid out as the manual says") {
    Buffer out;
    protocol::append_authentication(out, protocol::AuthenticationCode::ok);
    CHECK(as_text(out) == "R\0\0\0\x08\0\0\0\0"s);
    protocol::append_authentication(out, protocol::AuthenticationCode::sasl_final, as_bytes("v=x"));
    CHECK(as_text(out) == "R\0\0\0\x08\0\0\0\0R\0\0\0\x0b\0\0\0\x0cv=x"s);
}

TEST_CASE("SASLInitialResponse and SASLResponse are laid out as the manual says") {
    Buffer out;
    protocol::append_sasl_initial_response(out, "SCRAM-SHA-256", "n,,");
    CHECK(as_text(out) == "p\0\0\0\x19SCRAM-SHA-256\0\0\0\0\x03n,,"s);
    const auto got = protocol::parse_sasl_initial_response(protocol::Bytes(out).subspan(protocol::message_header_size));
    REQUIRE(got.has_value());
    CHECK(got->data == "n,,");
    out.clear();
    protocol::append_sasl_response(out, "c=biws");
    CHECK(as_text(out) ==
          "p\0\0\0\x0a"
          "c=biws"s);
}

TEST_CASE("a PasswordMessage is one string, whose NUL is its end") {
    const auto parse = [](const std::string& body) { return protocol::parse_password_message(as_bytes(body)); };
    CHECK(as_text(parse("secret\0"s).value()) == "secret");
    CHECK(parse("\0"s).value().empty());
    for (const std::string& body : {""s, "secret"s, "sec\0ret"s, "sec\0ret\0"s, "\0\0"s, "\0x"s})
        CHECK_FALSE(parse(body).has_value());
}

TEST_CASE("BackendKeyData holds a key of 4 to 256 bytes") {
    const auto parse = [](std::size_t size) {
        return protocol::parse_backend_key_data(as_bytes("\0\0\x01\0"s + std::string(size, 'k')));
    };
    for (const std::size_t size : {4u, 32u, 256u}) {
        REQUIRE(parse(size).has_value());
        CHECK(parse(size)->pid == 256);
        CHECK(parse(size)->key == Buffer(size, 'k'));
    }
    for (const std::size_t size : {0u, 3u, 257u}) CHECK_FALSE(parse(size).has_value());
    CHECK_FALSE(protocol::parse_backend_key_data(as_bytes("\0\0\1"s)).has_value());
}

TEST_CASE("no ErrorResponse reaches the length beyond which libpq does not read it") {
    const std::string text(100'000, 'x');
    const protocol::Buffer message = protocol::serialize(
        protocol::ErrorResponse{.sqlstate = "57P03", .message = text, .detail = text, .hint = text});
    CHECK(message.size() < 30'000);
    const auto error = protocol::parse_error_response(protocol::Bytes(message).subspan(5));
    CHECK(error.sqlstate == "57P03");
    CHECK(error.hint.size() > 1'000);
}

TEST_CASE("a message over the limit may be taken as far as it is here") {
    std::string bytes = "N";
    for (const char byte : {'\0', '\0', '\0', '\x20'}) bytes += byte;
    bytes += std::string(10, 'n');
    protocol::MessageBuffer buffer(16);
    buffer.append(protocol::as_bytes(bytes));
    REQUIRE_FALSE(buffer.next().has_value());
    REQUIRE(buffer.oversized());
    const auto beginning = buffer.take_oversized();
    REQUIRE(beginning.has_value());
    CHECK(protocol::as_text(beginning->bytes) == bytes);
    CHECK(beginning->missing == 0x20 - 4 - 10);
    CHECK_FALSE(buffer.oversized());
    CHECK(buffer.rest().empty());

    protocol::MessageBuffer broken(16);
    broken.append(protocol::as_bytes("N\0\0\0\3xyz"s));
    REQUIRE_FALSE(broken.next().has_value());
    CHECK_FALSE(broken.take_oversized().has_value());
}
