// SQL in pieces, for what is rewritten of it before SQLite sees it: words, literals, operators.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace proxy {

struct SqlToken {
    enum class Kind { word, quoted_name, string, number, parameter, symbol };
    Kind kind = Kind::symbol;
    std::string text;   ///< as written, quotes and all
    std::string value;  ///< word: in lower case; quoted_name, string: what is within; parameter: its
                        ///< digits; number: its type, where it stands for a literal of another

    bool is(std::string_view word_or_symbol) const noexcept {
        return kind == Kind::word ? value == word_or_symbol : kind == Kind::symbol && text == word_or_symbol;
    }
    bool is_name() const noexcept { return kind == Kind::word || kind == Kind::quoted_name; }
};

/// Without comments and white space. Whatever is not closed goes on to the end.
std::vector<SqlToken> sql_tokens(std::string_view sql);

/// With a space between any two, so that they stay apart.
std::string sql_text(const std::vector<SqlToken>& tokens);

SqlToken sql_word(std::string text);
SqlToken sql_symbol(std::string text);
SqlToken sql_number(std::string text);

}  // namespace proxy
