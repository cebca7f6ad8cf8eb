// Sockets that exclude each other, and doors.
#include <filesystem>

#include "config/load.hpp"
#include "support/catch.hpp"

namespace {

using Lines = std::vector<std::string>;

config::Loaded load(const std::string& lines, const std::string& hosts = "'a:5432'") {
    return config::load_text("[upstream.a]\nhosts = " + hosts + "\n" + lines, "t");
}

Lines errors_of(const std::string& lines, const std::string& hosts = "'a:5432'") {
    Lines texts;
    for (const auto& error : load(lines, hosts).errors) texts.push_back(to_string(error));
    return texts;
}

Lines warnings_of(const std::string& lines) {
    Lines texts;
    const config::Loaded loaded = load(lines);
    CHECK(loaded.errors.empty());
    for (const auto& warning : loaded.warnings) texts.push_back(to_string(warning));
    return texts;
}

std::string listening(const std::string& addresses) { return "[[listener]]\nlisten = [" + addresses + "]\n"; }

}  // namespace

TEST_CASE("config: sockets that the kernel would not bind beside each other are refused") {
    for (const char* const addresses :
         {"'127.0.0.1:1', '127.0.0.1:1'", "'127.0.0.1:1', '0.0.0.0:1'", "'0.0.0.0:1', '127.0.0.1:1'",
          "'[::1]:1', '[::]:1'", "'[::1]:1', '[0:0:0:0:0:0:0:1]:1'", "'*:1', '127.0.0.1:1'", "'[::1]:1', '*:1'",
          "'localhost:1', 'localhost:1'", "'unix:/x/.s.PGSQL.1', 'unix:/x/../x/.s.PGSQL.1'"}) {
        CAPTURE(addresses);
        REQUIRE(errors_of(listening(addresses)).size() == 1);
        CHECK(errors_of(listening(addresses))[0].find("is listened on already, by line 4") != std::string::npos);
    }
    CHECK(errors_of(listening("'127.0.0.1:1', '0.0.0.0:1'")) ==
          Lines{"t:4:26: listener.listen: \"0.0.0.0:1\" is listened on already, by line 4: \"127.0.0.1:1\""});
}

TEST_CASE("config: sockets that stand beside each other are taken") {
    for (const char* const addresses :
         {"'0.0.0.0:1', '[::]:1'", "'127.0.0.1:1', '[::]:1'", "'127.0.0.1:1', '127.0.0.2:1'",
          "'127.0.0.1:1', '0.0.0.0:2'", "'127.0.0.1:0', '0.0.0.0:0'", "'localhost:1', 'db:1'",
          "'[fe80::1%eth0]:1', '[fe80::1%eth1]:1'", "'unix:/x/.s.PGSQL.1', 'unix:/x/.s.PGSQL.2'"}) {
        CAPTURE(addresses);
        CHECK(errors_of(listening(addresses)) == Lines{});
    }
}

TEST_CASE("config: listeners and what [admin] opens are told apart") {
    CHECK(errors_of(listening("'0.0.0.0:7'") + "[admin]\nhttp = '127.0.0.1:7'") ==
          Lines{"t:6:8: admin.http: \"127.0.0.1:7\" is listened on already, by line 4: \"0.0.0.0:7\""});
    CHECK(errors_of(listening("'unix:/x/.s.PGSQL.7'") + "[admin]\nconsole = 'unix:/x/.s.PGSQL.7'") ==
          Lines{"t:6:11: admin.console: \"unix:/x/.s.PGSQL.7\" is listened on already, by line 4"});
    CHECK(errors_of(listening("'127.0.0.1:8'") + "[admin]\nhttp = '127.0.0.1:7'") == Lines{});
}

TEST_CASE("config: a listener that is its own upstream is refused") {
    for (const auto& [listen, host] :
         std::vector<std::pair<std::string, std::string>>{{"127.0.0.1:7", "127.0.0.1:7"},
                                                          {"0.0.0.0:7", "127.0.0.1:7"},
                                                          {"[::]:7", "[::1]:7"},
                                                          {"localhost:7", "localhost:7"}}) {
        CAPTURE(listen, host);
        const Lines errors = errors_of(listening("'" + listen + "'"), "'" + host + "'");
        REQUIRE(errors.size() == 1);
        CHECK(errors[0].find("is where the proxy itself listens for it, by line 4") != std::string::npos);
    }
    for (const auto& [listen, host] : std::vector<std::pair<std::string, std::string>>{{"127.0.0.1:7", "127.0.0.1:8"},
                                                                                       {"127.0.0.1:7", "127.0.0.2:7"},
                                                                                       {"0.0.0.0:7", "10.0.0.1:7"},
                                                                                       {"[::]:7", "127.0.0.1:7"}}) {
        CAPTURE(listen, host);
        CHECK(errors_of(listening("'" + listen + "'"), "'" + host + "'") == Lines{});
    }
}

TEST_CASE("config: a door through which nobody gets, or everybody, is warned of") {
    const std::string shut =
        "t:4:11: listener.listen: \"0.0.0.0:1\" is reached from other hosts, whose clients are all refused: allow, "
        "which "
        "says who is let in, is this host alone unless it is given";
    const std::string open =
        "t:4:11: listener.listen: \"0.0.0.0:1\" is open to everybody, also in clear, where passwords can be read: "
        "narrow "
        "allow, or set [listener.tls] mode = \"require\"";
    CHECK(warnings_of(listening("'0.0.0.0:1'")) == Lines{shut});
    CHECK(warnings_of(listening("'127.0.0.1:1', '[::1]:1', 'localhost:1'")) == Lines{});
    CHECK(warnings_of(listening("'0.0.0.0:1'") + "allow = '10.0.0.0/8'") == Lines{});
    CHECK(warnings_of(listening("'0.0.0.0:1'") + "allow = '0.0.0.0/0'") == Lines{open});
    CHECK(warnings_of(listening("'0.0.0.0:1'") + "allow = ['0.0.0.0/1', '128.0.0.0/1']") == Lines{open});
    CHECK(warnings_of(listening("'0.0.0.0:1'") + "allow = '::/0'") == Lines{open});
    CHECK(warnings_of(listening("'0.0.0.0:1'") + "allow = '0.0.0.0/0'\n[listener.tls]\nmode = 'require'") == Lines{});
}

TEST_CASE("config: a socket that libpq does not find is warned of, and a folder is none") {
    CHECK(warnings_of(listening("'unix:/x/pg.sock'")) ==
          Lines{"t:4:11: listener.listen: \"unix:/x/pg.sock\" is not found by libpq, whose sockets are "
                "FOLDER/.s.PGSQL.PORT, such as \"unix:/x/.s.PGSQL.5432\""});
    CHECK(errors_of(listening("'unix:/tmp'")) ==
          Lines{"t:4:11: listener.listen: \"unix:/tmp\" is a folder: write the socket in it, such as "
                "\"unix:/tmp/.s.PGSQL.5432\""});
    CHECK(errors_of("", "'/tmp'") ==
          Lines{"t:2:9: upstream.a.hosts: \"/tmp\" is a folder: write the socket in it, such "
                "as \"unix:/tmp/.s.PGSQL.5432\""});
    CHECK(errors_of("", "'unix:/tmp'").size() == 1);
}

TEST_CASE("config: numbers that no machine has are slips of the finger") {
    CHECK(errors_of("[runtime]\nthreads = 100000") ==
          Lines{"t:4:11: runtime.threads: 100000 is not between 0 and 1024"});
    CHECK(errors_of("prewarm = 100000") == Lines{"t:3:11: upstream.a.prewarm: 100000 is not between 0 and 1000"});
    CHECK(
        warnings_of("prewarm = 26\n[runtime]\nthreads = 4") ==
        Lines{"t:3:11: upstream.a.prewarm: 26 for each of 4 threads are 104 connections, each of which is a process of "
              "the server"});
    CHECK(warnings_of("prewarm = 25\n[runtime]\nthreads = 4") == Lines{});
}

TEST_CASE("config: an inventory is a file or a PostgreSQL database") {
    for (const char* const url : {"mysql://x", "http://x/y", "sqlite:///x"}) {
        CAPTURE(url);
        CHECK(errors_of("[audit]\ninventory = '" + std::string(url) + "'") ==
              Lines{"t:4:13: audit.inventory: a value of " + std::to_string(std::string(url).size()) +
                    " characters is neither the path of a file, without '=', '@' and blanks around it, nor a URL that "
                    "begins with postgresql://"});
    }
    CHECK(errors_of("[audit]\ninventory = 'postgres://x/y'") == Lines{});
}
