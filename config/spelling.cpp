#include "config/spelling.hpp"

#include <algorithm>
#include <vector>

#include "config/secret.hpp"

namespace config {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b);
char lower(char c) noexcept;
std::optional<std::string_view> only_longer(std::string_view word, std::span<const std::string_view> known);

}  // namespace

std::string not_one_of(std::string_view word, std::span<const std::string_view> known) {
    if (known.size() == 1) return "expected " + in_quotes(known.front()) + ", got " + in_quotes(word);
    std::string text = in_quotes(word) + " is not one of " + join(known);
    if (const auto meant = nearest(word, known)) text += "; did you mean " + in_quotes(*meant) + "?";
    return text;
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known) {
    // No key is this long, and the distance is quadratic.
    if (word.size() > 100) return std::nullopt;
    std::optional<std::string_view> best;
    std::size_t least = 2 + word.size() / 5;  // one slip, and another for every five letters
    const std::optional<std::string_view> longer = only_longer(word, known);
    if (longer) least = 2;  // "crl_file" is nearer to "ca_file" by its letters, and means "ssl_crl_file"
    for (const std::string_view candidate : known) {
        const std::size_t distance = edit_distance(word, candidate);
        if (candidate.empty() || distance >= least) continue;
        best = candidate;
        least = distance;
    }
    return best ? best : longer;
}

std::string join(std::span<const std::string_view> words) {
    std::string text;
    for (const std::string_view word : words) {
        if (!text.empty()) text += ", ";
        text += word.empty() ? "\"\"" : may_hold_secret(word) ? "..." : word;
    }
    return text;
}

std::string in_quotes(std::string_view text) { return shown(text); }

namespace {

/// Letters inserted, left out, replaced or swapped with their neighbour; upper and lower case are
/// the same.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            const std::size_t replaced = rows[i - 1][j - 1] + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
            rows[i][j] = std::min({replaced, rows[i - 1][j] + 1, rows[i][j - 1] + 1});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
                rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
            }
        }
    }
    return rows[a.size()][b.size()];
}

/// The only one of which `word` is the beginning or the end, at an underscore.
std::optional<std::string_view> only_longer(std::string_view word, std::span<const std::string_view> known) {
    std::optional<std::string_view> found;
    for (const std::string_view candidate : known) {
        if (word.empty() || candidate.size() <= word.size() + 1) continue;
        const bool is_end = candidate.ends_with(word) && candidate[candidate.size() - word.size() - 1] == '_';
        const bool is_beginning = candidate.starts_with(word) && candidate[word.size()] == '_';
        if (!is_end && !is_beginning) continue;
        if (found) return std::nullopt;
        found = candidate;
    }
    return found;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace
}  // namespace config
