#include "proxy/inventory/name_pattern.hpp"

#include <algorithm>

namespace proxy {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Letters and digits that alternate say nothing to people, nor do hexadecimal digits, four at
/// least, as in a UUID; digits at the end number something that has a name.
std::string pattern_of_word(std::string_view word) {
    const auto first = std::find_if(word.begin(), word.end(), is_digit);
    if (first == word.end()) return std::string(word);
    if (word.size() >= 4 && std::all_of(word.begin(), word.end(), is_hex)) return "#";
    if (std::all_of(first, word.end(), is_digit)) return std::string(word.begin(), first) + "#";
    return "#";
}

}  // namespace

std::string name_pattern(std::string_view name) {
    std::string pattern;
    for (std::size_t at = 0; at < name.size();) {
        std::size_t end = at;
        while (end < name.size() && (is_digit(name[end]) || is_letter(name[end]))) ++end;
        if (end == at) {
            pattern += name[at++];
            continue;
        }
        pattern += pattern_of_word(name.substr(at, end - at));
        at = end;
    }
    return pattern;
}

}  // namespace proxy
