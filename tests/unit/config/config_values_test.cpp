#include "config/secret.hpp"
#include "config_fixture.hpp"

namespace {

using namespace config_fixture;

}  // namespace

TEST_CASE("config: a value of the wrong type is told from the right one") {
    const auto errors = errors_after_upstream(R"([runtime]
threads = "4"
drain_timeout = 30
state_dir = 1979-05-27
max_connections = 1.5
[[listener]]
allow = ["::1", 7]
listen = {a = 1}
[listener.tls]
direct = "yes"
mode = true
cert_file = []
)");
    CHECK(errors == Lines{"t:3:11: runtime.threads: a number has no quotes: write 4",
                          "t:4:17: runtime.drain_timeout: expected a duration (\"250ms\", \"5s\", \"2m\", \"1h\", "
                          "\"30d\"), got an integer",
                          "t:5:13: runtime.state_dir: expected a string, got a date",
                          "t:6:19: runtime.max_connections: expected an integer, got a floating-point number",
                          "t:8:17: listener.allow: expected a string, got an integer",
                          "t:9:10: listener.listen: expected a list of addresses, got a table",
                          "t:11:10: listener.tls.direct: expected a boolean (true or false), got a string",
                          "t:12:8: listener.tls.mode: expected one of disable, allow, require, got a boolean",
                          "t:13:13: listener.tls.cert_file: expected a file, got a list"});
    CHECK(errors_after_upstream("log = 1") == Lines{"t:2:7: log: expected a table, [log], got an integer"});
    CHECK(errors_after_upstream("[listener]") ==
          Lines{"t:2:1: listener: expected tables with the header [[listener]], got a table"});
    CHECK(errors_after_upstream("[[listener]]\n[listener.tls.certificate]").size() == 1);
    CHECK(errors_after_upstream("[[listener]]\ntls = 1").size() == 1);
    CHECK(load_text("upstream = 1", "t").errors.size() == 1);
}

TEST_CASE("config: a mistyped path of a secret file is shown where it can be no secret") {
    const auto told = [](const std::string& path) {
        return errors_after_upstream("[auth]\nscram = 'terminate'\nusers_file = '" + path + "'").front();
    };
    CHECK(told("/etcc-of-nobody/pgairlock/users.txt").find("\"/etcc-of-nobody/pgairlock/users.txt\"") !=
          std::string::npos);
    CHECK(told("./of-nobody/users").find("of-nobody/users\"") != std::string::npos);
    for (const char* const secret : {"/9j4AAQSkZJRgABAQ/Zx", "/etcc-of-nobody/Zm9vYmFy", "correct-horse"})
        CHECK(told(secret).find(secret) == std::string::npos);
}

TEST_CASE("config: a port alone is told with the address that it would be") {
    CHECK(errors_after_upstream("[admin]\nhttp = 6433\nconsole = 6434\n[[listener]]\nlisten = ['[::1]:1', 6432]") ==
          Lines{"t:3:8: admin.http: expected an address in quotes, got an integer: write \"127.0.0.1:6433\"",
                "t:4:11: admin.console: expected an address in quotes, got an integer: write "
                "\"unix:console/.s.PGSQL.6434\"",
                "t:6:22: listener.listen: expected an address in quotes, got an integer: write \"127.0.0.1:6432\""});
    CHECK(load_upstream("hosts = 5432").errors.front().message ==
          "expected an address in quotes, got an integer: write \"db.example.com:5432\"");
    CHECK(errors_after_upstream("[admin]\nhttp = 0\n") ==
          Lines{"t:3:8: admin.http: expected a string, got an integer"});
}

TEST_CASE("config: a list in one string is told with the list that it would be") {
    const auto one_error = [](const std::string& text) {
        const Lines errors = errors_after_upstream(text);
        return errors.size() == 1 ? errors.front() : "not one: " + std::to_string(errors.size());
    };
    CHECK(one_error("[[alert]]\ncommand = '/bin/true'\non = 'started, stopping'") ==
          "t:4:6: alert.on: \"started, stopping\" is one string: write [\"started\", \"stopping\"]");
    CHECK(one_error("[audit.probe]\nkinds = 'untrusted,wrong-name'") ==
          "t:3:9: audit.probe.kinds: \"untrusted,wrong-name\" is one string: write [\"untrusted\", \"wrong-name\"]");
    CHECK(one_error("[[listener]]\nallow = '10.0.0.0/8, ::1'") ==
          "t:3:9: listener.allow: \"10.0.0.0/8, ::1\" is one string: write [\"10.0.0.0/8\", \"::1\"]");
    CHECK(one_error("[[listener]]\nlisten = ['127.0.0.1:1,127.0.0.1:2']") ==
          "t:3:11: listener.listen: \"127.0.0.1:1,127.0.0.1:2\" is one string: write [\"127.0.0.1:1\", "
          "\"127.0.0.1:2\"]");
    const auto errors = load_upstream("hosts = 'b'\nsslrootcert = '/no/a.pem,/no/b.pem'").errors;
    REQUIRE(errors.size() == 1);
    CHECK(errors.front().message == "\"/no/a.pem,/no/b.pem\" is one string: write [\"/no/a.pem\", \"/no/b.pem\"]");
}

TEST_CASE("config: a comma in front of a port is told as the colon that was meant") {
    const auto message = [](const std::string& hosts) {
        const auto errors = load_upstream("hosts = " + hosts).errors;
        return errors.size() == 1 ? errors.front().message : "not one: " + std::to_string(errors.size());
    };
    CHECK(message("'db.example.com,5432'") ==
          "\"db.example.com,5432\": a port stands behind a colon: write \"db.example.com:5432\"");
    CHECK(message("'a, 5432, ::1,5433'") ==
          "\"a, 5432, ::1,5433\": a port stands behind a colon: write [\"a:5432\", \"[::1]:5433\"]");
    CHECK(message("'a:1,5432'") == "\"a:1,5432\" is one string: write [\"a:1\", \"5432\"]");
    CHECK(errors_after_upstream("[[listener]]\nlisten = '127.0.0.1,6432'") ==
          Lines{"t:3:10: listener.listen: \"127.0.0.1,6432\": a port stands behind a colon: write \"127.0.0.1:6432\""});
}

TEST_CASE("config: of an IPv6 address without brackets whose end may be a port nobody can tell") {
    const auto errors = [](const std::string& host) { return load_upstream("hosts = '" + host + "'").errors; };
    REQUIRE(errors("::1:5432").size() == 1);
    CHECK(errors("::1:5432").front().message ==
          "\"::1:5432\" needs brackets: write \"[::1]:5432\", or \"[::1:5432]:5432\" if all of it is the address");
    REQUIRE(errors("2001:db8:0:0:0:0:0:1:65432").size() == 1);
    CHECK(errors("2001:db8:0:0:0:0:0:1:65432").front().message ==
          "\"2001:db8:0:0:0:0:0:1:65432\" needs brackets: write \"[2001:db8:0:0:0:0:0:1]:65432\"");
    for (const char* const one : {"::1", "fe80::1", "2001:db8::ab12", "2001:db8::1:ab12", "[::1:5432]:5432",
                                  "[::1:5432]", "2001:db8:0:0:0:0:0:5432", "::ffff:10.0.0.1"})
        CHECK(errors(one).empty());
    CHECK(errors_after_upstream("[[listener]]\nlisten = '::1:6432'") ==
          Lines{"t:3:10: listener.listen: \"::1:6432\" needs brackets: write \"[::1]:6432\""});
}

TEST_CASE("config: control characters are refused everywhere") {
    CHECK(errors_after_upstream("[audit]\nfile = \"a\\u0000b\"") ==
          Lines{"t:3:8: audit.file: control characters are not allowed here"});
    CHECK(errors_after_upstream("[[listener]]\nname = \"a\\n\"").size() == 1);
    CHECK(load_text("[upstream.\"a\\nb\"]\nhosts = 'a'", "t").errors.size() == 1);
    CHECK(load_text("[upstream.\"\"]\nhosts = 'a'", "t").errors.size() == 1);
}

TEST_CASE("config: counts and durations have limits") {
    CHECK(errors_after_upstream(
              "[runtime]\nthreads = -1\nmax_connections = 0\nmax_connections_per_address = 4294967296") ==
          Lines{"t:3:11: runtime.threads: -1 is not between 0 and 1024",
                "t:4:19: runtime.max_connections: 0 is not between 1 and 1000000",
                "t:5:31: runtime.max_connections_per_address: 4294967296 is not between 0 and 1000000"});
    CHECK(errors_after_upstream("[runtime]\nclient_login_timeout = '0s'\ndrain_timeout = '5'") ==
          Lines{"t:3:24: runtime.client_login_timeout: \"0s\" must be more than zero",
                "t:4:17: runtime.drain_timeout: \"5\" is not a duration: a whole number and ms, s, m, h or d, such as "
                "\"30s\", and "
                "at most ten "
                "years"});
    CHECK(upstream_errors("hosts = 'a'\nconnect_timeout = '0ms'").size() == 1);
    CHECK(upstream_errors("hosts = 'a'\ntcp_keepalive = '10h'\ntcp_user_timeout = '1500ms'") ==
          Lines{"t:3:17: upstream.a.tcp_keepalive: \"10h\" is not a number of whole seconds up to 32767, which is what "
                "TCP takes",
                "t:4:20: upstream.a.tcp_user_timeout: \"1500ms\" is not a number of whole seconds up to 32767, which "
                "is what TCP "
                "takes"});
}

TEST_CASE("config: durations are whole numbers with a unit") {
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("0s") == 0ms);
    CHECK(parse_duration("2m") == 120s);
    CHECK(parse_duration("87600h") == 87600h);
    CHECK(parse_duration("7d") == 168h);
    CHECK(parse_duration("3650d") == 87600h);
    for (const char* const text : {"", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5D", "1w", "1h30m", "1d12h",
                                   "30d 12h", "87601h", "3651d", "99999999999999999999s"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("config: sizes are whole numbers with a binary unit") {
    CHECK(parse_size("512B") == 512u);
    CHECK(parse_size("64KiB") == 65536u);
    CHECK(parse_size("1GiB") == 1073741824u);
    CHECK(parse_size("16777215TiB") == 16777215ull << 40);
    for (const char* const text : {"", "1", "KiB", "1KB", "1 KiB", "-1B", "16777216TiB"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text));
    }
}

TEST_CASE("config: addresses read back as they were written") {
    for (const char* const text : {"127.0.0.1:6432", "[::1]:0", "db.example.com:65535", "my_db:1",
                                   "db.example.com.:5432", "unix:/run/x", "[fe80::1%eth0]:5432"}) {
        CAPTURE(text);
        const auto address = parse_address(text);
        REQUIRE(address);
        CHECK(to_string(*address) == text);
    }
    for (const char* const text : {"", "a", ":1", "a:", "a:1x", "a: 1", "a:+1", "::1", "[::1]", "[127.0.0.1]:1",
                                   "[::1:1", "unix:", "unix:x", "a/b:1", "1.2.3:1"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_address(text));
    }
}

TEST_CASE("config: one comparison serves IPv4 and IPv6 ranges") {
    const auto contains = [](const char* range, std::array<std::uint8_t, 16> address) {
        const auto cidr = parse_cidr(range);
        REQUIRE(cidr);
        return cidr->contains(address);
    };
    CHECK(contains("192.168.0.0/20", v4(192, 168, 15, 255)));
    CHECK_FALSE(contains("192.168.0.0/20", v4(192, 168, 16, 0)));
    CHECK(contains("10.1.2.3", v4(10, 1, 2, 3)));
    CHECK_FALSE(contains("10.1.2.3", v4(10, 1, 2, 2)));
    CHECK(contains("10.9.9.9/8", v4(10, 0, 0, 1)));
    CHECK(contains("0.0.0.0/0", v4(1, 2, 3, 4)));
    CHECK_FALSE(contains("0.0.0.0/0", {0x20, 1}));
    CHECK(contains("::/0", {0x20, 1}));
    CHECK(contains("2001:db8::/33", {0x20, 1, 0x0d, 0xb8, 0x7f}));
    CHECK_FALSE(contains("2001:db8::/33", {0x20, 1, 0x0d, 0xb8, 0x80}));
    for (const char* const text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "localhost", "[::1]/128"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_cidr(text));
    }
}

TEST_CASE("config: a diagnostic leaves out what is not known") {
    CHECK(to_string(Diagnostic{{"f", 3, 4, "a.b"}, "wrong"}) == "f:3:4: a.b: wrong");
    CHECK(to_string(Diagnostic{{"f", 0, 0, ""}, "wrong"}) == "f: wrong");
    CHECK(to_string(Diagnostic{{"command line", 0, 0, "--x"}, "wrong"}) == "--x: wrong");
    CHECK(to_string(Diagnostic{{"", 0, 0, ""}, "wrong"}) == "wrong");
}

TEST_CASE("config: an address range reads as it is written") {
    for (const char* const range : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::1/128", "2001:db8::/32", "::/0"}) {
        CHECK(to_string(*parse_cidr(range)) == range);
    }
}
