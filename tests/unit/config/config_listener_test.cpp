#include "config_fixture.hpp"

namespace {

using namespace config_fixture;

}  // namespace

TEST_CASE("config: a listener goes to an upstream of the file") {
    const std::string two = "[upstream.orders]\nhosts = 'a'\n[upstream.bills]\nhosts = 'b'\n[[listener]]\n";
    CHECK(texts(load_text(two, "t").errors) ==
          Lines{"t:5:1: listener.upstream: is required where there are several: one of orders, bills"});
    CHECK(texts(load_text(two + "upstream = 'ordrs'", "t").errors) ==
          Lines{"t:6:12: listener.upstream: \"ordrs\" is not one of orders, bills; did you mean \"orders\"?"});
    CHECK(valid(load_text(two + "upstream = 'bills'", "t")).listeners.at(0).upstream == "bills");
    CHECK(errors_after_upstream("[[listener]]\nupstream = 'b'") ==
          Lines{"t:3:12: listener.upstream: expected \"a\", got \"b\""});
}

TEST_CASE("config: listeners have distinct names") {
    const Loaded loaded = load_after_upstream(
        "[[listener]]\nname = 'listener-2'\n[[listener]]\nlisten = '127.0.0.1:2'\n[[listener]]\nlisten = "
        "'127.0.0.1:3'\n[[listener]]\n"
        "listen = '127.0.0.1:4'");
    const auto& listeners = valid(loaded).listeners;
    REQUIRE(listeners.size() == 4);
    CHECK(listeners[1].name == "a");
    CHECK(listeners[2].name == "listener-3");
    CHECK(listeners[3].name == "listener-4");
    CHECK(errors_after_upstream("[[listener]]\nname = 'x'\n[[listener]]\nname = 'x'\nlisten = '127.0.0.1:2'") ==
          Lines{"t:4:1: listener.name: \"x\" is the name of an earlier listener; names must differ"});
}

TEST_CASE("config: listeners have distinct addresses, but port 0 may repeat") {
    CHECK(errors_after_upstream("[[listener]]\n[[listener]]\nlisten = ['127.0.0.1:6432', 'unix:/x', 'unix:/x']") ==
          Lines{"t:4:11: listener.listen: \"127.0.0.1:6432\" is listened on already, by line 2",
                "t:4:40: listener.listen: \"unix:/x\" is listened on already, by line 4"});
    CHECK(errors_after_upstream("[[listener]]\nlisten = ['127.0.0.1:0', '127.0.0.1:0', '[::1]:0']") == Lines{});
}

TEST_CASE("config: a listener needs addresses with ports") {
    for (const char* const listen :
         {"127.0.0.1", "::1:6432", ":6432", "unix:x", "127.0.0.1:70000", "*", "*:", "*:70000", "*x:1", "a b:6432"}) {
        CAPTURE(listen);
        CHECK(errors_after_upstream("[[listener]]\nlisten = '" + std::string{listen} + "'").size() == 1);
    }
    CHECK(errors_after_upstream("[[listener]]\nlisten = []") ==
          Lines{"t:3:10: listener.listen: expected at least one address, such as \"127.0.0.1:6432\""});
}

TEST_CASE("config: an empty allow list lets nobody in and says so") {
    const Loaded loaded = load_after_upstream("[[listener]]\nallow = []");
    CHECK(valid(loaded).listeners.at(0).allow.empty());
    CHECK(texts(loaded.warnings) == Lines{"t:3:9: listener.allow: lets nobody in over TCP"});
    CHECK(
        errors_after_upstream("[[listener]]\nallow = '10.0.0.0/33'") ==
        Lines{"t:3:9: listener.allow: \"10.0.0.0/33\" is not an address range, such as \"10.0.0.0/8\" or \"::1/128\""});
}

TEST_CASE("config: rules of the client leg") {
    const Folder folder;
    const std::string file = "'" + folder.write("f") + "'";
    const auto load_tls = [](const std::string& lines) {
        return load_after_upstream("[[listener]]\n[listener.tls]\n" + lines);
    };
    const auto errors = [&](const std::string& lines) { return texts(load_tls(lines).errors); };
    const auto warnings = [&](const std::string& lines) { return texts(load_tls(lines).warnings); };

    SECTION("a certificate and its key go together") {
        CHECK(errors("cert_file = " + file) == Lines{"t:4:13: listener.tls.cert_file: needs key_file beside it"});
        CHECK(errors("key_file = " + file) == Lines{"t:4:12: listener.tls.key_file: needs cert_file beside it"});
        CHECK(errors("key_file = " + file + "\ncert_file = " + file) == Lines{});
    }
    SECTION("a further certificate needs both") {
        CHECK(errors("[[listener.tls.certificate]]\ncert_file = " + file) ==
              Lines{"t:4:1: listener.tls.certificate.key_file: is required in [[listener.tls.certificate]]"});
        CHECK(errors("[[listener.tls.certificate]]").size() == 2);
    }
    SECTION("server names are DNS names") {
        CHECK(errors("[[listener.tls.certificate]]\ncert_file = " + file + "\nkey_file = " + file +
                     "\nserver_names = ['*', 'a.*.b', 'ok', '*.ok', 'a b', '10.0.0.1', 'x.', 'x..']")
                  .size() == 5);
    }
    SECTION("client certificates need a CA") {
        for (const char* const value : {"request", "require"}) {
            CHECK(errors("mode = 'require'\nclient_cert = '" + std::string{value} + "'") ==
                  Lines{"t:5:15: listener.tls.client_cert: needs ca_file: the CA certificates that client certificates "
                        "are verified "
                        "against"});
        }
        CHECK(warnings("ca_file = " + file) ==
              Lines{"t:4:11: listener.tls.ca_file: has no effect without client_cert = \"request\" or \"require\""});
        CHECK(warnings("client_cert = 'require'\nca_file = " + file).size() == 1);
    }
    SECTION("TLS below 1.2 needs legacy") {
        CHECK(errors("ssl_min_protocol_version = 'TLSv1.1'") ==
              Lines{"t:4:28: listener.tls.ssl_min_protocol_version: \"TLSv1.1\" needs legacy = true: TLS below 1.2 is "
                    "broken"});
        CHECK(errors("ssl_min_protocol_version = 'TLSv1'\nlegacy = true") == Lines{});
    }
    SECTION("the highest version is not below the lowest") {
        CHECK(
            errors("ssl_max_protocol_version = 'TLSv1.1'") ==
            Lines{"t:4:28: listener.tls.ssl_max_protocol_version: ssl_max_protocol_version = \"TLSv1.1\" is lower than "
                  "ssl_min_protocol_version = \"TLSv1.2\""});
        CHECK(errors("ssl_max_protocol_version = ''") == Lines{});
        CHECK(errors("ssl_min_protocol_version = ''").size() == 1);
        CHECK(errors("ssl_min_protocol_version = 'TLSv1.4'").size() == 1);
    }
    SECTION("settings of TLS that is off are doubtful") {
        CHECK(warnings("mode = 'disable'") == Lines{});
        CHECK(warnings("mode = 'disable'\ndirect = false") ==
              Lines{"t:4:8: listener.tls.mode: \"disable\" leaves the rest of [listener.tls] without effect"});
    }
}

namespace {

/// What is said of one [[listener]] with these lines, errors and warnings.
Lines said_of_front(const std::string& lines) {
    const Loaded loaded = load_after_upstream("[[listener]]\n" + lines);
    Lines out;
    for (const Diagnostic& one : loaded.errors) out.push_back("error " + to_string(one));
    for (const Diagnostic& one : loaded.warnings) out.push_back("warning " + to_string(one));
    return out;
}

}  // namespace

TEST_CASE("config: a listener behind a load balancer names those that it believes") {
    const auto loaded = load_after_upstream(
        "[[listener]]\nallow = '10.0.0.0/8'\nproxy_protocol = 'require'\n"
        "trusted_proxies = ['192.0.2.0/28', '2001:db8::7']\n");
    REQUIRE(loaded.config);
    CHECK(loaded.warnings.empty());
    const Listener& listener = loaded.config->listeners.at(0);
    CHECK(listener.proxy_protocol == ProxyProtocol::require);
    REQUIRE(listener.trusted_proxies.size() == 2);
    CHECK(to_string(listener.trusted_proxies[0]) == "192.0.2.0/28");
    CHECK(to_string(listener.trusted_proxies[1]) == "2001:db8::7/128");
    CHECK(load_after_upstream("[[listener]]").config->listeners.at(0).proxy_protocol == ProxyProtocol::off);
}

TEST_CASE("config: proxy_protocol and trusted_proxies need each other") {
    const std::string needs =
        "proxy_protocol = \"require\" needs trusted_proxies: the addresses of the load balancers that are believed "
        "what their headers say";
    const std::string allow = "allow = '10.0.0.0/8'\n";
    CHECK(said_of_front(allow + "proxy_protocol = 'require'") ==
          Lines{"error t:4:18: listener.proxy_protocol: " + needs});
    CHECK(said_of_front(allow + "proxy_protocol = 'require'\ntrusted_proxies = []") ==
          Lines{"error t:5:19: listener.trusted_proxies: " + needs});
    CHECK(said_of_front(allow + "trusted_proxies = ['192.0.2.1']") ==
          Lines{"warning t:4:19: listener.trusted_proxies: has no effect without proxy_protocol = \"require\""});
    CHECK(said_of_front(allow + "proxy_protocol = 'optional'") ==
          Lines{"error t:4:18: listener.proxy_protocol: \"optional\" is not one of off, require"});
}

TEST_CASE("config: a listener behind a load balancer that would believe everybody, or let nobody in, is warned of") {
    const std::string front = "proxy_protocol = 'require'\ntrusted_proxies = ";
    CHECK(
        said_of_front(front + "['192.0.2.1']") ==
        Lines{"warning t:3:18: listener.proxy_protocol: only clients of this host are let in: allow, which is asked of "
              "the address in the header, is this host alone unless it is given"});
    CHECK(said_of_front("listen = '0.0.0.0:6432'\n" + front + "['192.0.2.1']").size() == 1);
    CHECK(
        said_of_front("allow = '10.0.0.0/8'\n" + front + "['0.0.0.0/0']") ==
        Lines{"warning t:5:19: listener.trusted_proxies: believes everybody: whoever connects may name any address as "
              "its own, also one in allow"});
    CHECK(
        said_of_front("allow = '10.0.0.0/8'\nlisten = 'unix:/tmp/.s.PGSQL.6432'\n" + front + "['192.0.2.1']") ==
        Lines{"warning t:5:18: listener.proxy_protocol: has no effect on UNIX-domain sockets, and there is no other"});
}
