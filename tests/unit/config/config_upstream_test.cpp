#include "config/secret.hpp"
#include "config_fixture.hpp"

namespace {

using namespace config_fixture;

}  // namespace

TEST_CASE("config: prewarm needs a mode that insists on TLS") {
    for (const char* sslmode : {"disable", "allow", "prefer"}) {
        CHECK(upstream_errors("hosts = 'a'\nprewarm = 1\nsslmode = '" + std::string(sslmode) + "'") ==
              Lines{"t:3:11: upstream.a.prewarm: keeps TLS connections ready, which sslmode \"" + std::string(sslmode) +
                    "\" does not insist on (use \"verify-full\")"});
    }
    CHECK(upstream_errors("hosts = 'a'\nprewarm = 1").empty());
    CHECK(upstream_errors("hosts = 'a'\nprewarm = 1\nprewarm_max_age = '0s'").size() == 1);
}

TEST_CASE("config: kinds of servers and their order are those of libpq") {
    for (const char* wanted : {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"})
        CHECK(upstream_errors("hosts = 'a'\ntarget_session_attrs = '" + std::string(wanted) + "'").empty());
    for (const char* order : {"disable", "random"})
        CHECK(upstream_errors("hosts = 'a'\nload_balance_hosts = '" + std::string(order) + "'").empty());
    CHECK(upstream_errors("hosts = 'a'\ntarget_session_attrs = 'master'").size() == 1);
    CHECK(upstream_errors("hosts = 'a'\nload_balance_hosts = 'round-robin'").size() == 1);
}

TEST_CASE("config: a monitor is asked for by its user, and asks no more often than it does at most") {
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nmonitor_interval = '250ms'").empty());
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nmonitor_interval = '249ms'") ==
          Lines{"t:4:20: upstream.a.monitor_interval: is shorter than 250ms"});
    CHECK(texts(load_upstream("hosts = 'a'\nmonitor_password_file = '/f'").warnings) ==
          Lines{"t:3:25: upstream.a.monitor_password_file: has no effect without monitor_user"});
    CHECK(texts(load_upstream("hosts = 'a'\nmonitor_interval = '1s'").warnings) ==
          Lines{"t:3:20: upstream.a.monitor_interval: has no effect without monitor_user"});
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nsample_interval = '1s'").empty());
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nsample_interval = '0s'").empty());
    CHECK(upstream_errors("hosts = 'a'\nmonitor_user = 'm'\nsample_interval = '999ms'") ==
          Lines{"t:4:19: upstream.a.sample_interval: is shorter than 1s"});
    CHECK(texts(load_upstream("hosts = 'a'\nsample_interval = '0s'").warnings) ==
          Lines{"t:3:19: upstream.a.sample_interval: has no effect without monitor_user"});
}

TEST_CASE("config: that sessions are closed on a demotion which nobody may hear of is warned of") {
    const std::string closing = "hosts = 'a'\ntarget_session_attrs = 'read-write'\non_demotion = 'close'";
    CHECK(texts(load_upstream(closing).warnings) ==
          Lines{"t:4:15: upstream.a.on_demotion: \"close\" may never act without monitor_user: that a server was "
                "demoted is then only known after the next login at it, of which there may be none"});
    CHECK(load_upstream(closing + "\nmonitor_user = 'm'").warnings.empty());
    CHECK(load_upstream("hosts = 'a'\ntarget_session_attrs = 'read-write'").warnings.empty());
}

TEST_CASE("config: sessions leave a demoted server where they were to write") {
    for (const char* wanted : {"read-write", "primary"})
        CHECK(
            upstream_errors("hosts = 'a'\non_demotion = 'close'\ntarget_session_attrs = '" + std::string(wanted) + "'")
                .empty());
    for (const char* wanted : {"any", "read-only", "standby", "prefer-standby"})
        CHECK(upstream_errors("hosts = 'a'\non_demotion = 'close'\ntarget_session_attrs = '" + std::string(wanted) +
                              "'") ==
              Lines{"t:3:15: upstream.a.on_demotion: \"close\" needs target_session_attrs = \"read-write\" or "
                    "\"primary\": others may stay where they are"});
    CHECK(upstream_errors("hosts = 'a'\non_demotion = 'keep'").empty());
    CHECK(upstream_errors("hosts = 'a'\non_demotion = 'now'").size() == 1);
}

TEST_CASE("config: a server is required") {
    CHECK(texts(load_text("", "t").errors) ==
          Lines{"t: upstream: no server is configured; add a table [upstream.NAME] with hosts = [\"HOST:5432\"]"});
    CHECK(load_text("[upstream]", "t").errors.size() == 1);
    CHECK(texts(load_text("[upstream]\nhosts = 'a'", "t").errors) ==
          Lines{"t:2:1: upstream.hosts: expected a table of its own for each server, such as [upstream.orders]"});
    CHECK(
        upstream_errors("sslmode = 'verify-full'") ==
        Lines{"t:1:1: upstream.a.hosts: is required: where the server is, such as hosts = [\"db.example.com:5432\"]"});
    CHECK(upstream_errors("hosts = []") ==
          Lines{"t:2:9: upstream.a.hosts: expected at least one address, such as \"db.example.com:5432\""});
}

TEST_CASE("config: hosts that cannot be hosts are refused") {
    for (const char* const host : {"a:0", "a:", "a:65536", "a b:1", ":5432", "10.0.0.256:1", "::1:5432:",
                                   "unix:relative", "unix:/", "-a:1", "a..b:1", "[a]:1", "[]:1", "*:1", "unix:"}) {
        CAPTURE(host);
        CHECK(upstream_errors("hosts = '" + std::string{host} + "'\nssl_server_name = 'a'").size() == 1);
    }
    CHECK(upstream_errors("hosts = 'unix:/" + std::string(107, 'x') + "'\nssl_server_name = 'a'").size() == 1);
    CHECK(upstream_errors("hosts = ['a', '']").size() == 1);
}

TEST_CASE("config: rules of the upstream leg are libpq's") {
    const Folder folder;
    const std::string file = "'" + folder.write("f") + "'";
    const auto errors = [](const std::string& lines) { return upstream_errors("hosts = 'a'\n" + lines); };

    SECTION("system certificates need verify-full") {
        for (const char* const sslmode : {"disable", "require", "verify-ca"}) {
            CHECK(errors("sslmode = '" + std::string{sslmode} + "'\nsslrootcert = ['system', " + file + "]") ==
                  Lines{"t:3:11: upstream.a.sslmode: weak sslmode \"" + std::string{sslmode} +
                        "\" may not be used with sslrootcert=system (use \"verify-full\")"});
        }
        CHECK(errors("sslrootcert = 'system'") == Lines{});
    }
    SECTION("verify-ca needs certificates") {
        CHECK(errors("sslmode = 'verify-ca'") == Lines{"t:3:11: upstream.a.sslmode: \"verify-ca\" needs sslrootcert: "
                                                       "the CA certificates that the server is verified "
                                                       "against"});
        CHECK(errors("sslmode = 'verify-ca'\nsslrootcert = " + file) == Lines{});
    }
    SECTION("direct TLS needs a mode that insists on TLS") {
        CHECK(
            errors("sslmode = 'prefer'\nsslnegotiation = 'direct'") ==
            Lines{"t:3:11: upstream.a.sslmode: weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use "
                  "\"require\", "
                  "\"verify-ca\", or \"verify-full\")"});
        CHECK(errors("sslmode = 'require'\nsslnegotiation = 'direct'") == Lines{});
    }
    SECTION("a certificate and its key go together") {
        CHECK(errors("sslcert = " + file) == Lines{"t:3:11: upstream.a.sslcert: needs sslkey beside it"});
        CHECK(errors("sslkey = " + file) == Lines{"t:3:10: upstream.a.sslkey: needs sslcert beside it"});
    }
    SECTION("a server name is a DNS name or an address") {
        CHECK(errors("ssl_server_name = 'a b'") ==
              Lines{"t:3:19: upstream.a.ssl_server_name: \"a b\" is neither a DNS name nor an IP address"});
        for (const char* const name : {"db.example.com", "db.example.com.", "10.0.0.1", "::1", "fe80::1%eth0"}) {
            CHECK(errors("ssl_server_name = '" + std::string{name} + "'") == Lines{});
        }
    }
    SECTION("a name to send is a DNS name, or off") {
        CHECK(errors("ssl_sni = '10.0.0.1'") ==
              Lines{"t:3:11: upstream.a.ssl_sni: \"10.0.0.1\" is not a DNS name, nor \"off\""});
        for (const char* const name : {"", "off", "db.example.com", "db.example.com."})
            CHECK(errors("ssl_sni = '" + std::string{name} + "'") == Lines{});
        CHECK(load_upstream("hosts = 'a'\nssl_sni = 'b'").config->upstreams.at(0).ssl_sni == "b");
        CHECK(errors("sslsni = '0'").at(0).find("did you mean \"ssl_sni\"?") != std::string::npos);
    }
    SECTION("a name in other letters is refused with what DNS has for it") {
        const std::string name =
            "b\xc3\xbc"
            "cher.example";
        const auto says = [&](const std::string& toml) {
            const Lines all = upstream_errors(toml);
            return all.size() == 1 && all[0].ends_with("; write \"xn--bcher-kva.example\"");
        };
        CHECK(says("hosts = '" + name + "'"));
        CHECK(says("hosts = '" + name + ":5432'"));
        CHECK(says("hosts = 'a'\nssl_server_name = '" + name + "'"));
        CHECK(says("hosts = 'a'\nssl_sni = '" + name + "'"));
    }
    SECTION("a socket has no name to verify") {
        CHECK(upstream_errors("hosts = ['a', 'unix:/x']") ==
              Lines{"t:2:15: upstream.a.hosts: \"unix:/x\" has no name to verify: sslmode = \"verify-full\" needs "
                    "ssl_server_name"});
        CHECK(upstream_errors("hosts = 'unix:/x'\nssl_server_name = 'a'") == Lines{});
        CHECK(upstream_errors("hosts = 'unix:/x'\nsslmode = 'disable'") == Lines{});
    }
    SECTION("the highest version is not below the lowest") {
        CHECK(errors("ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'").size() == 1);
    }
    SECTION("empty groups are the default ones") {
        CHECK(valid(load_upstream("hosts = 'a'\nssl_groups = ''")).upstreams.at(0).ssl_groups == Upstream{}.ssl_groups);
    }
}

TEST_CASE("config: what is done about SCRAM is one of four") {
    const Folder folder;
    const std::string users = "\nusers_file = '" + folder.write("users.txt") + "'";
    const auto scram = [](const std::string& lines) {
        return valid(load_after_upstream("[auth]\n" + lines)).auth.scram;
    };
    CHECK(valid(load_after_upstream("")).auth.scram == ScramMode::automatic);
    CHECK(scram("") == ScramMode::automatic);
    CHECK(scram("scram = 'auto'") == ScramMode::automatic);
    CHECK(scram("scram = 'passthrough'") == ScramMode::passthrough);
    CHECK(scram("scram = 'bridge'") == ScramMode::bridge);
    CHECK(scram("scram = 'terminate'" + users) == ScramMode::terminate);
    CHECK(errors_after_upstream("[auth]\nscram = 'brigde'") ==
          Lines{"t:3:9: auth.scram: \"brigde\" is not one of auto, passthrough, bridge, terminate; did you mean "
                "\"bridge\"?"});
    CHECK(errors_after_upstream("[auth]\nscram = true") ==
          Lines{"t:3:9: auth.scram: expected one of auto, passthrough, bridge, terminate, got a boolean"});
    CHECK(errors_after_upstream("[auth]\nscram = ''").size() == 1);
    CHECK(errors_after_upstream("[auth]\npassword = 'x'").size() == 1);
}

TEST_CASE("config: a CRL that nothing would be looked up in is a mistake") {
    const Folder folder;
    const std::string crl = "sslcrl = '" + folder.write("some.crl") + "'";
    CHECK(
        upstream_errors("hosts = 'a'\nsslmode = 'require'\n" + crl) ==
        Lines{"t:4:10: upstream.a.sslcrl: needs sslrootcert: with sslmode \"require\" the server's certificate is not "
              "verified without it"});
    CHECK(upstream_errors("hosts = 'a'\nsslmode = 'verify-full'\n" + crl) == Lines{});
}

TEST_CASE("config: who terminates SCRAM needs users, and nobody else does") {
    const Folder folder;
    const std::string users = "users_file = '" + folder.write("users.txt") + "'\n";
    const Lines missing{
        "t:3:9: auth.scram: \"terminate\" needs users_file: who the users are, in the format of PgBouncer's "
        "userlist.txt"};
    CHECK(errors_after_upstream("[auth]\nscram = 'terminate'") == missing);
    CHECK(errors_after_upstream("[auth]\nscram = 'terminate'\nusers_file = ''") == missing);
    const Loaded both = load_after_upstream("[auth]\nscram = 'terminate'\n" + users);
    CHECK(valid(both).auth.users_file.path == folder.path("users.txt"));
    CHECK(texts(both.warnings) == Lines{});
    for (const char* const mode : {"auto", "passthrough", "bridge"}) {
        const Loaded unused = load_after_upstream("[auth]\n" + users + "scram = '" + mode + "'");
        valid(unused);
        CHECK(texts(unused.warnings) == Lines{"t:3:14: auth.users_file: has no effect without scram = \"terminate\""});
    }
    CHECK(texts(load_after_upstream("[auth]\n" + users).warnings).size() == 1);
    CHECK(errors_after_upstream("[auth]\nscram = 'terminate'\nusers_file = '/etc/none'") ==
          Lines{"t:4:14: auth.users_file: cannot read \"/etc/none\": No such file or directory"});
}

TEST_CASE("config: an upstream that could be somebody else is warned about") {
    const Folder folder;
    CHECK(texts(load_upstream("hosts = 'a'\nsslmode = 'require'").warnings) ==
          Lines{"t:3:11: upstream.a.sslmode: \"require\" does not authenticate the server; \"verify-full\" does"});
    CHECK(texts(load_upstream("hosts = 'a'\nsslmode = 'verify-ca'\nsslrootcert = '" + folder.write("f") + "'")
                    .warnings) == Lines{"t:3:11: upstream.a.sslmode: \"verify-ca\" does not check the server's name, "
                                        "only who issued its certificate; "
                                        "\"verify-full\" does"});
    CHECK(
        texts(load_upstream("hosts = 'a'\nsslmode = 'require'\nsslrootcert = '" + folder.write("f") + "'").warnings) ==
        Lines{"t:3:11: upstream.a.sslmode: \"require\" with sslrootcert does not check the server's name, only who "
              "issued its certificate; \"verify-full\" does"});
    CHECK(texts(load_upstream("hosts = 'a'\nsslmode = 'prefer'\nsslrootcert = '" + folder.write("f") + "'").warnings) ==
          Lines{"t:3:11: upstream.a.sslmode: \"prefer\" does not authenticate the server; \"verify-full\" does"});
    const Loaded old = load_upstream("hosts = 'a'\nssl_min_protocol_version = 'TLSv1'");
    CHECK(valid(old).upstreams.at(0).ssl_min_protocol_version == TlsVersion::v1_0);
    CHECK(
        texts(old.warnings) ==
        Lines{
            "t:3:28: upstream.a.ssl_min_protocol_version: \"TLSv1\" lets a server use TLS below 1.2, which is broken"});
}

TEST_CASE("config: a pass phrase for no key is warned about") {
    const Loaded loaded = load_upstream("hosts = 'a'\nssl_passphrase_command = 'echo secret'");
    CHECK(valid(loaded).upstreams.at(0).ssl_passphrase_command == "echo secret");
    CHECK(texts(loaded.warnings) == Lines{"t:3:26: upstream.a.ssl_passphrase_command: has no effect without sslkey"});
    CHECK(texts(load_upstream("hosts = 'a'\n[[listener]]\n[listener.tls]\nssl_passphrase_command = 'true'").warnings) ==
          Lines{"t:5:26: listener.tls.ssl_passphrase_command: has no effect without key_file"});
}
