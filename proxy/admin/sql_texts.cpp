#include "proxy/admin/sql_texts.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace proxy {
namespace {

/// Finds a text in others by Knuth, Morris and Pratt: nothing of them is read twice.
class Finder {
   public:
    explicit Finder(std::string_view wanted) : wanted_(wanted), shorter_(wanted.size()) {
        for (std::size_t i = 1, matched = 0; i < wanted.size(); ++i) {
            matched = extended(matched, wanted[i]);
            shorter_[i] = matched;
        }
    }

    /// Of what is not empty. npos: it is not there.
    std::size_t find(std::string_view text, std::size_t from) const {
        for (std::size_t i = from, matched = 0; i < text.size(); ++i) {
            matched = extended(matched, text[i]);
            if (matched == wanted_.size()) return i + 1 - matched;
        }
        return std::string_view::npos;
    }

   private:
    /// How many bytes match with `c`, when `matched` do before it.
    std::size_t extended(std::size_t matched, char c) const {
        while (matched > 0 && wanted_[matched] != c) matched = shorter_[matched - 1];
        return wanted_[matched] == c ? matched + 1 : 0;
    }

    std::string_view wanted_;
    std::vector<std::size_t> shorter_;  // of each beginning: how much of its end is a beginning too
};

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::size_t first_character(std::string_view text) {
    std::size_t n = 1;
    while (n < text.size() && continues_character(text[n])) ++n;
    return n;
}

std::size_t last_character(std::string_view text) {
    std::size_t n = 1;
    while (n < text.size() && continues_character(text[text.size() - n])) ++n;
    return n;
}

}  // namespace

std::size_t place_of(std::string_view wanted, std::string_view text) {
    if (wanted.empty()) return 1;
    const std::size_t found = Finder(wanted).find(text, 0);
    if (found == std::string_view::npos) return 0;
    return 1 + static_cast<std::size_t>(std::count_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(found),
                                                      [](char c) { return !continues_character(c); }));
}

std::optional<std::string> replaced(std::string_view text, std::string_view from, std::string_view to,
                                    std::size_t max) {
    if (from.empty()) return std::string(text);
    const Finder finder(from);
    std::string made;
    for (std::size_t at = 0;;) {
        const std::size_t found = finder.find(text, at);
        made += text.substr(at, found == std::string_view::npos ? found : found - at);
        if (found == std::string_view::npos) break;
        made += to;
        at = found + from.size();
        if (made.size() > max) return std::nullopt;
    }
    if (made.size() > max) return std::nullopt;
    return made;
}

std::string_view trimmed(std::string_view text, std::string_view characters, bool from_begin, bool from_end) {
    std::set<std::string_view> unwanted;
    for (std::size_t n = 0; !characters.empty(); characters.remove_prefix(n)) {
        n = first_character(characters);
        unwanted.insert(characters.substr(0, n));
    }
    while (from_begin && !text.empty() && unwanted.contains(text.substr(0, first_character(text))))
        text.remove_prefix(first_character(text));
    while (from_end && !text.empty() && unwanted.contains(text.substr(text.size() - last_character(text))))
        text.remove_suffix(last_character(text));
    return text;
}

}  // namespace proxy
