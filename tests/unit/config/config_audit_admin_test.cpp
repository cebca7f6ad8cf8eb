#include "config/secret.hpp"
#include "config_fixture.hpp"

namespace {

using namespace config_fixture;

}  // namespace

TEST_CASE("config: the log, the audit and the inventory are three files") {
    const auto errors = [](const std::string& text) {
        return texts(load_text("[upstream.a]\nhosts = 'a'\n" + text, "t").errors);
    };
    CHECK(
        errors("[audit]\ninventory = 'audit.jsonl'") ==
        Lines{
            "t:4:13: audit.inventory: audit.inventory and audit.file are one file, \"audit.jsonl\": each would destroy "
            "what the other writes"});
    CHECK(errors("[audit]\nfile = 'x/../inventory.db'").size() == 1);
    CHECK(errors("[audit]\nfile = '/a/b'\ninventory = '/a/./b'").size() == 1);
    CHECK(errors("[audit]\nfile = '/a/b'\n[log]\nfile = '/a/b'").size() == 1);
    CHECK(errors("[runtime]\nstate_dir = '/s'\n[log]\nfile = '/s/audit.jsonl'").size() == 1);
    CHECK(errors("[audit]\nfile = 'inventory.db'\ninventory = 'postgresql://h/d'").size() == 1);
    CHECK(errors("[audit]\nfile = '/dev/stdout'\n[log]\nfile = '/dev/stdout'").empty());
    CHECK(errors("[audit]\nfile = '-'\ninventory = ''\n[log]\nfile = ''").empty());
    CHECK(errors("[audit]\nfile = ''\ninventory = 'postgresql://h/d'\n[log]\nfile = '/a'").empty());
}

TEST_CASE("config: [audit.probe] says what is wrong with it") {
    const auto errors = [](const std::string& text) { return errors_after_upstream("[audit.probe]\n" + text); };
    CHECK(errors("enabled = true").empty());
    CHECK(errors("fraction = 1").empty());
    CHECK(errors("fraction = 0.5").empty());
    CHECK(errors("fraction = 1.5") ==
          Lines{"t:3:12: audit.probe.fraction: a share is between 0 and 1, such as 0.05 for one in twenty"});
    CHECK(errors("fraction = 'x'") == Lines{"t:3:12: audit.probe.fraction: expected a number, got a string"});
    CHECK(errors("kinds = ['wrong']").size() == 1);
    CHECK(errors("enabled = true\nkinds = ['candidate']") ==
          Lines{"t:4:9: audit.probe.kinds: \"candidate\" needs candidate_cert_file: the certificate that clients will "
                "meet"});
    CHECK(errors(
              "window = ['2026-03-01T02:00Z/2026-03-01T04:00Z', '2026-03-01T02:00:00+01:00/2026-03-02T00:00:00-05:30']")
              .empty());
    for (const char* window :
         {"2026-03-01T02:00Z", "2026-03-01T04:00Z/2026-03-01T02:00Z", "2026-02-30T02:00Z/2026-03-01T04:00Z",
          "2026-03-01T25:00Z/2026-03-01T04:00Z", "2026-03-01T02:00/2026-03-01T04:00"}) {
        CHECK(errors("window = ['" + std::string(window) + "']").size() == 1);
    }
    CHECK(errors_after_upstream("[audit]\ninventory = ''\n[audit.probe]\nenabled = true") ==
          Lines{"t:5:11: audit.probe.enabled: needs audit.inventory: what was done to whom must outlive restarts"});
}

TEST_CASE("config: [capture] is read into its struct") {
    const Loaded loaded = load_after_upstream(
        "[capture]\nwindows = ['2199-03-01T02:00Z/2199-03-01T04:00Z']\ntrigger = 'failures'\npayload = 'full'\n"
        "listeners = ['a']\nusers = ['Jo Doe', 'x']\ndatabases = 'orders'\nclient_addrs = ['10.0.0.0/8']\n"
        "max_file_size = '64KiB'\nmax_total_size = '1MiB'\nmin_free_space = '0B'\nkeylog = true\n"
        "allow_secrets = true");
    REQUIRE(texts(loaded.errors) == Lines{});
    CHECK(texts(loaded.warnings) == Lines{});
    const config::Capture& capture = loaded.config->capture;
    CHECK(capture.windows.size() == 1);
    CHECK(capture.trigger == config::CaptureTrigger::failures);
    CHECK(capture.payload == protocol::Payload::full);
    CHECK(capture.users == Lines{"Jo Doe", "x"});
    CHECK(capture.databases == Lines{"orders"});
    CHECK(capture.client_addrs.size() == 1);
    CHECK(capture.max_file_size == 64 * 1024);
    CHECK(capture.max_total_size == 1024 * 1024);
    CHECK(capture.min_free_space == 0);
    CHECK(capture.dir == "captures");
}

TEST_CASE("config: without [capture] nothing is captured, and nothing secret ever") {
    const Loaded loaded = load_after_upstream("");
    REQUIRE(loaded.config);
    CHECK(loaded.config->capture.windows.empty());
    CHECK(loaded.config->capture.payload == protocol::Payload::redacted);
    CHECK_FALSE(loaded.config->capture.allow_secrets);
    CHECK_FALSE(loaded.config->capture.keylog);
}

TEST_CASE("config: [capture] says what is wrong with it") {
    const auto errors = [](const std::string& text) { return errors_after_upstream("[capture]\n" + text); };
    const auto warnings = [](const std::string& text) {
        return texts(load_after_upstream("[capture]\n" + text).warnings);
    };
    CHECK(errors("keylog = true") == Lines{"t:3:10: capture.keylog: needs allow_secrets = true: whoever has the keys "
                                           "reads passwords and everything else"});
    CHECK(warnings("allow_secrets = true").size() == 1);
    CHECK(warnings("allow_secrets = true\npayload = 'full'").empty());
    CHECK(errors("listeners = ['elsewhere']").size() == 1);
    CHECK(errors("listeners = ['a']").empty());
    CHECK(errors("dir = ''").size() == 1);
    CHECK(errors("max_file_size = '3GiB'") ==
          Lines{"t:3:17: capture.max_file_size: max_file_size is larger than max_total_size"});
    CHECK(errors("max_file_size = '1 MiB'").size() == 1);
    CHECK(errors("max_file_size = '0B'") == Lines{"t:3:17: capture.max_file_size: \"0B\" must be more than zero"});
    CHECK(errors("max_file_size = 5") ==
          Lines{"t:3:17: capture.max_file_size: expected a size (\"512B\", \"64KiB\", \"256MiB\", \"1GiB\"), got "
                "an integer"});
    CHECK(errors("payload = 'all'").size() == 1);
    CHECK(errors("users = ['']").size() == 1);
    CHECK(errors("windows = ['2199-03-01T02:00Z/2199-03-01T04:00Z', '2199-03-01T03:00Z/2199-03-01T05:00Z']") ==
          Lines{"t:3:11: capture.windows: two of them overlap: make them one"});
    CHECK(errors("windows = ['2199-03-01T02:00Z/2199-03-01T04:00Z', '2199-03-01T04:00Z/2199-03-01T05:00Z']").empty());
    CHECK(warnings("windows = ['2001-03-01T02:00Z/2001-03-01T04:00Z']") ==
          Lines{"t:3:11: capture.windows: all of them have passed: nothing is captured"});
    CHECK(warnings("windows = ['2001-03-01T02:00Z/2001-03-01T04:00Z', '2199-03-01T02:00Z/2199-03-01T04:00Z']").empty());
}

TEST_CASE("config: a fleet's URL with less than verify-full is warned of") {
    const auto warnings = [](const std::string& url) {
        return texts(load_after_upstream("[audit]\ninventory = '" + url + "'").warnings);
    };
    CHECK(warnings("postgresql://u@h/d") == Lines{});
    CHECK(warnings("postgresql://u@h/d?connect_timeout=3&sslmode=verify-full") == Lines{});
    CHECK(warnings("postgresql://u@h/d?sslmode=prefer&connect_timeout=3") ==
          Lines{"t:3:13: audit.inventory: sslmode=prefer does not authenticate the server; verify-full, the default, "
                "does"});
    CHECK(warnings("postgresql://u@h/d?sslmode=require&sslrootcert=/etc/ca.pem") ==
          Lines{"t:3:13: audit.inventory: sslmode=require with sslrootcert does not check the server's name, only who "
                "issued its certificate; verify-full, the default, does"});
    CHECK(warnings("postgresql://u@h/d?sslmode=verify-ca") ==
          Lines{"t:3:13: audit.inventory: sslmode=verify-ca does not check the server's name, only who issued its "
                "certificate; verify-full, the default, does"});
}

TEST_CASE("config: a file that holds a password is warned of when others may read it") {
    const Folder folder;
    const auto warnings = [&](const std::string& url, std::filesystem::perms mode) {
        const std::string file =
            folder.write("t.toml", "upstream.a = {hosts = 'a:1'}\n[audit]\ninventory = '" + url + "'");
        std::filesystem::permissions(file, mode);
        return texts(load(file).warnings);
    };
    using std::filesystem::perms;
    const perms secret = perms::owner_read | perms::owner_write;
    for (const char* const url : {"postgresql://u:p%2Fw@h/d", "postgres://h/d?user=u&password=p"}) {
        const Lines said = warnings(url, secret | perms::others_read);
        REQUIRE(said.size() == 1);
        CHECK(said[0].starts_with(folder.path("t.toml") + ":3:13: audit.inventory: this file holds a password, and has "
                                                          "group or world access: "));
        CHECK(said[0].find("p%2Fw") == std::string::npos);
        CHECK(warnings(url, secret) == Lines{});
    }
    for (const char* const url :
         {"postgresql://u@h:5432/d", "postgresql://[::1]:5432/d", "postgresql:///d?passfile=/p"})
        CHECK(warnings(url, secret | perms::others_read) == Lines{});
}

TEST_CASE("config: the console is a socket that libpq finds, or off") {
    const auto errors = [](const std::string& lines) {
        return texts(load_text("[admin]\n" + lines + "\n[upstream.a]\nhosts = 'a'\n", "t").errors);
    };
    for (const char* const console : {"", "unix:/run/x/.s.PGSQL.1", "unix:console/.s.PGSQL.65535"}) {
        CHECK(errors("console = '" + std::string(console) + "'") == Lines{});
    }
    for (const char* const console : {"/run/x/.s.PGSQL.1", "unix:/run/console", "unix:.s.PGSQL.1", "unix:/x/.s.PGSQL.0",
                                      "unix:/x/.s.PGSQL.65536", "unix:/x/.s.PGSQL.", "127.0.0.1:6434"}) {
        CHECK(errors("console = '" + std::string(console) + "'") ==
              Lines{"t:2:11: admin.console: \"" + std::string(console) +
                    "\" is not \"unix:\" and a path that ends with /.s.PGSQL.PORT, which is how libpq finds it"});
    }
    CHECK(errors("console_uids = [-1]") == Lines{"t:2:17: admin.console_uids: -1 is the number of no user"});
    CHECK(errors("console_uids = [4294967295]") ==
          Lines{"t:2:17: admin.console_uids: 4294967295 is the number of no user"});
    CHECK(errors("console_readers = ['alice']") ==
          Lines{"t:2:20: admin.console_readers: expected an integer, got a string"});
    CHECK(errors("console_readers = 'alice'") ==
          Lines{"t:2:19: admin.console_readers: expected a list of integers, got a string"});
}

TEST_CASE("config: http is one address of this host, or has a token") {
    const Folder folder;
    const std::string token = folder.write("token", "0123456789abcdef");
    const auto load = [](const std::string& lines) {
        return load_text("[admin]\n" + lines + "\n[upstream.a]\nhosts = 'a'\n", "t");
    };
    for (const char* const http : {"", "127.0.0.1:6433", "127.8.9.10:0", "[::1]:6433", "unix:/run/pgairlock/http"}) {
        INFO(http);
        CHECK(texts(load("http = '" + std::string(http) + "'").errors) == Lines{});
    }
    for (const char* const http :
         {"6433", "localhost:6433", "127.0.0.1", "unix:", "http://127.0.0.1:6433", "127.0.0.1:65536"}) {
        const Lines errors = texts(load("http = '" + std::string(http) + "'").errors);
        REQUIRE(errors.size() == 1);
        CHECK(errors[0].starts_with("t:2:8: admin.http: " + config::shown(http) + " is not an address to listen on: "));
    }
    for (const char* const http :
         {"0.0.0.0:6433", "[::]:6433", "10.0.0.1:6433", "[::ffff:10.0.0.1]:1", "[fe80::1%eth0]:1"}) {
        const std::string lines = "http = '" + std::string(http) + "'";
        CHECK(texts(load(lines).errors) ==
              Lines{"t:2:8: admin.http: \"" + std::string(http) +
                    "\" is reached from other hosts: it needs http_token_file, a file with the token that they send"});
        CHECK(texts(load(lines + "\nhttp_token_file = '" + token + "'").errors) == Lines{});
    }
    CHECK(texts(load("http_token_file = '" + token + "'").warnings) ==
          Lines{"t:2:19: admin.http_token_file: has no effect without http"});
}
