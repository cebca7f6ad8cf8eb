#include "proxy/route/alert_template.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <stdexcept>

#include "config/spelling.hpp"

namespace proxy {
namespace {

using namespace std::string_view_literals;

constexpr std::array words{"id"sv,     "key"sv,      "action"sv,  "alert"sv,    "kind"sv,
                           "status"sv, "proxy"sv,    "title"sv,   "text"sv,     "count"sv,
                           "since"sv,  "first_at"sv, "last_at"sv, "upstream"sv, "events"sv};

/// What hostile names would be, so that a word in a wrong place shows at the start.
AlertTemplate::Value sample(std::string_view word) {
    if (word == "events") return {.text = R"([{"usename":"\"\\"}])", .is_json = true};
    if (word == "count") return {.text = "2", .is_json = true};
    return {.text = "\"\\\n"};
}

bool is_word_character(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

}  // namespace

std::vector<std::string_view> alert_template_words() { return {words.begin(), words.end()}; }

std::string json_escaped(std::string_view text) {
    std::string quoted = boost::json::serialize(boost::json::string(text));
    return quoted.substr(1, quoted.size() - 2);
}

AlertTemplate::AlertTemplate(std::string_view text) {
    std::string plain;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at + 1;
        while (end < text.size() && is_word_character(text[end])) ++end;
        const bool is_word = text[at] == '{' && end > at + 1 && end < text.size() && text[end] == '}';
        if (!is_word) {
            plain += text[at++];
            continue;
        }
        const std::string_view word = text.substr(at + 1, end - at - 1);
        if (std::find(words.begin(), words.end(), word) == words.end())
            throw std::runtime_error("{" + std::string(word) + "}: " + config::not_one_of(word, words));
        pieces_.push_back({.text = std::exchange(plain, {})});
        pieces_.push_back({.text = std::string(word), .is_word = true});
        at = end + 1;
    }
    pieces_.push_back({.text = std::move(plain)});
    boost::json::error_code error;
    boost::json::parse(expand(sample), error);
    if (error)
        throw std::runtime_error("is no JSON once its words are replaced (" + error.message() +
                                 "); texts belong into quotes, {events} and {count} need none");
}

std::string AlertTemplate::expand(const Values& values) const {
    std::string out;
    for (const Piece& piece : pieces_) {
        if (!piece.is_word) {
            out += piece.text;
            continue;
        }
        const Value value = values(piece.text);
        out += value.is_json ? value.text : json_escaped(value.text);
    }
    return out;
}

}  // namespace proxy
