#include <sys/stat.h>

#include "bench/replay/passfile.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

using namespace bench::replay;

namespace {

std::string password(std::string_view file, const std::string& user, const std::string& database = "shop",
                     const std::string& host = "db", std::uint16_t port = 5432) {
    return find_password(file, {.host = host, .port = port, .database = database, .user = user});
}

}  // namespace

TEST_CASE("each user, database, port and host has its own line, and the first that matches holds") {
    constexpr std::string_view file =
        "# db:5432:shop:app:no\n"
        "db:5432:shop:app:one\r\n"
        "db:5433:*:app:two\n"
        "\n"
        "*:*:*:app:three\n"
        "db:5432:shop:app:four\n"
        "db:5432:shop:last:five";
    CHECK(password(file, "app") == "one");
    CHECK(password(file, "app", "other", "db", 5433) == "two");
    CHECK(password(file, "app", "other") == "three");
    CHECK(password(file, "app", "shop", "elsewhere", 1) == "three");
    CHECK(password(file, "last") == "five");
    CHECK(password(file, "ap").empty());
    CHECK(password(file, "app2").empty());
    CHECK(password(file, "").empty());
    CHECK(password("", "app").empty());
}

TEST_CASE("colons and backslashes are escaped by a backslash, in fields and in the password") {
    CHECK(password("\\:\\:1:5432:shop:app:a\\:b\\\\c:d\n", "app", "shop", "::1") == "a:b\\c");
    CHECK(password("::1:5432:shop:app:a\n", "app", "shop", "::1") == "a");
    CHECK(password("::1:5432:shop:app:a\n", "app", "shop", "").empty());
    CHECK(password("db:5432:shop:a\\\\b:x\n", "a\\b") == "x");
    CHECK(password("db:5432:sh\\op:app:x\n", "app") == "x");
    CHECK(password("*x:5432:shop:app:y\n", "app").empty());
    CHECK(password("db:5432:shop:app:", "app").empty());
    CHECK(password("db:5432:shop:app", "app").empty());
}

TEST_CASE("the host is the one that the conninfo names, and localhost for libpq's own sockets") {
    const auto host = [](const std::string& conninfo) {
        return password_for(bench::parse_target("t=user=u sslmode=disable " + conninfo, {}), "d", "u").host;
    };
    CHECK(host("host=db hostaddr=10.0.0.1") == "db");
    CHECK(host("hostaddr=10.0.0.1") == "10.0.0.1");
    CHECK(host("host=/var/run/postgresql") == "localhost");
    CHECK(host("host=/srv/sockets") == "/srv/sockets");
}

TEST_CASE("the line that would name a password is one that does") {
    const PasswordFor wanted{.host = "::1", .port = 6432, .database = "a:b", .user = "c\\d"};
    CHECK(line_for(wanted) == "\\:\\:1:6432:a\\:b:c\\\\d");
    CHECK(find_password(line_for(wanted) + ":secret\n", wanted) == "secret");
}

TEST_CASE("a password file that others may read is refused with a warning, and none is no fault") {
    const support::Folder folder;
    const std::string path = folder.file("pgpass");
    CHECK(read_passfile(path).warning.empty());
    std::ofstream(path) << "*:*:*:*:secret\n";
    for (const mode_t mode : {0640U, 0604U, 0660U, 0610U}) {
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        const Passfile refused = read_passfile(path);
        CHECK(refused.text.empty());
        CHECK(refused.warning ==
              "password file \"" + path + "\" has group or world access; permissions should be u=rw (0600) or less");
    }
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    CHECK(read_passfile(path).text == "*:*:*:*:secret\n");
    CHECK(read_passfile(path).warning.empty());
    CHECK(read_passfile(folder.file("")).warning == "password file \"" + folder.file("") + "\" is not a plain file");
}
