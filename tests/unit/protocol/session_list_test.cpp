#include "protocol/session_list.hpp"

#include "support/catch.hpp"

namespace {

using protocol::session_list;
using protocol::TextRow;

/// As a server writes it: of 3 sessions, at second 60 of a server that began at second 1.
TextRow session(const std::string& pid, const std::string& more = "t") {
    return {pid,       "50000000", "10.0.0.9",       "41234", "ada", "shop", "psql",    "TLSv1.3",
            "AES_GCM", "/CN=ada",  "client backend", "f",     "3",   more,   "1000000", "60000000"};
}

constexpr std::size_t client_addr = 2, client_port = 3, version = 7, backend_type = 10, is_self = 11;

TextRow with(TextRow row, std::size_t column, std::optional<std::string> value) {
    row[column] = std::move(value);
    return row;
}

TextRow hidden(const std::string& pid) {
    return {pid,          std::nullopt, std::nullopt, std::nullopt, "ada", "shop", "psql",    std::nullopt,
            std::nullopt, std::nullopt, std::nullopt, "f",          "3",   "f",    "1000000", "60000000"};
}

}  // namespace

TEST_CASE("a server's list has who is there, whence and how, and not who asks") {
    const std::vector<TextRow> rows{session("7"), with(session("8"), is_self, "t"),
                                    with(session("9"), version, std::nullopt)};
    const auto list = session_list(rows);
    REQUIRE(list);
    CHECK((list->server_started == 1'000'000 && list->now == 60'000'000 && !list->hidden && list->left_out == 0));
    REQUIRE(list->sessions.size() == 2);
    const auto& one = list->sessions[0];
    CHECK((one.pid == 7 && one.started == 50'000'000 && one.client_addr == "10.0.0.9" && one.usename == "ada"));
    CHECK((one.datname == "shop" && one.application_name == "psql" && one.version == "TLSv1.3"));
    CHECK((one.cipher == "AES_GCM" && one.client_dn == "/CN=ada"));
    CHECK((list->sessions[1].pid == 9 && list->sessions[1].version.empty()));
}

TEST_CASE("a session of a UNIX-domain socket has no address, and one of replication no database") {
    const std::vector<TextRow> rows{with(with(session("7"), client_addr, std::nullopt), client_port, "-1"),
                                    with(with(session("8"), 5, std::nullopt), backend_type, "walsender")};
    const auto list = session_list(rows);
    REQUIRE(list);
    REQUIRE(list->sessions.size() == 2);
    CHECK(list->sessions[0].client_addr.empty());
    CHECK(list->sessions[1].datname.empty());
}

TEST_CASE("what is hidden from the role that asks is counted, and nobody's session in clear") {
    const std::vector<TextRow> rows{with(session("8", "f"), is_self, "t"), hidden("7"), session("9", "f")};
    const auto list = session_list(rows);
    REQUIRE(list);
    CHECK(list->hidden);
    CHECK(list->left_out == 1);
    REQUIRE(list->sessions.size() == 1);
    CHECK(list->sessions[0].pid == 9);
}

TEST_CASE("sessions beyond the bound are counted as left out") {
    std::vector<TextRow> rows;
    for (int i = 0; i < 5'000; ++i) rows.push_back(with(session(std::to_string(i)), 12, "7000"));
    const auto list = session_list(rows);
    REQUIRE(list);
    CHECK(list->sessions.size() == 5'000);
    CHECK(list->left_out == 2'000);
    CHECK(protocol::session_list_query.find("LIMIT " + std::to_string(protocol::max_listed_sessions)) !=
          std::string::npos);
}

TEST_CASE("numbers that no server of PostgreSQL has are not reckoned with") {
    const std::string largest = "9223372036854775807";
    auto list = session_list(std::vector<TextRow>{with(session("7"), 12, largest)});
    REQUIRE(list);
    CHECK(list->left_out == 262'142);
    list = session_list(std::vector<TextRow>{with(session("7"), 12, "-9223372036854775808")});
    REQUIRE(list);
    CHECK(list->left_out == 0);
    for (const std::string began : {largest.c_str(), "-1"}) {
        list = session_list(std::vector<TextRow>{with(session("7"), 1, began)});
        REQUIRE(list);
        CHECK((list->sessions.empty() && list->left_out == 3));
    }
    for (const std::size_t column : {0, 14, 15}) {
        CAPTURE(column);
        CHECK_FALSE(session_list(std::vector<TextRow>{with(session("7"), column, largest)}));
        CHECK_FALSE(session_list(std::vector<TextRow>{with(session("7"), column, "-1")}));
    }
}

TEST_CASE("what is no list of sessions is none") {
    CHECK_FALSE(session_list({}));
    for (const std::size_t column : {0, 11, 12, 13, 14, 15}) {
        CAPTURE(column);
        CHECK_FALSE(session_list(std::vector<TextRow>{with(session("7"), column, std::nullopt)}));
        CHECK_FALSE(session_list(std::vector<TextRow>{with(session("7"), column, "x")}));
    }
    TextRow longer = session("7");
    longer.push_back("t");
    CHECK_FALSE(session_list(std::vector<TextRow>{longer}));
    longer.resize(15);
    CHECK_FALSE(session_list(std::vector<TextRow>{longer}));
}
