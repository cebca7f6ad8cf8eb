// Host, Authorization and Accept of an HTTP request with any contents: nobody gets in by an odd
// spelling.
#include <algorithm>
#include <cstdlib>

#include "protocol/bytes.hpp"
#include "proxy/http/http_guard.hpp"
#include "proxy/metrics/exposition.hpp"
#include "tls/certificates.hpp"

/// Stands in for a digest: of the same size for all, and that of the token for the token alone.
std::string tls::sha256_hex(const void* data, std::size_t size) {
    std::string text(static_cast<const char*>(data), std::min<std::size_t>(size, 100));
    text.resize(100);
    return text + std::to_string(100'000'000 + size);
}

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

constexpr std::string_view name = "proxy.example.com";
constexpr std::string_view token = "0123456789abcdef";

std::string lower_cased(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

/// A name of ours, with a dot or a port behind it or without.
bool is_ours(const std::string& host) {
    for (const std::string_view known : {name, std::string_view("localhost")}) {
        if (!host.starts_with(known)) continue;
        std::string_view rest = std::string_view(host).substr(known.size());
        if (rest.starts_with('.')) rest.remove_prefix(1);
        if (rest.empty() || (rest.front() == ':' && rest.find_first_not_of("0123456789", 1) == rest.npos)) return true;
    }
    return false;
}

/// A zone behind '%' is of this machine, and no name either.
bool is_address(const std::string& host) {
    const std::string address = host.starts_with('[') ? host.substr(0, host.find('%')) : host;
    return address.find_first_not_of("0123456789abcdef.:[]") == address.npos;
}

}  // namespace

/// A byte of what is set, and three texts with NUL between them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view input = protocol::as_text({data + 1, size - 1});
    const auto next = [&input] {
        const std::string text(input.substr(0, input.find('\0')));
        input.remove_prefix(std::min(text.size() + 1, input.size()));
        return text;
    };
    const proxy::HttpGuard guard{.names = {std::string(name)},
                                 .token = data[0] & 1 ? std::string(token) : std::string(),
                                 .needs_token = (data[0] & 2) != 0};
    proxy::HttpRequest request{.method = "GET", .path = data[0] & 4 ? "/livez" : "/metrics"};
    request.hosts = {next()};
    if (data[0] & 8) request.hosts.push_back("proxy.example.com");
    request.authorization = next();
    request.accept = next();

    const std::string host = lower_cased(request.hosts.front());
    if (proxy::is_our_host(request.hosts.front(), guard)) check(is_ours(host) || is_address(host));
    const bool authorized = proxy::is_authorized(request, guard);
    if (guard.token.empty()) {
        check(authorized == !guard.needs_token);
    } else {
        const std::string& given = request.authorization;
        check(authorized == (lower_cased(given.substr(0, 7)) == "bearer " && given.substr(7) == token));
    }
    const auto refused = proxy::refused_request(request, guard);
    check(!refused || (refused->status >= 400 && refused->status < 500));
    if (!refused) check(request.hosts.size() == 1 && (authorized || request.path == "/livez"));
    if (proxy::accepted_format(request.accept) == proxy::Exposition::Format::openmetrics)
        check(lower_cased(request.accept).find("application/openmetrics-text") != std::string::npos);
    return 0;
}
