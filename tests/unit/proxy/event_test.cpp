#include "proxy/observation/event.hpp"

#include "support/catch.hpp"

namespace {

using proxy::SessionRecord;
using namespace std::string_literals;

const std::string replaced = "\xef\xbf\xbd";

SessionRecord record_of(const std::string& user, const std::string& database, const std::string& application) {
    SessionRecord record;
    record.take_names(
        {.version = 196608, .parameters = {{"user", user}, {"database", database}, {"application_name", application}}});
    return record;
}

std::string server_name(const std::string& name) {
    SessionRecord record;
    record.take_server_name(name);
    return record.sni;
}

}  // namespace

TEST_CASE("names enter the record as PostgreSQL takes them: 63 bytes, and UTF-8") {
    const std::string longest(63, 'n');
    const SessionRecord record = record_of(longest + "1", longest + "2", longest + "3");
    CHECK(record.usename == longest);
    CHECK(record.datname == longest);
    CHECK(record.application_name == longest);
    CHECK(record_of(longest, "", "").usename == longest);
    CHECK(record_of("J\xfcrgen", "\xff", "\xc3").names() == proxy::ClientNames{"J\\xfcrgen", "\\xff", "\\xc3"});
    CHECK(record_of(std::string(62, 'n') + "\xc3\xbc", "", "").usename == std::string(62, 'n') + "\\xc3");
}

TEST_CASE("what a client says of replication is cut as its names are") {
    SessionRecord record;
    record.take_names({.version = 196608, .parameters = {{"user", "ada"}, {"replication", std::string(9000, 'r')}}});
    CHECK(record.replication == std::string(63, 'r'));
}

TEST_CASE("names that differ within their 63 bytes are two, however long they become as UTF-8") {
    const std::string latin(21, '\xe9');
    CHECK(record_of(latin + "ALICE", "", "").usename != record_of(latin + "BOB", "", "").usename);
    CHECK(record_of(std::string(62, 'a') + "\xc3\xa9", "", "").usename != std::string(62, 'a'));
}

TEST_CASE("names that are no UTF-8 are as many clients as they are names") {
    const auto name = [](const std::string& bytes) { return record_of(bytes, "", "").usename; };
    CHECK(name("\xff") != name("\xfe"));
    CHECK(name("\xff") != name(replaced));
    CHECK(name("\xff") != name("\\xff"));
}

TEST_CASE("names that differ only beyond their 63rd byte are one client, as they are one name to PostgreSQL") {
    const std::string longest(63, 'n');
    CHECK(record_of(longest + "1", "shop", "app").names() == record_of(longest + "2", "shop", "app").names());
    CHECK(record_of("ada", "shop", "app").names() != record_of("bob", "shop", "app").names());
}

TEST_CASE("a StartupMessage without a database means the one with the user's name") {
    SessionRecord record;
    record.take_names({.version = 196608, .parameters = {{"user", "ada"}}});
    CHECK(record.names() == proxy::ClientNames{"ada", "ada", ""});
}

TEST_CASE("a server name enters the record with 255 bytes, and UTF-8") {
    CHECK(server_name("db.example.com") == "db.example.com");
    CHECK(server_name(std::string(300, 'a')) == std::string(255, 'a'));
    CHECK(server_name("db\xff") == "db" + replaced);
}

TEST_CASE("where a client comes from: its user at once, its executable as far as it has been found") {
    SessionRecord record;
    record.upstream = "orders";
    record.client_addr = "127.0.0.1";
    CHECK(record.origin() == proxy::ClientOrigin{"orders", "127.0.0.1", ""});
    const auto owner = std::make_shared<proxy::ProcessOwner>(proxy::Process{.uid = 1, .pid = 0, .exe = ""}, false);
    record.process = owner;
    CHECK(record.origin() == proxy::ClientOrigin{"orders", "127.0.0.1", "", 1});
    owner->found(2, "/usr/bin/psql");
    CHECK(record.origin() == proxy::ClientOrigin{"orders", "127.0.0.1", "/usr/bin/psql", 1});
}
