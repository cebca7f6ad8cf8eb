#include "config/check_listen.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "config/keys.hpp"
#include "config/load.hpp"
#include "config/parse.hpp"
#include "config/spelling.hpp"

namespace config {
namespace {

constexpr int ipv4_prefix = 96;  // of IPv4-mapped addresses
constexpr std::string_view every_address = "*";

/// One that is bound, and who says so.
struct Bound {
    Address address;
    std::string what;  // "line 3", "admin.http"
};

/// nullopt: a name, which stands for what a name server says.
std::optional<std::array<std::uint8_t, 16>> bytes_of(const Address& address) {
    const std::string host = address.host.substr(0, address.host.find('%'));
    const auto range = parse_cidr(host);
    return range ? std::optional(range->bytes) : std::nullopt;
}

bool is_v4(const std::array<std::uint8_t, 16>& bytes) {
    static const auto mapped = parse_cidr("::ffff:0:0/96");
    return mapped->contains(bytes);
}

bool is_any(const std::array<std::uint8_t, 16>& bytes) {
    const auto begin = bytes.begin() + (is_v4(bytes) ? ipv4_prefix / 8 : 0);
    return std::all_of(begin, bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool is_one_path(const std::string& a, const std::string& b) {
    return std::filesystem::path(a).lexically_normal() == std::filesystem::path(b).lexically_normal();
}

/// Whether the kernel refuses the second. 0.0.0.0 is every IPv4 address, and [::] every IPv6
/// address and no other (IPV6_V6ONLY).
bool exclude_each_other(const Address& a, const Address& b) {
    if (a.kind != b.kind) return false;
    if (a.kind == Address::Kind::unix_socket) return is_one_path(a.host, b.host);
    if (a.port != b.port || a.port == 0) return false;  // the kernel chooses another port for each 0
    if (a.host == every_address || b.host == every_address) return true;
    const auto first = bytes_of(a), second = bytes_of(b);
    if (!first || !second) return a.host == b.host;
    if (*first == *second) return a.host.find('%') == std::string::npos || a.host == b.host;
    return is_v4(*first) == is_v4(*second) && (is_any(*first) || is_any(*second));
}

/// Whether a connection to `host` arrives at `listener`.
bool leads_to(const Address& host, const Address& listener) {
    if (host.kind != listener.kind) return false;
    if (host.kind == Address::Kind::unix_socket) return is_one_path(host.host, listener.host);
    if (host.port != listener.port) return false;
    if (host.host == listener.host) return true;
    const auto to = bytes_of(host), at = bytes_of(listener);
    if (!to || !at) return false;
    const bool is_own = is_of_this_host(host) && is_any(*at) && is_v4(*to) == is_v4(*at);
    return *to == *at || is_own;
}

std::string place_of(const Origin& origin) {
    return origin.line > 0 ? "line " + std::to_string(origin.line) : origin.key;
}

void check_names(const std::vector<Listener>& listeners, Reading& reading) {
    std::map<std::string, Origin> names;
    for (const Listener& listener : listeners) {
        Origin origin = listener.origin;
        origin.key += ".name";
        if (names.emplace(listener.name, origin).second) continue;
        reading.error(origin, in_quotes(listener.name) + " is the name of an earlier listener; names must differ");
    }
}

void add(const Address& address, const std::string& what, std::vector<Bound>& bound, Reading& reading) {
    const auto earlier = std::find_if(bound.begin(), bound.end(),
                                      [&](const Bound& other) { return exclude_each_other(address, other.address); });
    if (earlier == bound.end()) return bound.push_back({address, what});
    const std::string same = to_string(address), other = to_string(earlier->address);
    reading.error(address.origin, in_quotes(same) + " is listened on already, by " + earlier->what +
                                      (same == other ? "" : ": " + in_quotes(other)));
}

bool covers_everything(const std::vector<Cidr>& allow) {
    return std::any_of(allow.begin(), allow.end(), [](const Cidr& range) {
        // Half of all addresses is no network either.
        return is_v4(range.bytes) ? range.prefix_length <= ipv4_prefix + 1 : range.prefix_length <= 1;
    });
}

/// Whoever is believed can be anybody, so it has to be said who is.
void check_front(const Node& table, const Listener& listener, Reading& reading) {
    const bool has_front = listener.proxy_protocol == ProxyProtocol::require;
    if (has_front && listener.trusted_proxies.empty()) {
        reading.error(table.where(table.find("trusted_proxies") ? "trusted_proxies" : "proxy_protocol"),
                      R"(proxy_protocol = "require" needs trusted_proxies: the addresses of the load balancers that )"
                      "are believed what their headers say");
    }
    if (!has_front && table.gives("trusted_proxies"))
        reading.warn(table.where("trusted_proxies"), R"(has no effect without proxy_protocol = "require")");
    if (has_front && covers_everything(listener.trusted_proxies)) {
        reading.warn(table.where("trusted_proxies"),
                     "believes everybody: whoever connects may name any address as its own, also one in allow");
    }
    if (has_front && table.find("allow") == nullptr) {
        reading.warn(table.where("proxy_protocol"),
                     "only clients of this host are let in: allow, which is asked of the address in the header, is "
                     "this host alone unless it is given");
    }
    const bool only_unix = std::all_of(listener.listen.begin(), listener.listen.end(), [](const Address& address) {
        return address.kind == Address::Kind::unix_socket;
    });
    if (has_front && only_unix)
        reading.warn(table.where("proxy_protocol"), "has no effect on UNIX-domain sockets, and there is no other");
}

/// What libpq makes of host=FOLDER port=PORT.
void check_unix(const Address& address, Reading& reading) {
    const std::filesystem::path path(address.host);
    if (!path.filename().string().starts_with(".s.PGSQL."))
        reading.warn(address.origin, in_quotes(to_string(address)) +
                                         " is not found by libpq, whose sockets are FOLDER/.s.PGSQL.PORT, such as " +
                                         in_quotes("unix:" + (path.parent_path() / ".s.PGSQL.5432").string()));
}

}  // namespace

void check_sockets(const Config& config, Reading& reading) {
    check_names(config.listeners, reading);
    std::vector<Bound> bound;
    for (const Listener& listener : config.listeners) {
        for (const Address& address : listener.listen) add(address, place_of(address.origin), bound, reading);
    }
    if (auto http = parse_address(config.admin.http)) {
        http->origin = config.admin.http_origin;
        add(*http, "admin.http", bound, reading);
    }
    auto console = parse_address(config.admin.console);
    if (console && console->host.starts_with('/')) {
        console->origin = config.admin.console_origin;
        add(*console, "admin.console", bound, reading);
    }
    for (const Listener& listener : config.listeners) {
        const Upstream* const upstream = config.find_upstream(listener.upstream);
        if (!upstream) continue;
        for (const Address& host : upstream->hosts) {
            const auto own = std::find_if(listener.listen.begin(), listener.listen.end(),
                                          [&](const Address& address) { return leads_to(host, address); });
            if (own == listener.listen.end()) continue;
            reading.error(host.origin, in_quotes(to_string(host)) + " is where the proxy itself listens for it, by " +
                                           place_of(own->origin) + ": each client would come in again, without end");
        }
    }
}

void check_doors(const Node& table, const Listener& listener, Reading& reading) {
    check_front(table, listener, reading);
    for (const Address& address : listener.listen) {
        if (address.kind == Address::Kind::unix_socket) {
            check_unix(address, reading);
            continue;
        }
        if (is_of_this_host(address) || address.host == "localhost") continue;
        const bool is_told = listener.proxy_protocol == ProxyProtocol::require;  // of the same, in other words
        if (!is_told && !table.gives("allow") && table.find("allow") == nullptr) {
            reading.warn(address.origin, in_quotes(to_string(address)) +
                                             " is reached from other hosts, whose clients are all refused: allow, "
                                             "which says who is let in, is this host alone unless it is given");
        }
        if (covers_everything(listener.allow) && listener.tls.mode != ClientTlsMode::require) {
            reading.warn(address.origin, in_quotes(to_string(address)) +
                                             " is open to everybody, also in clear, where passwords can be read: "
                                             "narrow allow, or set [listener.tls] mode = \"require\"");
        }
    }
}

}  // namespace config
