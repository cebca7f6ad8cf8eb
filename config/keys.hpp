// Every configuration key, once: its name, where its value goes, its default, its meaning, and
// whether a reload takes up a change. Reading a file, error messages, a reload's warnings and
// docs/config.md all come from these tables; adding a key is adding a row.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "config/config.hpp"

namespace config {

/// The member of `Section` that a key is stored in. Its type decides what is accepted.
template <class Section>
using Target =
    std::variant<std::string Section::*, bool Section::*, unsigned Section::*, Duration Section::*, File Section::*,
                 std::vector<std::string> Section::*, std::vector<File> Section::*, std::vector<Address> Section::*,
                 std::vector<Cidr> Section::*, LogLevel Section::*, LogFormat Section::*, ClientTlsMode Section::*,
                 Trust Section::*, ClientCert Section::*, TlsVersion Section::*, protocol::SslMode Section::*,
                 SslNegotiation Section::*, TargetSessionAttrs Section::*, LoadBalanceHosts Section::*,
                 OnDemotion Section::*, protocol::ScramMode Section::*, double Section::*,
                 std::vector<ProbeKind> Section::*, std::vector<TimeWindow> Section::*, std::uint64_t Section::*,
                 CaptureTrigger Section::*, protocol::Payload Section::*, std::vector<unsigned> Section::*,
                 std::vector<AlertKind> Section::*, AlertTemplate Section::*, ProxyProtocol Section::*>;

/// What is asked of a value beyond its type.
enum class Rule {
    none,
    path,            // made absolute; need not exist yet
    positive,        // more than zero
    threads,         // at most 1024
    prewarm,         // at most 1000
    not_empty,       // "" is not among the choices
    listen_address,  // an IP address, a name or "*", with a port, or a UNIX-domain socket
    host_address,    // a host, :5432 unless said otherwise, or a UNIX-domain socket
    server_name,     // a DNS name, "*." allowed in front
    host_name,       // a DNS name or an IP address
    sni,             // a DNS name, or "off"
    http_address,    // an IP address with a port, or a UNIX-domain socket: one of them
    console_socket,  // "unix:" and a path that libpq finds: .../.s.PGSQL.PORT
    command,         // for a shell: may hold a secret, and is shown to nobody
    tcp_timer,       // whole seconds that the kernel takes, or 0
    web_url,         // http or https; most of it is secret (web_url.hpp)
    plain_name,      // letters, digits, '-', '_' and '.': also the name of a folder
};

/// When a changed value takes effect.
enum class TakesEffect { on_reload, at_restart };

template <class S>
struct Key {
    std::string_view name;
    Target<S> target;
    std::string_view default_value;  ///< as TOML; empty: the key is required
    std::string_view meaning;        ///< a sentence of Markdown
    Rule rule = Rule::none;
    TakesEffect takes_effect = TakesEffect::on_reload;
};

/// One table of the file and the struct it fills.
template <class S>
struct Section {
    std::string_view header;  ///< "[[listener]]"
    std::string_view meaning;
    std::vector<Key<S>> keys;
    std::vector<std::string_view> tables;  ///< nested ones, by name
};

/// Defined for Log, Runtime, Listener, ListenerTls, Certificate, Upstream, Auth, Audit, Probe,
/// Capture, Admin and Alert.
template <class S>
const Section<S>& section();

template <>
const Section<Log>& section();
template <>
const Section<Runtime>& section();
template <>
const Section<Listener>& section();
template <>
const Section<ListenerTls>& section();
template <>
const Section<Certificate>& section();
template <>
const Section<Upstream>& section();
template <>
const Section<Auth>& section();
template <>
const Section<Audit>& section();
template <>
const Section<Probe>& section();
template <>
const Section<Capture>& section();
template <>
const Section<Admin>& section();
template <>
const Section<Alert>& section();

/// The names of the tables at the top of the file.
std::span<const std::string_view> top_level_tables() noexcept;

/// How the enumerators are spelled in the file, in the order of their values.
template <class Enum>
std::span<const std::string_view> names() noexcept;

template <>
std::span<const std::string_view> names<LogLevel>() noexcept;
template <>
std::span<const std::string_view> names<LogFormat>() noexcept;
template <>
std::span<const std::string_view> names<ClientTlsMode>() noexcept;
template <>
std::span<const std::string_view> names<ProxyProtocol>() noexcept;
template <>
std::span<const std::string_view> names<Trust>() noexcept;
template <>
std::span<const std::string_view> names<ClientCert>() noexcept;
template <>
std::span<const std::string_view> names<TlsVersion>() noexcept;
template <>
std::span<const std::string_view> names<protocol::SslMode>() noexcept;
template <>
std::span<const std::string_view> names<SslNegotiation>() noexcept;
template <>
std::span<const std::string_view> names<TargetSessionAttrs>() noexcept;
template <>
std::span<const std::string_view> names<LoadBalanceHosts>() noexcept;
template <>
std::span<const std::string_view> names<OnDemotion>() noexcept;
template <>
std::span<const std::string_view> names<protocol::ScramMode>() noexcept;
template <>
std::span<const std::string_view> names<ProbeKind>() noexcept;
template <>
std::span<const std::string_view> names<CaptureTrigger>() noexcept;
template <>
std::span<const std::string_view> names<protocol::Payload>() noexcept;
template <>
std::span<const std::string_view> names<AlertKind>() noexcept;
template <>
std::span<const std::string_view> names<AlertTemplate>() noexcept;

/// The type of a value in words: "a duration", "a list of files". Empty for enumerations, which are
/// described by their names().
template <class T>
constexpr std::string_view type_in_words() noexcept {
    if constexpr (std::is_same_v<T, std::string>) return "a string";
    if constexpr (std::is_same_v<T, bool>) return "a boolean";
    if constexpr (std::is_same_v<T, unsigned>) return "an integer";
    if constexpr (std::is_same_v<T, Duration>) return "a duration";
    if constexpr (std::is_same_v<T, double>) return "a number";
    if constexpr (std::is_same_v<T, std::uint64_t>) return "a size";
    if constexpr (std::is_same_v<T, std::vector<ProbeKind>>) return "a list of kinds";
    if constexpr (std::is_same_v<T, std::vector<AlertKind>>) return "a list of words";
    if constexpr (std::is_same_v<T, std::vector<TimeWindow>>) return "a list of windows";
    if constexpr (std::is_same_v<T, File>) return "a file";
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return "a list of strings";
    if constexpr (std::is_same_v<T, std::vector<File>>) return "a list of files";
    if constexpr (std::is_same_v<T, std::vector<unsigned>>) return "a list of integers";
    if constexpr (std::is_same_v<T, std::vector<Address>>) return "a list of addresses";
    if constexpr (std::is_same_v<T, std::vector<Cidr>>) return "a list of address ranges";
    return "";
}

}  // namespace config
