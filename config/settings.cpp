#include "config/settings.hpp"

#include <cstdio>
#include <ctime>

#include "config/keys.hpp"
#include "config/secret.hpp"
#include "config/web_url.hpp"

namespace config {
namespace {

/// "postgresql://user:secret@host/db" without what may be secret: what is in front of the host, and
/// the options.
std::string without_secrets(const std::string& text) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string::npos) return may_hold_secret(text) ? "..." : text;
    std::string rest = text.substr(scheme + 3);
    const std::size_t options = rest.find('?');
    const std::size_t at = rest.rfind('@');
    if (at != std::string::npos && options < at) return text.substr(0, scheme + 3) + "...";  // who knows what is what
    if (options != std::string::npos) rest.erase(options);
    if (at != std::string::npos) rest.erase(0, at + 1);
    return text.substr(0, scheme + 3) + rest;
}

std::string text_of(const std::string& value) { return without_secrets(value); }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(unsigned value) { return std::to_string(value); }
std::string text_of(std::uint64_t value) { return std::to_string(value); }
std::string text_of(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}
std::string text_of(Duration value) { return std::to_string(value.count()) + "ms"; }
std::string text_of(const File& value) { return value.path; }
std::string text_of(const Address& value) { return to_string(value); }
std::string text_of(const Cidr& value) { return to_string(value); }

std::string text_of(std::chrono::system_clock::time_point time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}
std::string text_of(const TimeWindow& window) { return text_of(window.begin) + "/" + text_of(window.end); }

template <class Enum>
requires std::is_enum_v<Enum> std::string text_of(Enum value) {
    return std::string(names<Enum>()[static_cast<std::size_t>(value)]);
}
std::string text_of(TlsVersion version) { return std::string(to_string(version)); }
std::string text_of(ProbeKind kind) { return std::string(to_string(kind)); }

template <class T>
std::string text_of(const std::vector<T>& values) {
    std::string text;
    for (const T& value : values) text += (text.empty() ? "" : ", ") + text_of(value);
    return text;
}

template <class S>
void add(std::vector<Setting>& all, const std::string& table, const S& section_values) {
    for (const Key<S>& key : section<S>().keys) {
        std::string value = std::visit([&](auto member) { return text_of(section_values.*member); }, key.target);
        if (key.rule == Rule::web_url && !value.empty()) value = shown_web_url(value);
        if (key.rule == Rule::command && !value.empty()) value = "...";  // "echo secret"
        all.push_back({.key = table + "." + std::string(key.name),
                       .value = std::move(value),
                       .default_value = std::string(key.default_value),
                       .reloadable = key.takes_effect == TakesEffect::on_reload});
    }
}

}  // namespace

std::vector<Setting> settings(const Config& config) {
    std::vector<Setting> all;
    add(all, "log", config.log);
    add(all, "runtime", config.runtime);
    for (const Listener& listener : config.listeners) {
        const std::string table = "listener." + listener.name;
        add(all, table, listener);
        add(all, table + ".tls", listener.tls);
        for (std::size_t i = 0; i < listener.tls.certificate.size(); ++i)
            add(all, table + ".tls.certificate." + std::to_string(i + 1), listener.tls.certificate[i]);
    }
    for (const Upstream& upstream : config.upstreams) add(all, "upstream." + upstream.name, upstream);
    add(all, "auth", config.auth);
    add(all, "audit", config.audit);
    add(all, "audit.probe", config.audit.probe);
    add(all, "capture", config.capture);
    add(all, "admin", config.admin);
    for (const Alert& alert : config.alerts) add(all, "alert." + alert.name, alert);
    return all;
}

}  // namespace config
