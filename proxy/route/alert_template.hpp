// JSON of an operator's own, in which words in braces stand for what happened:
//
//     {"routing_key": "...", "event_action": "trigger", "payload": {"summary": "{title}"}}
//
// What stands for them is escaped, so that nobody's name can end a string. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace proxy {

class AlertTemplate {
   public:
    /// What a word stands for: a text, or JSON as it is ({events}, {count}).
    struct Value {
        std::string text{};
        bool is_json = false;
    };
    using Values = std::function<Value(std::string_view word)>;

    /// Empty: no words, and nothing to expand.
    AlertTemplate() = default;
    /// Throws std::runtime_error: an unknown word in braces, or no JSON once they are replaced.
    explicit AlertTemplate(std::string_view text);

    explicit operator bool() const noexcept { return !pieces_.empty(); }
    std::string expand(const Values& values) const;

   private:
    struct Piece {
        std::string text;  ///< or the word
        bool is_word = false;
    };
    std::vector<Piece> pieces_;
};

/// The words that a template may have.
std::vector<std::string_view> alert_template_words();

/// As it stands within a JSON string, without the quotes.
std::string json_escaped(std::string_view text);

}  // namespace proxy
