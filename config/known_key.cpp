#include "config/known_key.hpp"

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "config/keys.hpp"
#include "config/spelling.hpp"

namespace config {
namespace {

template <class S>
KnownKey::Shape shape_of(const Key<S>& key) {
    return std::visit(
        []<class T>(T S::*) {
            if constexpr (std::is_same_v<T, bool>) return KnownKey::Shape::boolean;
            if constexpr (std::is_same_v<T, unsigned>) return KnownKey::Shape::integer;
            if constexpr (std::is_same_v<T, double>) return KnownKey::Shape::number;
            constexpr bool is_list = type_in_words<T>().starts_with("a list");
            return is_list ? KnownKey::Shape::list : KnownKey::Shape::text;
        },
        key.target);
}

template <class S>
void add_keys_of(std::vector<KnownKey>& all) {
    const Section<S>& known = section<S>();
    for (const Key<S>& key : known.keys) {
        // A URL of a database may hold a password, and a header or a command a token.
        const bool is_secret = key.rule == Rule::command || key.rule == Rule::web_url || key.name == "inventory" ||
                               key.name == "command" || key.name.find("header") != std::string_view::npos;
        all.push_back({.header = known.header,
                       .name = key.name,
                       .shape = shape_of(key),
                       .default_value = key.default_value,
                       .is_secret = is_secret});
    }
}

/// What libpq and other proxies call it.
struct OtherWord {
    std::string_view word;
    std::string_view told;
};
constexpr std::array other_words{
    OtherWord{"port", R"(a port is a part of the address: hosts = "HOST:PORT", listen = "ADDRESS:PORT")"},
    OtherWord{"bind", R"([[listener]] has listen = "ADDRESS:PORT")"},
    OtherWord{"sslcrldir", R"([upstream.NAME] has sslcrl, which takes files)"},
    OtherWord{"max_client_conn", "[runtime] has max_connections"},
    OtherWord{"superuser_reserved_connections", "[runtime] has reserved_connections, for its reserved_users"},
    OtherWord{"password", "clients bring their own: what pgairlock checks them by is users_file of [auth]"},
    OtherWord{"user", "clients bring their own"},
    OtherWord{"dbname", "clients bring their own"},
};

struct NestedTable {
    std::string_view name;
    std::string_view header;
};
constexpr std::array nested_tables{NestedTable{"tls", "[listener.tls]"},
                                   NestedTable{"certificate", "[[listener.tls.certificate]]"},
                                   NestedTable{"probe", "[audit.probe]"}};

}  // namespace

std::span<const KnownKey> known_keys() {
    static const std::vector<KnownKey> all = [] {
        std::vector<KnownKey> keys;
        add_keys_of<Log>(keys);
        add_keys_of<Runtime>(keys);
        add_keys_of<Listener>(keys);
        add_keys_of<ListenerTls>(keys);
        add_keys_of<Certificate>(keys);
        add_keys_of<Upstream>(keys);
        add_keys_of<Auth>(keys);
        add_keys_of<Audit>(keys);
        add_keys_of<Probe>(keys);
        add_keys_of<Capture>(keys);
        add_keys_of<Admin>(keys);
        add_keys_of<Alert>(keys);
        return keys;
    }();
    return all;
}

std::string_view what_stands_for(std::string_view word) noexcept {
    const auto found =
        std::find_if(other_words.begin(), other_words.end(), [&](const OtherWord& one) { return one.word == word; });
    return found == other_words.end() ? std::string_view{} : found->told;
}

std::string tables_of(std::string_view name) {
    std::vector<std::string_view> headers;
    for (const NestedTable& table : nested_tables) {
        if (table.name == name) return std::string(table.header);
    }
    for (const KnownKey& key : known_keys()) {
        if (key.name == name) headers.push_back(key.header);
    }
    std::string text;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        if (i > 0) text += i + 1 == headers.size() ? " and " : ", ";
        text += headers[i];
    }
    return text;
}

const KnownKey* nearest_of_all(std::string_view name) {
    std::vector<std::string_view> names;
    for (const KnownKey& key : known_keys()) names.push_back(key.name);
    const auto meant = nearest(name, names);
    if (!meant) return nullptr;
    const auto all = known_keys();
    return &*std::find_if(all.begin(), all.end(), [&](const KnownKey& key) { return key.name == *meant; });
}

}  // namespace config
