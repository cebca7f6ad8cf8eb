// The extended protocol, message by message.
#include "proxy/admin/console_portals.hpp"

#include "support/catch.hpp"
#include "support/messages.hpp"

namespace {

using namespace proxy;
using namespace std::string_literals;
using protocol::Buffer;
using protocol::Column;
using protocol::ColumnType;

ConsolePortals::Error parse(ConsolePortals& portals, const std::string& body, std::vector<ColumnType> types = {}) {
    return portals.parse(body, [&](const protocol::ConsoleStatement&) { return types; });
}

std::string sqlstate(const ConsolePortals::Error& error) { return error ? error->sqlstate : "none"; }

/// Two columns, and rows (1, a), (NULL, b).
Buffer answer() {
    Buffer out;
    const Column columns[]{{"n", ColumnType::int4}, {"t", ColumnType::text}};
    protocol::append_row_description(out, columns);
    const std::optional<std::string_view> first[]{"1", "a"};
    const std::optional<std::string_view> second[]{std::nullopt, "b"};
    protocol::append_data_row(out, first);
    protocol::append_data_row(out, second);
    protocol::append_command_complete(out, "SELECT 2");
    return out;
}

std::string executed(Portal& portal, std::uint32_t max_rows = 0) {
    Buffer out;
    std::uint64_t rows = max_rows == 0 ? ~std::uint64_t{0} : max_rows;
    append_rows(out, portal, rows);
    return std::string(protocol::as_text(out));
}

Portal portal_of(std::vector<std::uint16_t> formats) {
    Portal portal;
    portal.formats = std::move(formats);
    portal.answer = answer();
    portal.column_types = column_types(*portal.answer);
    return portal;
}

const std::string complete = support::message('C', "SELECT 2\0"s);

}  // namespace

TEST_CASE("extended protocol: a statement is parsed, bound and closed") {
    ConsolePortals portals;
    CHECK(sqlstate(parse(portals, "s\0SELECT $1 FROM x\0\0\0"s, {ColumnType::int4})) == "none");
    REQUIRE(portals.statement("s"));
    CHECK(portals.statement("s")->parameter_types == std::vector<std::uint32_t>{23});
    CHECK(sqlstate(portals.bind("p\0s\0\0\0\0\1\0\0\0\2\x34\x32\0\0"s)) == "none");
    REQUIRE(portals.portal("p"));
    CHECK(portals.portal("p")->parameters == std::vector<std::optional<std::string>>{"42"});
    CHECK(sqlstate(portals.bind("b\0s\0\0\1\0\1\0\1\0\0\0\4\0\0\0\7\0\1\0\1"s)) == "none");
    CHECK(portals.portal("b")->parameters == std::vector<std::optional<std::string>>{"7"});
    CHECK(portals.portal("b")->formats == std::vector<std::uint16_t>{1});
    CHECK(sqlstate(portals.bind("n\0s\0\0\0\0\1\xff\xff\xff\xff\0\0"s)) == "none");
    CHECK_FALSE(portals.portal("n")->parameters.at(0));
    CHECK(sqlstate(portals.close("Pp\0"s)) == "none");
    CHECK_FALSE(portals.portal("p"));
    portals.close_portals();
    CHECK_FALSE(portals.portal("b"));
    CHECK(portals.statement("s"));
    CHECK(sqlstate(portals.close("Ss\0"s)) == "none");
    CHECK(sqlstate(portals.close("Ss\0"s)) == "none");
    CHECK_FALSE(portals.statement("s"));
}

TEST_CASE("extended protocol: the client's own types come first") {
    ConsolePortals portals;
    CHECK(sqlstate(parse(portals, "\0SELECT $1, $2 FROM x\0\0\1\0\0\0\x14"s,
                         {ColumnType::text, ColumnType::boolean})) == "none");
    CHECK(portals.statement("")->parameter_types == std::vector<std::uint32_t>{20, 16});
}

TEST_CASE("extended protocol: what is wrong is said, and nothing is kept") {
    ConsolePortals portals;
    CHECK(sqlstate(parse(portals, "")) == "08P01");
    CHECK(sqlstate(parse(portals, "\0SELECT 1\0\0\5"s)) == "08P01");
    CHECK(sqlstate(parse(portals, "\0SELECT 1\0\0\0x"s)) == "08P01");
    CHECK(sqlstate(parse(portals, "\0SELECT 1; SELECT 2\0\0\0"s)) == "42601");
    CHECK(sqlstate(parse(portals, "\0NONSENSE\0\0\0"s)) == "42601");
    CHECK_FALSE(portals.statement(""));
    CHECK(sqlstate(portals.bind("\0none\0\0\0\0\0\0\0"s)) == "26000");
    CHECK(sqlstate(parse(portals, "\0SELECT 1\0\0\0"s)) == "none");
    for (const std::string& body :
         {""s, "\0\0"s, "\0\0\0\2\0\1"s, "\0\0\0\0\0\0\0"s, "\0\0\0\0\0\0\0\1"s, "\0\0\0\0\0\0\0\0x"s})
        CHECK(sqlstate(portals.bind(body)) == "08P01");
    CHECK(sqlstate(portals.bind("\0\0\0\0\0\1\0\0\0\1x\0\0"s)) == "08P01");  // a parameter that it does not have
    CHECK(sqlstate(portals.close("Xs\0"s)) == "08P01");
    CHECK(sqlstate(portals.close("")) == "08P01");
    CHECK(sqlstate(parse(portals, "d\0SELECT $1 FROM x\0\0\1\0\0\6\xa4"s)) == "none");  // numeric
    CHECK(sqlstate(portals.bind("\0d\0\0\1\0\1\0\1\0\0\0\1x\0\0"s)) == "0A000");
}

TEST_CASE("extended protocol: statements and portals are bounded") {
    ConsolePortals portals;
    const std::string sql = "SELECT '" + std::string(30'000, 'x') + "'";
    std::string last;
    for (int i = 0; i < 1000 && last != "54000"; ++i)
        last = sqlstate(parse(portals, std::to_string(i) + '\0' + sql + "\0\0\0"s));
    CHECK(last == "54000");
    CHECK(sqlstate(parse(portals, "0\0SELECT 1\0\0\0"s)) == "none");  // in the place of a longer one
    portals.forget_all();
    CHECK(sqlstate(parse(portals, "\0"s + sql + "\0\0\0"s)) == "none");
    last.clear();
    for (int i = 0; i < 1000 && last != "54000"; ++i)
        last = sqlstate(portals.bind(std::to_string(i) + "\0\0\0\0\0\0\0\0"s));
    CHECK(last == "54000");
}

TEST_CASE("extended protocol: rows are sent without their description, and again from where they stopped") {
    Portal portal = portal_of({});
    CHECK(executed(portal, 1) == support::message('D', "\0\2\0\0\0\1\x31\0\0\0\1a"s) + support::message('s', ""));
    CHECK(executed(portal, 5) == support::message('D', "\0\2\xff\xff\xff\xff\0\0\0\1b"s) + complete);
    CHECK(executed(portal) == complete);
}

TEST_CASE("extended protocol: rows in binary, all columns or some") {
    Portal all = portal_of({1});
    CHECK(executed(all) == support::message('D', "\0\2\0\0\0\4\0\0\0\1\0\0\0\1a"s) +
                               support::message('D', "\0\2\xff\xff\xff\xff\0\0\0\1b"s) + complete);
    Portal some = portal_of({0, 1});
    CHECK(executed(some, 1) == support::message('D', "\0\2\0\0\0\1\x31\0\0\0\1a"s) + support::message('s', ""));
    Portal none = portal_of({1});
    none.column_types = {ColumnType::inet, ColumnType::text};
    CHECK(executed(none).front() == 'E');
}

TEST_CASE("extended protocol: a portal's description says its formats") {
    Portal portal = portal_of({0, 1});
    Buffer out;
    append_description(out, *portal.answer, portal);
    const std::string text(protocol::as_text(out));
    CHECK(text.substr(5).starts_with("\0\2n\0"s));
    const std::size_t second = text.find("t\0"s, 12);
    CHECK(text.substr(text.find("n\0"s) + 2 + 16, 2) == "\0\0"s);
    CHECK(text.substr(second + 2 + 16, 2) == "\0\1"s);
}
