#include "proxy/http/http_guard.hpp"

#include <array>

#include "protocol/base64.hpp"
#include "support/catch.hpp"

using namespace proxy;

namespace {

HttpRequest asking(const std::string& path) {
    return {.method = "GET", .path = path, .version = 11, .hosts = {"localhost"}, .authorization = {}, .accept = {}};
}

unsigned status(const HttpRequest& request, const HttpGuard& guard) {
    const auto refusal = refused_request(request, guard);
    return refusal ? refusal->status : 200;
}

const HttpGuard open_guard{.names = {"db-proxy", "proxy.example.com"}, .token = {}, .needs_token = false};

}  // namespace

TEST_CASE("addresses, localhost and our names are ours, whatever their port and case") {
    for (const char* host : {"localhost", "LOCALHOST:6433", "127.0.0.1", "10.0.0.7:80", "[::1]", "[fe80::1]:6433",
                             "db-proxy", "Proxy.Example.COM:6433", "proxy.example.com."}) {
        INFO(host);
        CHECK(is_our_host(host, open_guard));
    }
}

TEST_CASE("no other name is ours, however it begins or ends") {
    for (const char* host : {"",
                             ":80",
                             "example.com",
                             "localhost.evil.example",
                             "evil-localhost",
                             "127.0.0.1.evil.example",
                             "2130706433",
                             "0x7f000001",
                             "[localhost]",
                             "[127.0.0.1]",
                             "[::1",
                             "::1",
                             "[::1]x",
                             "[::1]:x",
                             "localhost:",
                             "localhost:99999",
                             "localhost:80:80",
                             "user@localhost",
                             "localhost/",
                             "proxy.example.com.evil.example",
                             "localhost "}) {
        INFO(host);
        CHECK_FALSE(is_our_host(host, open_guard));
    }
}

TEST_CASE("a request has one Host, and only one of HTTP/1.0 may have none") {
    HttpRequest request = asking("/livez");
    CHECK(status(request, open_guard) == 200);
    request.hosts = {"localhost", "localhost"};
    CHECK(status(request, open_guard) == 400);
    request.hosts = {};
    CHECK(status(request, open_guard) == 400);
    request.version = 10;
    CHECK(status(request, open_guard) == 200);
    request.hosts = {"evil.example"};
    CHECK(status(request, open_guard) == 421);
}

TEST_CASE("whoever asks for more than to look is refused before anything is done") {
    HttpRequest request = asking("/livez");
    request.method = "HEAD";
    CHECK(status(request, open_guard) == 200);
    for (const char* method : {"POST", "PUT", "get", "", "DELETE"}) {
        request.method = method;
        const auto refusal = refused_request(request, open_guard);
        REQUIRE(refusal);
        CHECK(refusal->status == 405);
        CHECK(refusal->close);
    }
    request.method = "GET";
    request.has_body = true;
    CHECK(status(request, open_guard) == 400);
}

TEST_CASE("without the token only health checks are answered") {
    const HttpGuard guard{.names = {}, .token = "0123456789abcdef", .needs_token = true};
    for (const char* path : {"/livez", "/startupz", "/readyz", "/upstreamz"}) CHECK(status(asking(path), guard) == 200);
    for (const char* path : {"/metrics", "/", "", "/livez/", "/livez/../metrics", "/LIVEZ", "/api/sessions.json"}) {
        INFO(path);
        CHECK(status(asking(path), guard) == 401);
    }
    HttpRequest request = asking("/metrics");
    for (const char* header : {"Bearer 0123456789abcdef", "bearer 0123456789abcdef"}) {
        request.authorization = header;
        CHECK(status(request, guard) == 200);
    }
    for (const char* header : {"Bearer 0123456789abcde", "Bearer 0123456789abcdeF", "Bearer  0123456789abcdef",
                               "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef"}) {
        INFO(header);
        request.authorization = header;
        CHECK(status(request, guard) == 401);
    }
}

TEST_CASE("whoever has the token as Bearer may ask under any name, and nobody else") {
    const HttpGuard guard{.names = {}, .token = "0123456789abcdef", .needs_token = true};
    HttpRequest request = asking("/metrics");
    request.hosts = {"orders-proxy:6433"};
    const auto refusal = refused_request(request, guard);
    REQUIRE(refusal);
    CHECK(refusal->status == 421);
    for (const char* word : {"an address", "runtime.name", "a name of a listener's certificate", "Bearer TOKEN"}) {
        INFO(word);
        CHECK(refusal->body.find(word) != std::string::npos);
    }
    request.authorization = "Bearer 0123456789abcdef";
    CHECK(status(request, guard) == 200);
    CHECK(status(request, open_guard) == 421);  // no token is set: this is nobody's
    request.method = "POST";
    CHECK(status(request, guard) == 405);
    request.method = "GET";
    request.hosts = {"orders-proxy", "orders-proxy"};
    CHECK(status(request, guard) == 400);
    request.hosts = {"orders-proxy"};
    // ":0123456789abcdef": a browser may send a password by itself.
    for (const char* other : {"Bearer 0123456789abcdeF", "Bearer ", "", "Basic OjAxMjM0NTY3ODlhYmNkZWY="}) {
        INFO(other);
        request.authorization = other;
        CHECK(status(request, guard) == 421);
    }
    request.hosts = {"localhost"};
    CHECK(status(request, guard) == 200);
}

TEST_CASE("beyond loopback a token that is not set is one that nobody has") {
    const HttpGuard guard{.names = {}, .token = {}, .needs_token = true};
    HttpRequest request = asking("/metrics");
    CHECK(status(request, guard) == 401);
    request.authorization = "Bearer ";
    CHECK(status(request, guard) == 401);
    CHECK(status(asking("/readyz"), guard) == 200);
}

TEST_CASE("a browser sends the token as a password, and is asked for it") {
    const HttpGuard guard{.names = {}, .token = "0123456789abcdef", .needs_token = true};
    const auto refusal = refused_request(asking("/"), guard);
    REQUIRE(refusal);
    std::vector<std::string> challenges;
    for (const auto& [name, value] : refusal->headers) {
        if (name == "WWW-Authenticate") challenges.push_back(value.substr(0, value.find(' ')));
    }
    CHECK(challenges == std::vector<std::string>{"Bearer", "Basic"});
    HttpRequest request = asking("/");
    const auto basic = [&](const std::string& pair) {
        const protocol::Buffer bytes(pair.begin(), pair.end());
        request.authorization = "Basic " + protocol::base64_encode(bytes);
        return status(request, guard);
    };
    for (const char* pair : {":0123456789abcdef", "admin:0123456789abcdef"}) CHECK(basic(pair) == 200);
    for (const char* pair : {"0123456789abcdef", "0123456789abcdef:", "admin:0123456789abcdef ", "a:b:0123456789abcdef",
                             "admin:0123456789ABCDEF", ":", ""}) {
        INFO(pair);
        CHECK(basic(pair) == 401);
    }
    request.authorization = "Basic !!!!";
    CHECK(status(request, guard) == 401);
    request.authorization = "Digest 0123456789abcdef";
    CHECK(status(request, guard) == 401);
}

TEST_CASE("whoever lacks the token is told where it is, how it is sent, and what needs none") {
    HttpGuard guard{.names = {}, .token = "0123456789abcdef", .needs_token = true};
    std::string body = refused_request(asking("/metrics"), guard)->body;
    for (const char* word : {"the file that admin.http_token_file names", "Authorization: Bearer TOKEN", "curl -H",
                             "/livez, /startupz, /readyz, /upstreamz"}) {
        INFO(word);
        CHECK(body.find(word) != std::string::npos);
    }
    CHECK(body.find(guard.token) == std::string::npos);
    guard.token_place = "the file of --token-file";
    body = refused_request(asking("/metrics"), guard)->body;
    CHECK(body.find("the file of --token-file") != std::string::npos);
}

TEST_CASE("whoever asks for what is not there is told what there is, and which was probably meant") {
    constexpr std::array paths{HttpPath{"/livez", "alive"}, HttpPath{"/readyz", "ready"},
                               HttpPath{"/metrics", "counters"}, HttpPath{"/", "the dashboard"}};
    const auto body = [&](std::string_view asked) {
        const HttpResponse response = http_not_found(asked, paths);
        CHECK(response.status == 404);
        return response.body;
    };
    CHECK(body("/nowhere/at/all") ==
          "there is nothing at this path. There are:\n  /livez  alive\n  /readyz  ready\n  /metrics  counters\n"
          "  /  the dashboard\n");
    const auto meant = [&](std::string_view asked) {
        const std::string text = body(asked);
        const std::size_t at = text.find("did you mean ");
        return at == std::string::npos ? "" : text.substr(at + 13, text.find('?', at) - at - 13);
    };
    for (const char* asked : {"/healthz", "/health", "/livez/", "/live", "/livz"}) CHECK(meant(asked) == "/livez");
    for (const char* asked : {"/ready", "/readyz/", "/redyz"}) CHECK(meant(asked) == "/readyz");
    for (const char* asked : {"/metric", "/prometheus", "/metrics//"}) CHECK(meant(asked) == "/metrics");
    for (const char* asked : {"", "/<script>", "//", "/x"}) CHECK(meant(asked).empty());
    CHECK(body("/<script>").find("script") == std::string::npos);
}
