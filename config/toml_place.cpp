#include <algorithm>

#include "config/secret.hpp"
#include "config/toml_finding.hpp"

namespace config {

bool begins_table(std::string_view line) {
    line = trimmed(without_comment(line));
    // Not an element of a list of lists, nor "[::1]:5432", nor a table and a key in one line.
    return line.starts_with('[') && line.find_first_of(",:=") == std::string_view::npos;
}

int open_brackets(std::string_view value) {
    int open = 0;
    for (const std::string_view part : value_parts(value)) open += part == "[" ? 1 : part == "]" ? -1 : 0;
    return open;
}

Place place_in(std::string_view text, int line) {
    Place place;
    while (static_cast<int>(place.lines.size()) < line && !text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        place.lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (place.lines.empty() || static_cast<int>(place.lines.size()) < line) place.lines.emplace_back();
    const std::size_t here = place.lines.size() - 1;
    place.header = place.opening = place.lines.size();
    int open = 0;
    for (std::size_t i = 0; i < here; ++i) {
        if (begins_table(place.lines[i]) && open <= 0) {
            place.header = i;
            place.opening = place.lines.size();
            open = 0;
            continue;
        }
        const TomlLine split = split_line(place.lines[i]);
        const bool begins = !split.separator.empty() && split.value.starts_with('[');
        if (begins) {
            place.opening = i;
            open = 0;
        }
        if (begins || open > 0) open += open_brackets(begins ? split.value : without_comment(place.lines[i]));
        if (open <= 0) place.opening = place.lines.size();
    }
    return place;
}

std::string table_of(const Place& place) {
    if (place.header == place.lines.size()) return {};
    std::string_view header = trimmed(without_comment(place.lines[place.header]));
    while (header.starts_with('[')) header.remove_prefix(1);
    while (header.ends_with(']')) header.remove_suffix(1);
    std::string name;
    for (const char c : trimmed(header)) {
        if (c != '"' && c != '\'') name += c;
    }
    return name;
}

std::size_t opening_of_string(const Place& place) {
    std::size_t opening = place.lines.size();
    std::string_view quotes;
    for (std::size_t i = 0; i + 1 < place.lines.size(); ++i) {
        const std::string_view line = place.lines[i];
        for (std::size_t at = 0; at + 3 <= line.size(); ++at) {
            const std::string_view three = line.substr(at, 3);
            const bool is_delimiter = three == R"(""")" || three == "'''";
            if (!is_delimiter || (!quotes.empty() && three != quotes)) continue;
            opening = quotes.empty() ? i : place.lines.size();
            quotes = quotes.empty() ? three : std::string_view{};
            at += 2;
        }
    }
    return opening;
}

const KnownKey* known_key(std::string_view name) {
    const auto all = known_keys();
    const auto found = std::find_if(all.begin(), all.end(), [&](const KnownKey& key) { return key.name == name; });
    return found == all.end() ? nullptr : &*found;
}

bool may_be_shown(const KnownKey* key, std::string_view value) {
    if (key == nullptr || key->is_secret || key->name.find("token") != std::string_view::npos) return false;
    if (names_secret_file(key->name)) return false;
    return value.find("-----") == std::string_view::npos && !may_hold_secret(value);
}

bool is_listed_table(std::string_view name) {
    return name == "listener" || name == "alert" || name == "listener.tls.certificate";
}

std::string header_text(std::string_view name) {
    return is_listed_table(name) ? "[[" + std::string(name) + "]]" : "[" + std::string(name) + "]";
}

}  // namespace config
