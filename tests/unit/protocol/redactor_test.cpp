// Message by message, what each payload leaves.
#include "protocol/redactor.hpp"

#include "support/redaction.hpp"

namespace {

using namespace std::string_literals;
using namespace support;
using protocol::Payload;

std::string zeros(std::size_t size) { return std::string(size, '\0'); }
std::string stars(std::size_t size) { return std::string(size, '*'); }

/// What is left of it behind a login, for each payload.
struct Left {
    std::string headers, redacted, full;
};
Left left(Sender sender, const std::string& bytes, Conversation before = {}) {
    before.push_back({sender, bytes});
    return {last_blanked_behind_login(Payload::headers, before), last_blanked_behind_login(Payload::redacted, before),
            last_blanked_behind_login(Payload::full, before)};
}
void check_kept(Sender sender, const std::string& bytes) {
    const Left of = left(sender, bytes);
    CHECK(of.headers == bytes);
    CHECK(of.redacted == bytes);
    CHECK(of.full == bytes);
}

}  // namespace

TEST_CASE("Query keeps its words, and in headers only its length") {
    const Left of = left(client, message('Q', "SELECT a FROM t WHERE b = 'x'\0"s));
    CHECK(of.headers == message('Q', stars(29) + '\0'));
    CHECK(of.redacted == message('Q', "SELECT a FROM t WHERE b = '*'\0"s));
    CHECK(of.full == message('Q', "SELECT a FROM t WHERE b = 'x'\0"s));
}

TEST_CASE("each Query is read anew, whatever the last one left open") {
    const Left of =
        left(client, message('Q', "SELECT 'a\0"s) + message('Q', "SELECT b /*\0"s) + message('Q', "SELECT c\0"s));
    CHECK(of.redacted == message('Q', "SELECT '*\0"s) + message('Q', "SELECT b /*\0"s) + message('Q', "SELECT c\0"s));
}

TEST_CASE("what stands behind the end of a body is blanked") {
    const Left of = left(client, message('Q', "SELECT a\0secret"s) + message('S', "secret") + message('H', "secret"));
    const std::string expected =
        message('Q', "SELECT a\0"s + zeros(6)) + message('S', zeros(6)) + message('H', zeros(6));
    CHECK(of.redacted == expected);
    CHECK(of.full == expected);
}

TEST_CASE("Parse keeps its name, its types and its words") {
    const std::string types = int16(2) + int32(23) + int32(25);
    const Left of = left(client, message('P', "stmt\0SELECT $1, 'x'\0"s + types));
    CHECK(of.headers == message('P', "****\0**************\0"s + types));
    CHECK(of.redacted == message('P', "stmt\0SELECT $1, '*'\0"s + types));
    CHECK(of.full == message('P', "stmt\0SELECT $1, 'x'\0"s + types));
}

TEST_CASE("Bind keeps names, formats and lengths") {
    const auto bind = [](const std::string& names, const std::string& first, const std::string& second) {
        return message('B', names + int16(3) + int16(0) + int16(1) + int16(0) + int16(3) + value(first) +
                                value(second) + int32(0xffffffff) + int16(1) + int16(1));
    };
    const Left of = left(client, bind("portal\0stmt\0"s, "text", "\1\2\3\4"));
    CHECK(of.headers == bind("******\0****\0"s, "****", zeros(4)));
    CHECK(of.redacted == bind("portal\0stmt\0"s, "****", zeros(4)));
    CHECK(of.full == bind("portal\0stmt\0"s, "text", "\1\2\3\4"));

    const auto formats = [](const std::string& all, const std::string& first, const std::string& second) {
        return message('B', "\0\0"s + all + int16(2) + value(first) + value(second) + int16(0));
    };
    CHECK(left(client, formats(int16(0), "a", "bb")).redacted == formats(int16(0), "*", "**"));
    CHECK(left(client, formats(int16(1) + int16(1), "a", "bb")).redacted ==
          formats(int16(1) + int16(1), zeros(1), zeros(2)));
}

TEST_CASE("a value that is longer than its message is blanked to the message's end, and no further") {
    const std::string bind = "\0\0"s + int16(0) + int16(1) + int32(1000);
    const Left of = left(client, message('B', bind + "secret") + message('D', "Pportal\0"s));
    CHECK(of.redacted == message('B', bind + "******") + message('D', "Pportal\0"s));
    CHECK(of.full == message('B', bind + "******") + message('D', "Pportal\0"s));
}

TEST_CASE("Describe, Close and Execute keep names; the short ones are as they are") {
    for (const std::string& bytes :
         {message('D', "Sstmt\0"s), message('C', "Pportal\0"s), message('E', "p\0"s + int32(10))}) {
        const Left of = left(client, bytes);
        CHECK(of.redacted == bytes);
        CHECK(of.full == bytes);
    }
    CHECK(left(client, message('E', "ab\0"s + int32(10))).headers == message('E', "**\0"s + int32(10)));
    CHECK(left(client, message('D', "Sstmt\0"s)).headers == message('D', "S****\0"s));
    check_kept(client, message('S', "") + message('H', "") + message('c', "") + message('X', ""));
}

TEST_CASE("FunctionCall keeps the function, formats and lengths, and its response the length") {
    const auto call = [](const std::string& first, const std::string& second) {
        return message(
            'F', int32(1234) + int16(2) + int16(1) + int16(0) + int16(2) + value(first) + value(second) + int16(1));
    };
    const Left of = left(client, call("\1\2", "ab"));
    CHECK(of.headers == call(zeros(2), "**"));
    CHECK(of.redacted == call(zeros(2), "**"));
    CHECK(of.full == call("\1\2", "ab"));
    CHECK(left(server, message('V', value("ab"))).redacted == message('V', value(zeros(2))));
    check_kept(server, message('V', int32(0xffffffff)));
}

TEST_CASE("DataRow keeps how many values there are, and how long") {
    const auto row = [](const std::string& first, const std::string& second) {
        return message('D', int16(3) + value(first) + int32(0xffffffff) + value(second));
    };
    const Left of = left(server, row("alice", "42"));
    CHECK(of.headers == row("*****", "**"));
    CHECK(of.redacted == row("*****", "**"));
    CHECK(of.full == row("alice", "42"));

    const Conversation binary{{client, message('B', "\0\0"s + int16(0) + int16(0) + int16(1) + int16(1))}};
    CHECK(left(server, row("alice", "42"), binary).redacted == row(zeros(5), zeros(2)));
}

TEST_CASE("RowDescription and ParameterDescription keep types, and in headers no names") {
    const std::string numbers = int32(16384) + int16(1) + int32(25) + int16(0xffff) + int32(0xffffffff) + int16(0);
    const Left of = left(server, message('T', int16(2) + "id\0"s + numbers + "name\0"s + numbers));
    CHECK(of.headers == message('T', int16(2) + "**\0"s + numbers + "****\0"s + numbers));
    CHECK(of.redacted == message('T', int16(2) + "id\0"s + numbers + "name\0"s + numbers));
    check_kept(server, message('t', int16(2) + int32(23) + int32(25)) + message('T', int16(0)));
}

TEST_CASE("CommandComplete is as it is where it looks like one") {
    check_kept(server, message('C', "INSERT 0 5\0"s) + message('C', "CREATE TABLE AS\0"s) + message('I', "") +
                           message('1', "") + message('2', "") + message('n', "") + message('s', ""));
    CHECK(left(server, message('C', "SELECT secret\0"s)).full == message('C', "SELECT ******\0"s));
    CHECK(left(server, message('C', std::string(80, 'A') + '\0')).headers ==
          message('C', std::string(64, 'A') + stars(16) + '\0'));
}

TEST_CASE("a notification keeps its channel and not its payload") {
    const Left of = left(server, message('A', int32(7) + "jobs\0secret\0"s));
    CHECK(of.headers == message('A', int32(7) + "****\0******\0"s));
    CHECK(of.redacted == message('A', int32(7) + "jobs\0******\0"s));
    CHECK(of.full == message('A', int32(7) + "jobs\0secret\0"s));
}

TEST_CASE("CopyData is blanked in both directions, as text or as binary") {
    const std::string text_copy = message('H', "\0"s + int16(2) + int16(0) + int16(0));
    const std::string binary_copy = message('G', "\1"s + int16(1) + int16(1));
    check_kept(server, text_copy + binary_copy + message('W', "\0"s + int16(0)) + message('c', ""));
    CHECK(left(server, text_copy + message('d', "a\tb\n")).redacted == text_copy + message('d', "****"));
    CHECK(left(server, text_copy + message('d', "a\tb\n")).full == text_copy + message('d', "a\tb\n"));
    CHECK(left(client, message('d', "PGCOPY"), {{server, binary_copy}}).headers == message('d', zeros(6)));
    const std::string both = message('W', "\0"s + int16(0));
    CHECK(left(server, both + message('d', "wal secret")).redacted == both + message('d', zeros(10)));
    CHECK(left(client, message('d', "rsecret"), {{server, both}}).redacted == message('d', zeros(7)));
    CHECK(left(client, message('f', "why: secret\0"s)).redacted == message('f', stars(11) + '\0'));
    CHECK(left(client, message('f', "why: secret\0"s)).full == message('f', "why: secret\0"s));
}

TEST_CASE("of ParameterStatus stays what the server says of itself") {
    check_kept(server, message('S', "server_version\00015.4 (Debian)\0"s) + message('S', "client_encoding\0UTF8\0"s));
    const Left zone = left(server, message('S', "TimeZone\0<secret>5\0"s));
    CHECK(zone.headers == message('S', "TimeZone\0*********\0"s));
    CHECK(zone.redacted == zone.headers);
    CHECK(zone.full == message('S', "TimeZone\0<secret>5\0"s));
    CHECK(left(server, message('S', "scram_iterations\0004111\0"s)).redacted ==
          message('S', "scram_iterations\0****\0"s));
    const Left of = left(server, message('S', "application_name\0secret\0"s));
    CHECK(of.headers == message('S', "application_name\0******\0"s));
    CHECK(of.redacted == of.headers);
    CHECK(of.full == message('S', "application_name\0secret\0"s));
    CHECK(left(server, message('S', "my.password\0secret\0"s)).full == message('S', "my.password\0******\0"s));
}

TEST_CASE("messages of types that nobody knows are blanked") {
    CHECK(left(client, message('y', "secret") + message('S', "")).full == message('y', zeros(6)) + message('S', ""));
    CHECK(left(server, message('y', "secret") + message('Z', "I")).full == message('y', zeros(6)) + message('Z', "I"));
}

TEST_CASE("with secrets allowed nothing is blanked") {
    protocol::Redactor redactor(Payload::full, true);
    std::string text = "\0anything"s;
    redactor.blank(client, bytes_of(text, 0, text.size()));
    CHECK(text == "\0anything"s);
    CHECK(redactor.lost(client));  // told where messages begin, of which this is none
    std::string more = "goes on";
    redactor.blank(client, bytes_of(more, 0, more.size()));
    CHECK(more == "goes on");

    protocol::Redactor not_full(Payload::redacted, true);
    not_full.blank(client, bytes_of(text, 0, text.size()));
    CHECK(text.find("anything") == std::string::npos);
}

TEST_CASE("a message that is not as long as its counts say shows nothing of what they cover") {
    const std::string secret = "HUNTER2HUNTER2";
    const std::string name(1, '\0'), zeros(secret.size(), '\0');
    struct Case {
        Sender from;
        char type;
        std::string before;
    };
    for (const Payload payload : {Payload::headers, Payload::redacted, Payload::full}) {
        for (const Case& one :
             {Case{client, 'B', name + name + int16(0x7fff)},             // formats
              Case{client, 'B', name + name + int16(0) + int16(0x7fff)},  // parameters
              Case{client, 'P', name + name + int16(0xff)},               // types
              Case{client, 'P', name + name + int16(1)},                  // more than it says
              Case{client, 'F', int32(1) + int16(0x7fff)}, Case{server, 't', int16(0xff)}, Case{server, 't', int16(2)},
              Case{server, 'T', int16(0x7fff)}, Case{server, 'D', int16(0x7fff)},
              Case{server, 'H', name + int16(0x7fff)}, Case{server, 'G', name + int16(1)}}) {
            const std::string shown =
                last_blanked_behind_login(payload, {{one.from, message(one.type, one.before + secret)}});
            CAPTURE(one.type, payload);
            CHECK(shown == message(one.type, one.before + zeros));
        }
    }
}

TEST_CASE("what stands in place of formats and is none is not shown") {
    const std::string name(1, '\0');
    const std::string formats = "HUNTER2HUNTER2";
    const std::string bind = message('B', name + name + int16(7) + formats + int16(0) + int16(0));
    for (const Payload payload : {Payload::headers, Payload::redacted, Payload::full}) {
        const std::string shown = last_blanked_behind_login(payload, {{client, bind}});
        CHECK(shown.size() == bind.size());
        CHECK(shown.find("HU") == std::string::npos);
        CHECK(shown.find('R') == std::string::npos);
    }
}

TEST_CASE("below full an error's SQLSTATE and severity are such, or not shown") {
    const std::string fields = "SHUNTER2 it is\0VERROR\0CHUNTER2HUNTER2\0\0"s;
    for (const Payload payload : {Payload::headers, Payload::redacted}) {
        CHECK(last_blanked_behind_login(payload, {{server, message('E', fields)}}) ==
              message('E', "SHUNTER*******\0VERROR\0CHUNTE*********\0\0"s));
    }
}
