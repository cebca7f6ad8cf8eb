#include "proxy/admin/console_elsewhere.hpp"

#include <string>

#include "protocol/messages.hpp"
#include "proxy/admin/console_show.hpp"
#include "support/catch.hpp"

using namespace proxy;

TEST_CASE("console: what asks for sessions is known by the relations that it names") {
    for (const char* const sql :
         {"SELECT * FROM pg_stat_activity", "select count(*) from PG_STAT_SSL s", "TABLE open_sessions",
          "SELECT a.pid FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_stat_ssl s ON s.pid = a.pid",
          "SELECT 1 FROM \"sessions\""}) {
        INFO(sql);
        CHECK(is_about_sessions(sql));
    }
    for (const char* const sql : {"", "SELECT 1", "SELECT upstream_sessions FROM hosts", "SELECT * FROM clients",
                                  "SELECT * FROM pg_stat_activity2"}) {
        INFO(sql);
        CHECK_FALSE(is_about_sessions(sql));
    }
    for (const char* const view : {"clients", "servers", "pools", "users", "lists", "databases", "hosts"})
        CHECK(is_about_sessions(find_view(view)->query));
    for (const char* const view : {"stats", "config", "certificates"})
        CHECK_FALSE(is_about_sessions(find_view(view)->query));
}

TEST_CASE("console: sessions of former processes are told one process after the other, with where they are") {
    protocol::Buffer out;
    append_notices(out, {{.pid = 7, .sessions = 3, .console = "/run/.s.PGSQL.6434.7"},
                         {.pid = 8, .sessions = 0, .console = "/run/.s.PGSQL.6434.8"},
                         {.pid = 9, .sessions = 1}});
    protocol::MessageBuffer buffer(1 << 16);
    buffer.append(out);
    std::vector<protocol::ErrorResponse> told;
    while (const auto message = buffer.next()) {
        CHECK(message->type == 'N');
        told.push_back(protocol::parse_error_response(message->body));
    }
    REQUIRE(told.size() == 2);
    CHECK(told[0].severity == "NOTICE");
    CHECK(told[0].sqlstate == "00000");
    CHECK(told[0].message == "not listed: 3 sessions that process 7 still serves since an upgrade");
    CHECK(told[0].hint ==
          "Its own console has them: mkdir old && ln -s /run/.s.PGSQL.6434.7 old/.s.PGSQL.6434 && psql -h $PWD/old -p "
          "6434 pgairlock");
    CHECK(told[1].message == "not listed: 1 session that process 9 still serves since an upgrade");
    CHECK(told[1].hint == "Its own console has them.");
}
