// Texts of prepared statements, for as long as they are kept.
#include "protocol/exchange.hpp"

#include "support/catch.hpp"
#include "support/redaction.hpp"

namespace {

using namespace support;
using protocol::CapturedStatement;

/// A session of which each request is answered at once.
class Prepared {
   public:
    void parse(std::string_view name, std::string_view text) {
        say('P', cstring(name) + cstring(text) + int16(0));
        answer('1', "");
        sync();
    }
    void parse_in_vain(std::string_view name, std::string_view text) {
        say('P', cstring(name) + cstring(text) + int16(0));
        answer('E', cstring("SERROR") + cstring("C42601") + '\0');
        sync();
    }
    void close(std::string_view name) {
        say('C', 'S' + cstring(name));
        answer('3', "");
        sync();
    }
    /// Of the statement; nothing: it is not known.
    std::optional<std::string> text_of(std::string_view name) {
        say('B', cstring("") + cstring(name) + int16(0) + int16(0) + int16(0));
        say('E', cstring("") + int32(0));
        answer('2', "");
        answer('C', cstring("SELECT 1"));
        sync();
        return last_.text_known ? std::optional(last_.text) : std::nullopt;
    }

   private:
    void say(char type, const std::string& body) {
        exchange_.from_client({.type = type, .size = body.size(), .body = protocol::as_bytes(body)}, ++time_);
    }
    void answer(char type, const std::string& body) {
        exchange_.from_server({.type = type, .size = body.size(), .body = protocol::as_bytes(body)}, ++time_);
    }
    void sync() {
        say('S', "");
        answer('Z', "I");
    }

    CapturedStatement last_;
    protocol::Exchange exchange_{[this](CapturedStatement&& statement) { last_ = std::move(statement); }};
    std::uint64_t time_ = 0;
};

// 16 MB in all, of which 4 MiB may be kept.
constexpr int many = 40'000;
const std::string long_text = "SELECT '" + std::string(400, 'x') + "'";

}  // namespace

TEST_CASE("a statement is not forgotten however often another one is prepared anew") {
    Prepared session;
    session.parse("kept", "SELECT 1");
    for (int i = 0; i < many; ++i) session.parse("", long_text);
    CHECK(session.text_of("kept") == "SELECT 1");
    CHECK(session.text_of("") == long_text);
    // Of different sizes, too.
    for (int i = 0; i < many; ++i) session.parse("s", i % 2 == 0 ? long_text : "SELECT 2");
    CHECK(session.text_of("kept") == "SELECT 1");
    CHECK(session.text_of("s") == "SELECT 2");
}

TEST_CASE("a statement is not forgotten however many others are closed or refused") {
    Prepared session;
    session.parse("kept", "SELECT 1");
    for (int i = 0; i < many; ++i) {
        const std::string name = "s" + std::to_string(i);
        session.parse(name, long_text);
        session.close(name);
        session.parse_in_vain(name, long_text);
    }
    CHECK(session.text_of("kept") == "SELECT 1");
    CHECK_FALSE(session.text_of("s7"));
}

TEST_CASE("statements that stay are forgotten beyond a number of bytes, also when their texts are short") {
    for (const std::string& text : {long_text, std::string()}) {
        Prepared session;
        session.parse("first", "SELECT 1");
        for (int i = 0; i < many; ++i) session.parse("s" + std::to_string(i), text);
        CHECK_FALSE(session.text_of("first"));
        CHECK(session.text_of("s" + std::to_string(many - 1)) == text);
    }
}
