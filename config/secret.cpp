#include "config/secret.hpp"

#include <algorithm>
#include <array>

namespace config {
namespace {

constexpr std::string_view lower_letters = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view decimal_digits = "0123456789";

/// A password or the like stands behind these, and one of "=", ":" and a blank.
constexpr std::array secret_words{
    std::string_view("password"), std::string_view("passwd"),        std::string_view("passphrase"),
    std::string_view("pwd"),      std::string_view("secret"),        std::string_view("token"),
    std::string_view("api_key"),  std::string_view("apikey"),        std::string_view("api-key"),
    std::string_view("bearer"),   std::string_view("authorization"), std::string_view("credential")};

constexpr std::array file_extensions{
    std::string_view(".txt"),   std::string_view(".pem"),    std::string_view(".key"),
    std::string_view(".crt"),   std::string_view(".conf"),   std::string_view(".token"),
    std::string_view(".nonce"), std::string_view(".secret"), std::string_view(".url")};

std::string in_lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

bool is_made_of(std::string_view text, std::string_view a, std::string_view b, std::string_view c) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char one) {
        return a.find(one) != std::string_view::npos || b.find(one) != std::string_view::npos ||
               c.find(one) != std::string_view::npos;
    });
}

bool has_secret_word(std::string_view lower) {
    return std::any_of(secret_words.begin(), secret_words.end(), [&](std::string_view word) {
        for (std::size_t at = lower.find(word); at != std::string_view::npos; at = lower.find(word, at + 1)) {
            const std::string_view behind = lower.substr(at + word.size());
            if (!behind.empty() && std::string_view("=: \t").find(behind.front()) != std::string_view::npos)
                return true;
        }
        return false;
    });
}

/// With a dot, and in front of nothing that could be a part of a password; empty: who knows.
std::string_view host_to_show(std::string_view behind_scheme) {
    const std::size_t at = behind_scheme.rfind('@');
    if (at != std::string_view::npos) {
        if (behind_scheme.find_first_of("/?#") < at) return {};
        behind_scheme.remove_prefix(at + 1);
    }
    const std::string_view host = behind_scheme.substr(0, behind_scheme.find_first_of(":/?#"));
    const bool is_name = is_made_of(in_lower_case(host), lower_letters, decimal_digits, "-.");
    return is_name && host.find('.') != std::string_view::npos ? host : std::string_view{};
}

}  // namespace

bool may_hold_secret(std::string_view text) {
    const std::string lower = in_lower_case(text);
    // One slash may be left of "https://" in what was made a path.
    for (std::size_t at = lower.find(":/"); at != std::string::npos; at = lower.find(":/", at + 1)) {
        if (lower.compare(at, 3, "://") == 0 || std::string_view(lower).substr(0, at).ends_with("http") ||
            std::string_view(lower).substr(0, at).ends_with("https"))
            return true;
    }
    const std::size_t at = lower.rfind('@');
    const bool has_user = at != std::string::npos && lower.find(':') < at;
    return has_user || lower.find("-----begin") != std::string::npos || has_secret_word(lower);
}

bool names_secret_file(std::string_view key) {
    return key.ends_with("token_file") || key.ends_with("key_file") || key == "webhook_file" || key == "users_file" ||
           key == "mock_authentication_nonce_file" || key == "sslkey";
}

bool is_like_path(std::string_view text) {
    const bool is_from_a_folder = text.starts_with('/') || text.starts_with("./") || text.starts_with("../");
    // Base64 has single slashes too.
    if (is_from_a_folder) return text.find('/', 1) != std::string_view::npos;
    return std::any_of(file_extensions.begin(), file_extensions.end(),
                       [&](std::string_view extension) { return text.ends_with(extension); });
}

std::string hidden(std::string_view text) { return "a value of " + std::to_string(text.size()) + " characters"; }

std::string shown(std::string_view text) {
    if (!may_hold_secret(text)) return '"' + std::string(text) + '"';
    const std::size_t end = text.find("://");
    if (end == std::string_view::npos) return hidden(text);
    const std::string_view scheme = text.substr(0, end);
    if (!is_made_of(in_lower_case(scheme), lower_letters, decimal_digits, "+-.") || scheme.size() > 16)
        return hidden(text);
    const std::string_view host = host_to_show(text.substr(end + 3));
    return '"' + std::string(scheme) + "://" + std::string(host) + (host.empty() ? "..." : "/...") + '"';
}

}  // namespace config
