// What the statements of a session say of its secrets, and what the server quotes of them.
#include "support/redaction.hpp"

namespace {

using namespace std::string_literals;
using namespace support;
using protocol::Payload;

std::string query(std::string_view sql) { return message('Q', cstring(sql)); }
std::string parse(std::string_view name, std::string_view sql) {
    return message('P', cstring(name) + cstring(sql) + int16(0));
}
std::string bind_text(std::string_view name, std::string_view text) {
    return message('B', '\0' + cstring(name) + int16(0) + int16(1) + value(text) + int16(0));
}
std::string row(std::string_view text) { return message('D', int16(1) + value(text)); }
const std::string ready = message('Z', "I");
const std::string sync_message = message('S', "");

/// Of one field behind severity and SQLSTATE.
std::string error(std::string_view sqlstate, std::string_view field) {
    return message('E', "SERROR\0VERROR\0C"s + cstring(sqlstate) + cstring(field) + '\0');
}
std::string left_of_field(Payload payload, std::string_view field, std::string_view sqlstate = "42P01") {
    const std::string whole = last_blanked_behind_login(payload, {{server, error(sqlstate, field)}});
    const std::size_t before = error(sqlstate, "").size() - 2;
    CHECK(whole.substr(0, before) == error(sqlstate, field).substr(0, before));
    return whole.substr(before, field.size());
}
std::string blanked_field(std::string_view field) { return field[0] + std::string(field.size() - 1, '*'); }
std::string full(const Conversation& conversation) { return last_blanked_behind_login(Payload::full, conversation); }

}  // namespace

TEST_CASE("headers keep severity and SQLSTATE of an error, and no other field") {
    for (const std::string_view field : {"Mtext", "Dtext", "Htext", "P7", "p7", "qtext", "Wtext", "stext", "ttext",
                                         "ctext", "dtext", "ntext", "Ftext", "L7", "Rtext"}) {
        CHECK(left_of_field(Payload::headers, field) == blanked_field(field));
    }
    CHECK(left_of_field(Payload::headers, "yes") == "***");
}

TEST_CASE("redacted keeps the places of an error, and neither values nor what RAISE may call a name") {
    for (const std::string_view field : {"Ftext.c", "L7", "Rtext", "P7"}) {
        CHECK(left_of_field(Payload::redacted, field) == field);
    }
    for (const std::string_view field :
         {"Dtext", "Htext", "p7", "qtext", "Wtext", "stext", "ttext", "ctext", "dtext", "ntext"}) {
        CHECK(left_of_field(Payload::redacted, field) == blanked_field(field));
    }
    CHECK(left_of_field(Payload::redacted, "yes") == "***");
}

TEST_CASE("of an error's sentence stay PostgreSQL's own words up to the first name or value, whatever the SQLSTATE") {
    struct Sentence {
        std::string_view shown;
        std::string_view hidden;
    };
    for (const auto& [shown, hidden] :
         std::initializer_list<Sentence>{{"relation \"", "secret\" does not exist"},
                                         {"column \"", "a\" of relation \"b\" does not exist"},
                                         {"permission denied for table ", "t"},
                                         {"function ", "f(integer, secret) does not exist"},
                                         {"bind message supplies ", "17 parameters"},
                                         {"syntax error at or near \"", "secret\" too\""},
                                         {"syntax error at end of input", ""},
                                         {"syntax error at end of input", " secret"},
                                         {"division by zero", ""},
                                         {"deadlock detected", ""},
                                         {"duplicate key value violates unique constraint \"", "secret\""},
                                         {"password authentication failed for user \"", "bob\""},
                                         {"canceling statement due to ", "x"},
                                         {"canceling statement due to statement timeout", ""},
                                         {"ca", "rd of bob is secret"},
                                         {"", "Key (a)=(secret) exists"},
                                         {"", "\xc2\xab secret \xc2\xbb"},
                                         {"r", "\xc3\xa9ponse"},
                                         {"", ""}}) {
        for (const std::string_view sqlstate : {"42501", "P0001", "22P02", "4"}) {
            const std::string field = "M" + std::string(shown) + std::string(hidden);
            CHECK(left_of_field(Payload::redacted, field, sqlstate) ==
                  "M" + std::string(shown) + std::string(hidden.size(), '*'));
        }
    }
}

TEST_CASE("a notice is like an error") {
    const std::string notice = message('N', "SNOTICE\0VNOTICE\0C00000\0M7 secrets\0"s + '\0');
    CHECK(last_blanked_behind_login(Payload::redacted, {{server, notice}}) ==
          message('N', "SNOTICE\0VNOTICE\0C00000\0M*********\0"s + '\0'));
}

TEST_CASE("full keeps an error, but what may quote a statement with secrets") {
    CHECK(left_of_field(Payload::full, "Mrelation \"t\" is no 7") == "Mrelation \"t\" is no 7");
    CHECK(left_of_field(Payload::full, "DKey (a)=(b) exists") == "DKey (a)=(b) exists");
    CHECK(left_of_field(Payload::full, "qSELECT 'a'; ALTER ROLE r PASSWORD 'x'") ==
          "qSELECT 'a'; ALTER ROLE r PASSWORD '*'");
    CHECK(left_of_field(Payload::full, "WSQL: ALTER ROLE r PASSWORD 'secret'") ==
          "WSQL: ALTER ROLE r PASSWORD '*******");
    CHECK(left_of_field(Payload::full, "yes") == "***");

    const std::string answer = error("42601", "Msyntax error at or near \"secret\"");
    const std::string hidden = error("42601", "M********************************");
    CHECK(full({{client, query("ALTER ROLE r PASSWORD secret")}, {server, answer}}) == hidden);
    CHECK(full({{client, query("ALTER ROLE r PASSWORD secret")}, {server, answer + ready}, {server, answer}}) ==
          answer);
    // In a pipeline: until all is answered.
    CHECK(full({{client, parse("", "SELECT 1") + sync_message + parse("", "ALTER ROLE r PASSWORD x")},
                {server, ready + answer}}) == ready + hidden);
    CHECK(full({{client, query("SELECT 1") + query("ALTER ROLE r PASSWORD x")}, {server, ready + answer}}) ==
          ready + hidden);
}

TEST_CASE("values for a statement with secrets are blanked in full too") {
    const std::string secret_one = parse("s", "UPDATE users SET password = $1");
    CHECK(full({{client, secret_one}, {client, bind_text("s", "x")}}) == bind_text("s", "*"));
    CHECK(full({{client, secret_one}, {client, bind_text("other", "x")}}) == bind_text("other", "x"));
    CHECK(full({{client, secret_one}, {client, parse("s", "SELECT $1")}, {client, bind_text("s", "x")}}) ==
          bind_text("s", "*"));
    const std::string secret_without_name = parse("", "UPDATE users SET password = $1");
    CHECK(full({{client, secret_without_name}, {client, parse("", "SELECT $1") + bind_text("", "x")}}) ==
          parse("", "SELECT $1") + bind_text("", "x"));
    CHECK(full({{client, parse("", "ALTER ROLE r PASSWORD $1")}, {client, bind_text("", "x")}}) == bind_text("", "*"));
    CHECK(full({{client, query("PREPARE p AS UPDATE users SET password = $1")}, {client, bind_text("p", "x")}}) ==
          bind_text("p", "*"));
    // Its SQL has no end.
    CHECK(full({{client, message('P', "s\0SELECT"s)}, {server, error("42601", "Mx")}}) == error("42601", "M*"));
}

TEST_CASE("the server may not have heard that a statement without a name was replaced: behind Sync it may be secret") {
    const std::string secret_one = parse("", "UPDATE users SET password = $1") + sync_message;
    // All behind the error is skipped, up to Sync.
    const std::string skipped = bind_text("none", "x") + parse("", "SELECT $1");
    CHECK(full({{client, secret_one}, {client, skipped + sync_message}, {client, bind_text("", "x")}}) ==
          bind_text("", "*"));
    // That one is meant for the harmless statement.
    CHECK(full({{client, secret_one}, {client, skipped + bind_text("", "x")}}) == skipped + bind_text("", "x"));
    const std::string harmless_one = parse("", "SELECT $1") + sync_message;
    CHECK(full({{client, harmless_one}, {client, bind_text("", "x")}}) == bind_text("", "x"));
}

TEST_CASE("a name is that of a statement with secrets however it is written") {
    const auto is_secret = [](std::string_view sql, std::string_view name) {
        return full({{client, query(sql)}, {client, bind_text(name, "x")}}) == bind_text(name, "*");
    };
    CHECK(is_secret("PREPARE p AS SELECT set_config('my.password', $1, false)", "p"));
    CHECK(is_secret("PREPARE \"a\"\"b\" AS UPDATE users SET password = $1", "a\"b"));
    CHECK(is_secret("PREPARE U&\"\\0070\" AS UPDATE users SET password = $1", "p"));
    CHECK(is_secret("PREPARE U&\"!0070\" UESCAPE '!' AS UPDATE users SET password = $1", "p"));
    CHECK(is_secret("PREPARE \xc3\x84 AS UPDATE users SET password = $1", "\xc3\xa4"));
    CHECK(is_secret("PREPARE P AS UPDATE users SET password = $1; DEALLOCATE p; DISCARD ALL", "p"));
    const std::string longest(63, 'n');
    CHECK(is_secret("PREPARE " + longest + "m AS UPDATE users SET password = $1", longest));
    CHECK_FALSE(is_secret("PREPARE p AS UPDATE users SET password = $1", "q"));
    CHECK_FALSE(is_secret("PREPARE \"a\"\"b\" AS SELECT $1", "p"));
    // Only where a backslash quotes in '...'.
    CHECK(is_secret("SELECT '\\', '; PREPARE p AS UPDATE users SET password = $1 --'\n; SELECT 1", "p"));
    CHECK(is_secret("SELECT '\\', '; --'\n PREPARE p AS UPDATE users SET password = $1", "p"));
    // The name or what stands before it cannot be read.
    const auto in_unknown_encoding = [](const std::string& sql) {
        return last_blanked(Payload::full, {{client, startup()}, {client, sql}, {client, bind_text("p", "x")}});
    };
    CHECK(in_unknown_encoding(query("SELECT '\xc3\xa4'; PREPARE p AS UPDATE users SET password = $1")) ==
          bind_text("p", "*"));
    CHECK(in_unknown_encoding(parse("", "/* \xc3\xa4 */ PREPARE p AS UPDATE users SET password = $1")) ==
          bind_text("p", "*"));
    CHECK(in_unknown_encoding(parse("", "SELECT '\xc3\xa4'")) == bind_text("p", "x"));
}

TEST_CASE("errors are blanked when a portal of a statement with secrets is executed, also behind Sync") {
    const std::string answer = error("22P02", "Msecret");
    const std::string hidden = error("22P02", "M******");
    const auto bound = [](std::string_view portal, std::string_view sql) {
        return Conversation{
            {client, parse("", sql) + message('B', cstring(portal) + cstring("") + int16(0) + int16(0) + int16(0)) +
                         sync_message},
            {server, ready}};
    };
    const auto left = [&](Conversation conversation, std::string_view portal) {
        conversation.push_back({client, message('E', cstring(portal) + int32(0)) + sync_message});
        conversation.push_back({server, answer});
        return full(conversation);
    };
    CHECK(left(bound("p", "UPDATE users SET password = 'a'"), "p") == hidden);
    CHECK(left(bound("", "UPDATE users SET password = 'a'"), "") == hidden);
    CHECK(left(bound("p", "UPDATE users SET password = 'a'"), "q") == answer);
    CHECK(left(bound("p", "SELECT 1"), "p") == answer);
}

TEST_CASE("verifiers are blanked wherever they are in full") {
    const std::string md5 = "md50123456789abcdef0123456789abcdef";
    const std::string scram = "SCRAM-SHA-256$4096:c2FsdA==$a:b";
    const std::string md5_left = "md5" + std::string(32, '*');
    const std::string scram_left = "SCRAM-SHA-256$" + std::string(17, '*');
    CHECK(full({{server, row(md5)}}) == row(md5_left));
    CHECK(full({{server, row(scram)}}) == row(scram_left));
    CHECK(full({{client, bind_text("", scram)}}) == bind_text("", scram_left));
    CHECK(full({{client, bind_text("", md5)}}) == bind_text("", md5_left));
    CHECK(full({{server, row("md5sum, md5 of abc")}}) == row("md5sum, md5 of abc"));
    CHECK(full({{server, row("{" + md5 + ",b}")}}) == row("{" + md5_left + ",b}"));
    CHECK(full({{server, row("(u," + md5 + ")")}}) == row("(u," + md5_left + ")"));
    CHECK(full({{server, row("{\"" + scram + "\"}")}}) == row("{\"" + scram_left + "**"));
    CHECK(full({{server, row("host=h password = x")}}) == row("host=h password =**"));
    CHECK(full({{server, row("{\"password\":\"x\"}")}}) == row("{\"password\":****"));
    CHECK(full({{server, row("{\\\"password\\\" : \\\"x")}}) == row("{\\\"password\\\" :****"));
    CHECK(full({{server, row("\"password\"=>\"x\"")}}) == row("\"password\"=****"));
    CHECK(full({{server, row("ALTER ROLE bob PASSWORD 'x'")}}) == row("ALTER ROLE bob PASSWORD '**"));
    CHECK(full({{server, row("PASSWORD  'x' VALID")}}) == row("PASSWORD  '********"));
    CHECK(full({{server, row("PASSWORD E'x'")}}) == row("PASSWORD E'**"));
    CHECK(full({{server, row("PASSWORD U&'x'")}}) == row("PASSWORD U&'**"));
    CHECK(full({{server, row("PASSWORD $$x$$")}}) == row("PASSWORD $****"));
    CHECK(full({{server, row("a password is 'x', 'password', b = c")}}) == row("a password is 'x', 'password', b = c"));
    CHECK(full({{client, bind_text("", "password = x")}}) == bind_text("", "password =**"));
    CHECK(full({{server, row("{user=bob,password=secret}")}}) == row("{user=bob,password=*******"));
    CHECK(full({{server, row("postgresql://bob:secret@h/d")}}) == row("postgresql://bob:**********"));
    CHECK(full({{server, row("see http://host:8080/")}}) == row("see http://host:8080/"));
    const auto copied = [](const std::string& a, const std::string& b, std::string_view rest) {
        return message('d', "bob\t" + a + "\tx\n") + message('d', "eve\t" + b) + message('d', "\t" + std::string(rest));
    };
    CHECK(full({{server, copied(md5, scram, "rest")}}) == copied(md5_left, scram_left, "rest"));
}

TEST_CASE("rows that are copied in by a statement with secrets are blanked in full too") {
    const std::string rows = message('d', "bob\tx\n");
    CHECK(full({{client, query("COPY users (name, password) FROM STDIN")}, {client, rows}}) == message('d', "******"));
    CHECK(full({{client, query("COPY users (name) FROM STDIN")}, {client, rows}}) == rows);
}

TEST_CASE("once the client is lost, the server's errors may quote anything") {
    CHECK(full({{client, "\0"s}, {server, ready + error("42601", "Msecret")}}) == ready + error("42601", "M******"));
}

TEST_CASE("the client_encoding comes from either side, and one that cannot be read stays so") {
    const std::string sql = query("SELECT \xc3\xa4, 'a'");
    const std::string read = query("SELECT \xc3\xa4, '*'");
    const std::string unread = query("SELECT *******");
    const auto status = [](std::string_view encoding) {
        return message('S', cstring("client_encoding") + cstring(encoding));
    };
    const auto left = [](const Conversation& conversation) { return last_blanked(Payload::redacted, conversation); };
    CHECK(left({{client, startup()}, {client, sql}}) == unread);
    CHECK(left({{client, startup()}, {server, status("UTF8") + ready}, {client, sql}}) == read);
    CHECK(left({{client, startup()}, {server, status("SJIS") + ready}, {client, sql}}) == unread);
    CHECK(left({{client, startup("client_encoding\0SJIS\0"s)}, {server, status("UTF8")}, {client, sql}}) == unread);
    CHECK(last_blanked_behind_login(Payload::redacted, {{client, sql}}) == read);
    CHECK(last_blanked_behind_login(Payload::redacted,
                                    {{client, query("SET client_encoding TO 'GBK'")}, {client, sql}}) == unread);
    // What a lost server says of it, nobody hears.
    CHECK(last_blanked_behind_login(Payload::redacted, {{server, "\0"s}, {client, sql}}) == unread);
}
