#include "config/web_url.hpp"

#include <algorithm>

#include "config/load.hpp"
#include "config/parse.hpp"

namespace config {
namespace {

constexpr std::size_t max_url = 4096;
constexpr std::string_view https = "https://", http = "http://";

ParsedWebUrl failed(std::string why) { return {.url = std::nullopt, .error = std::move(why)}; }

/// Printable ASCII without blanks: what a request line may hold.
bool is_clean(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

bool is_own_host(const WebUrl& url) {
    if (url.host == "localhost") return true;
    Address address{.kind = Address::Kind::tcp, .host = url.host, .port = url.port, .origin = {}};
    return is_ip_address(url.host) && is_of_this_host(address);
}

}  // namespace

ParsedWebUrl parse_web_url(std::string_view text) {
    WebUrl url{.tls = text.starts_with(https), .host = {}, .target = {}};
    if (!url.tls && !text.starts_with(http)) return failed("is no URL that begins with https://");
    if (text.size() > max_url || !is_clean(text))
        return failed("is no URL: at most 4096 characters, without blanks and beyond ASCII only as %XX");
    text.remove_prefix(url.tls ? https.size() : http.size());
    const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
    const std::string_view authority = text.substr(0, end);
    url.target = text.substr(end, text.find('#') - end);
    if (!url.target.starts_with('/')) url.target.insert(0, "/");
    if (authority.find('@') != std::string_view::npos)
        return failed("has a user or a password in front of its host, which is not sent: use token_file");
    const bool has_port =
        authority.find(':', authority.starts_with('[') ? authority.find(']') : 0) != std::string_view::npos;
    const auto address =
        parse_address(has_port ? std::string(authority) : std::string(authority) + (url.tls ? ":443" : ":80"));
    if (!address || address->kind != Address::Kind::tcp || address->port == 0 ||
        !(is_dns_name(address->host) || is_ip_address(address->host)))
        return failed("names no host: https://HOST/PATH, or https://HOST:PORT/PATH");
    url.host = address->host;
    url.port = address->port;
    if (!url.tls && !is_own_host(url))
        return failed("would send in clear text to " + url.host +
                      ": http:// is for this host alone (localhost), use https://");
    return {.url = std::move(url), .error = {}};
}

std::string shown(const WebUrl& url) {
    const bool is_default = url.port == (url.tls ? 443 : 80);
    const bool is_ipv6 = url.host.find(':') != std::string::npos;
    return std::string(url.tls ? https : http) + (is_ipv6 ? "[" + url.host + "]" : url.host) +
           (is_default ? "" : ":" + std::to_string(url.port)) + "/...";
}

std::string shown_web_url(std::string_view text) {
    const ParsedWebUrl parsed = parse_web_url(text);
    return parsed.url ? shown(*parsed.url) : "...";
}

}  // namespace config
