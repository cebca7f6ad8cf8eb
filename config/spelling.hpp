// What error messages say about a word that is not known.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace config {

/// "\"requir\" is not one of disable, allow, require; did you mean \"require\"?"
std::string not_one_of(std::string_view word, std::span<const std::string_view> known);

/// The known word that `word` was probably meant to be.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

/// "a, b, c"
std::string join(std::span<const std::string_view> words);

/// In double quotes, as far as it may be shown: shown() of secret.hpp.
std::string in_quotes(std::string_view text);

}  // namespace config
