#include "config/discovery.hpp"

#include <algorithm>
#include <array>

#include "config/parse.hpp"

namespace config {
namespace {

/// In lower case, and without the root's dot.
std::string normal(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    std::string text(name);
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return text;
}

bool is_alphanumeric(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

bool is_label(std::string_view text) {
    constexpr std::size_t longest = 63;
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !text.empty() && text.size() <= longest && text.front() != '-' && text.back() != '-' &&
           std::all_of(text.begin(), text.end(), fits);
}

/// What is behind the first dot; empty: nothing is.
std::string_view parent(std::string_view name) {
    const auto dot = name.find('.');
    return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

/// "eu-west-1.rds.amazonaws.com", and as it is in China.
bool is_region_of_rds(std::string_view domain) {
    for (const std::string_view end : {".rds.amazonaws.com", ".rds.amazonaws.com.cn"}) {
        if (domain.ends_with(end) && is_label(domain.substr(0, domain.size() - end.size()))) return true;
    }
    constexpr std::string_view begin = "rds.", end = ".amazonaws.com.cn";
    return domain.starts_with(begin) && domain.ends_with(end) && domain.size() > begin.size() + end.size() &&
           is_label(domain.substr(begin.size(), domain.size() - begin.size() - end.size()));
}

bool is_within(std::string_view name, std::string_view domain) {
    return name == domain || (name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

bool has_name(const Address& host) { return host.kind == Address::Kind::tcp && !is_ip_address(host.host); }

DiscoveryDomain of_pattern(const std::vector<Address>& hosts, std::string_view pattern) {
    const auto wrong = [](std::string why) { return DiscoveryDomain{.error = std::move(why), .of_pattern = true}; };
    const std::string text = normal(pattern);
    const std::string_view domain = parent(text);
    if (!text.starts_with("?.") || !is_dns_name(domain) || is_ip_address(domain) || parent(domain).empty())
        return wrong("is not of the form \"?.db.example.com\": \"?\" stands for the instance, as the first label");
    for (const Address& host : hosts) {
        if (!has_name(host)) continue;
        const std::string name = normal(host.host);
        const std::string_view around = parent(name);
        const bool is_named = !parent(around).empty() && is_within(domain, around);
        if (is_named || domain == instance_domain(name)) return {.domain = std::string(domain)};
    }
    return wrong("is not within the domain of any of hosts: a server must not send clients anywhere else");
}

}  // namespace

std::optional<std::string> instance_domain(std::string_view name) {
    const std::string whole = normal(name);
    const std::string_view rest = parent(whole);
    const std::string_view region = parent(rest);
    if (!is_region_of_rds(region) || !is_label(std::string_view(whole).substr(0, whole.find('.')))) return std::nullopt;
    std::string_view account = rest.substr(0, rest.find('.'));
    for (const std::string_view kind : {"cluster-ro-", "cluster-custom-", "cluster-"}) {
        if (!account.starts_with(kind)) continue;
        account.remove_prefix(kind.size());
        break;
    }
    // Of RDS Proxy ("proxy-") and the like no instance has a name.
    if (!is_alphanumeric(account)) return std::nullopt;
    return std::string(account) + "." + std::string(region);
}

DiscoveryDomain discovery_domain(const std::vector<Address>& hosts, std::string_view pattern) {
    if (!pattern.empty()) return of_pattern(hosts, pattern);
    DiscoveryDomain found;
    for (const Address& host : hosts) {
        const auto domain = has_name(host) ? instance_domain(host.host) : std::nullopt;
        if (!domain) continue;
        if (!found.domain.empty() && found.domain != *domain)
            return {.error = "finds hosts of two domains: \"" + found.domain + "\" and \"" + *domain +
                             "\". Give discover_pattern, or an upstream to each"};
        found.domain = *domain;
    }
    if (found.domain.empty())
        found.error =
            "needs a name that Amazon RDS has given in hosts, such as "
            "\"orders.cluster-abc123.eu-west-1.rds.amazonaws.com:5432\", or discover_pattern";
    return found;
}

std::optional<std::string> instance_name(std::string_view id, std::string_view domain) {
    std::string name = std::string(id) + "." + std::string(domain);
    if (!is_label(id) || !is_dns_name(name)) return std::nullopt;
    return name;
}

}  // namespace config
