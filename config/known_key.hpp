// Every key of every table by its name, for messages about keys that stand in the wrong place.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace config {

struct KnownKey {
    enum class Shape { text, boolean, integer, number, list };

    std::string_view header;  ///< of its table: "[listener.tls]"
    std::string_view name;
    Shape shape = Shape::text;
    std::string_view default_value;  ///< as TOML; empty: none
    bool is_secret = false;          ///< its value may hold one, and is shown to nobody
};

/// In the order of docs/config.md.
std::span<const KnownKey> known_keys();

/// "[listener.tls]", "[audit.probe] and [capture]": where a key or a table of this name belongs.
/// Empty: nowhere.
std::string tables_of(std::string_view name);

/// For a word of libpq's or of other proxies: what there is instead, in a sentence. Empty: nothing.
std::string_view what_stands_for(std::string_view word) noexcept;

/// The key of any table that `name` was probably meant to be; nullptr: none.
const KnownKey* nearest_of_all(std::string_view name);

}  // namespace config
