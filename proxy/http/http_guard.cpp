#include "proxy/http/http_guard.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "config/parse.hpp"
#include "config/spelling.hpp"
#include "protocol/base64.hpp"
#include "tls/certificates.hpp"

namespace proxy {
namespace {

std::string lower_cased(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower;
}

constexpr char host_is_not_ours[] =
    "that Host is no name of ours: use an address, localhost, the host's name, runtime.name or a name of a listener's "
    "certificate. With the token as Authorization: Bearer TOKEN any Host is right.";

bool is_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port <= 65535;
}

/// "localhost" of "localhost:6433", "::1" of "[::1]:6433"; nullopt: neither of the kind.
std::optional<std::string_view> without_port(std::string_view host) {
    if (host.starts_with('[')) {
        const std::size_t end = host.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view rest = host.substr(end + 1);
        if (!rest.empty() && !(rest.front() == ':' && is_port(rest.substr(1)))) return std::nullopt;
        const std::string_view address = host.substr(1, end - 1);
        if (address.find(':') == std::string_view::npos || !config::is_ip_address(address)) return std::nullopt;
        return address;
    }
    const std::size_t colon = host.find(':');
    if (colon == std::string_view::npos) return host;
    return is_port(host.substr(colon + 1)) ? std::optional(host.substr(0, colon)) : std::nullopt;
}

/// Says by its time nothing of how much was right.
bool is_same_secret(std::string_view a, std::string_view b) {
    const std::string x = tls::sha256_hex(a.data(), a.size()), y = tls::sha256_hex(b.data(), b.size());
    return CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

/// What was given as the token: by programs as Bearer (RFC 6750), by browsers, which ask people, as
/// the password of Basic (RFC 7617), whoever the user is.
std::optional<std::string> token_of(std::string_view authorization) {
    const std::size_t space = std::min(authorization.find(' '), authorization.size());
    const std::string scheme = lower_cased(authorization.substr(0, space));
    std::string_view rest = authorization.substr(std::min(space + 1, authorization.size()));
    if (scheme == "bearer") return std::string(rest);
    if (scheme != "basic") return std::nullopt;
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    const auto decoded = protocol::base64_decode(rest);
    if (!decoded) return std::nullopt;
    const std::string pair(decoded->begin(), decoded->end());
    const std::size_t colon = pair.find(':');
    return colon == std::string::npos ? std::nullopt : std::optional(pair.substr(colon + 1));
}

/// What other servers call it.
std::string_view usual_name(std::string_view path) noexcept {
    using Pair = std::pair<std::string_view, std::string_view>;
    static constexpr std::array usual{
        Pair{"/health", "/livez"},       Pair{"/healthz", "/livez"},     Pair{"/healthcheck", "/livez"},
        Pair{"/live", "/livez"},         Pair{"/liveness", "/livez"},    Pair{"/ping", "/livez"},
        Pair{"/ready", "/readyz"},       Pair{"/readiness", "/readyz"},  Pair{"/startup", "/startupz"},
        Pair{"/upstream", "/upstreamz"}, Pair{"/prometheus", "/metrics"}};
    const auto found = std::find_if(usual.begin(), usual.end(), [&](const Pair& one) { return one.first == path; });
    return found == usual.end() ? path : found->second;
}

/// A page of somebody else's cannot have the token; and a browser adds no Bearer by itself, as it
/// may a password that it remembers.
bool has_bearer_token(const HttpRequest& request, const HttpGuard& guard) {
    const bool is_bearer = lower_cased(request.authorization).starts_with("bearer ");
    return is_bearer && !guard.token.empty() && is_authorized(request, guard);
}

/// How the token is given, which is not in it.
std::string how_to_send(const HttpGuard& guard) {
    return "this needs the token, which is in " + guard.token_place +
           ". Send it as a header:\n"
           "  Authorization: Bearer TOKEN\n"
           "  curl -H \"Authorization: Bearer $(cat TOKEN_FILE)\" http://ADDRESS:PORT/metrics\n"
           "A browser asks for it: any user name, and the token as the password.\n"
           "Without it: /livez, /startupz, /readyz, /upstreamz (without its reasons).";
}

}  // namespace

HttpResponse http_not_found(std::string_view asked, std::span<const HttpPath> paths) {
    while (asked.size() > 1 && asked.ends_with('/')) asked.remove_suffix(1);
    asked = usual_name(asked);
    std::vector<std::string_view> known;
    for (const HttpPath& one : paths) known.push_back(one.path);
    const bool is_one = std::find(known.begin(), known.end(), asked) != known.end();
    const auto meant = is_one ? std::optional(asked) : asked.empty() ? std::nullopt : config::nearest(asked, known);
    std::string text = "there is nothing at this path";
    text += meant && *meant != "/" ? "; did you mean " + std::string(*meant) + "?" : ".";
    text += " There are:";
    for (const HttpPath& one : paths) text += "\n  " + std::string(one.path) + "  " + std::string(one.meaning);
    return http_text(404, std::move(text));
}

HttpResponse http_text(unsigned status, std::string line) {
    HttpResponse response{.status = status, .body = std::move(line)};
    response.body += '\n';
    return response;
}

bool is_health_path(std::string_view path) noexcept {
    constexpr std::array paths{"/livez", "/startupz", "/readyz", "/upstreamz"};
    return std::find(paths.begin(), paths.end(), path) != paths.end();
}

void add_host_name(std::set<std::string>& names, std::string_view name) {
    if (config::is_dns_name(name)) names.insert(lower_cased(name));
}

bool is_our_host(std::string_view host, const HttpGuard& guard) {
    const auto name = without_port(host);
    if (!name || name->empty()) return false;
    if (config::is_ip_address(*name)) return true;
    std::string ours = lower_cased(*name);
    if (ours.ends_with('.')) ours.pop_back();
    return ours == "localhost" || guard.names.contains(ours);
}

bool is_authorized(const HttpRequest& request, const HttpGuard& guard) {
    if (guard.token.empty()) return !guard.needs_token;
    const auto given = token_of(request.authorization);
    return given && is_same_secret(*given, guard.token);
}

std::optional<HttpResponse> refused_request(const HttpRequest& request, const HttpGuard& guard) {
    HttpResponse refusal;
    // No browser speaks HTTP/1.0 without Host, and port checks do.
    if (request.hosts.size() != 1 && !(request.hosts.empty() && request.version < 11)) {
        refusal = http_text(400, "a request has one Host");
    } else if (!request.hosts.empty() && !is_our_host(request.hosts.front(), guard) &&
               !has_bearer_token(request, guard)) {
        refusal = http_text(421, host_is_not_ours);
    } else if (request.method != "GET" && request.method != "HEAD") {
        refusal =
            http_text(405,
                      "GET and HEAD only: nothing is changed over HTTP. What commands are there, such as RELOAD, is "
                      "said by pgairlock help, and on the console by SHOW HELP.");
        refusal.headers.emplace_back("Allow", "GET, HEAD");
    } else if (request.has_body) {
        refusal = http_text(400, "GET has no body here");
    } else if (!is_health_path(request.path) && !is_authorized(request, guard)) {
        refusal = http_text(401, how_to_send(guard));
        refusal.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"pgairlock\"");
        refusal.headers.emplace_back("WWW-Authenticate", "Basic realm=\"pgairlock\", charset=\"UTF-8\"");
        return refusal;  // and may be asked again, with it
    } else {
        return std::nullopt;
    }
    refusal.close = true;
    return refusal;
}

}  // namespace proxy
