#include "protocol/sql_statement.hpp"

#include <algorithm>
#include <tuple>

namespace protocol {

bool SqlStatement::hides(SqlByte what, std::uint8_t c, SqlSession& session) {
    const Token token = token_of(what, token_);
    if (token != token_) {
        end_token(session);
        token_ = token;
        size_ = 0;
        backslash_ = false;
        if (value_) setting_word_ = KnownText(known_setting_words());
        if (token == Token::literal || token == Token::comment) scanner_.begin(SecretScanner::Kind::literal);
    }
    if (token != Token::none && size_ < text_.size() && what != SqlByte::quote) text_[size_++] = to_lower(c);
    backslash_ = backslash_ || c == '\\';
    // Both look at every byte.
    const bool as_word = hides_as_word(what, c);
    const bool as_text = hides_text(what, c);
    if (token == Token::none && what == SqlByte::mark) {
        if (c == ';') end_statement(session);
        if (c == ')') encoding_ = false;
        if (c == '=' && assigns_) value_ = true;
        // Of an extension, or of nobody.
        if (c == '.' && assigns_) free_ = true;
    }
    return as_word || as_text;
}

void SqlStatement::take_run(std::span<std::uint8_t> bytes) noexcept {
    for (const std::uint8_t c : bytes.first(std::min(bytes.size(), text_.size() - size_))) text_[size_++] = to_lower(c);
    const bool is_text = token_ != Token::word;
    if (hide_ == Hide::word || hide_ == Hide::rest || (is_text && hides_all_text())) {
        std::fill(bytes.begin(), bytes.end(), std::uint8_t{'*'});
    } else if (is_setting_value(SqlByte::word)) {
        for (std::uint8_t& c : bytes) {
            if (!is_text && hides_in_setting(c)) c = '*';
        }
    } else if (is_text) {
        for (std::uint8_t& c : bytes) {
            if (scanner_.hides(c)) c = '*';
        }
    }
}

bool SqlStatement::hides_all_text() const noexcept {
    return content_ == SqlContent::without_literals || (secret_ && !until_);
}

void SqlStatement::end(SqlSession& session) {
    end_token(session);
    end_statement(session);
    token_ = Token::none;
}

bool SqlStatement::agrees_with(const SqlStatement& other) const noexcept {
    const auto place = [](const SqlStatement& one) {
        return std::tie(one.head_, one.second_, one.role_, one.setting_, one.function_, one.encoding_, one.valid_,
                        one.until_, one.execute_, one.in_name_, one.odd_name_, one.name_, one.hide_);
    };
    return place(*this) == place(other);
}

void SqlStatement::learn_from(const SqlStatement& other) noexcept {
    if (other.any_secret_) announce();
    assigns_ = assigns_ || other.assigns_;
    value_ = value_ || other.value_;
    free_ = free_ || other.free_;
}

void SqlStatement::cannot_be_read(SqlSession& session) noexcept {
    announce();
    if (head_ == Head::none || (head_ == Head::prepare && !second_)) session.names.give_up();
}

/// A literal is one token with the quotes in it.
SqlStatement::Token SqlStatement::token_of(SqlByte what, Token open) noexcept {
    switch (what) {
        case SqlByte::word: return Token::word;
        case SqlByte::name: return Token::name;
        case SqlByte::literal: return Token::literal;
        case SqlByte::comment: return Token::comment;
        case SqlByte::quote: return open == Token::literal ? open : Token::none;
        default: return Token::none;
    }
}

/// What somebody wrote without quotes, or with the wrong ones, where a password belongs.
bool SqlStatement::hides_as_word(SqlByte what, std::uint8_t c) noexcept {
    const bool ends = what == SqlByte::space || (what == SqlByte::mark && c == ';');
    switch (hide_) {
        case Hide::nothing: return false;
        case Hide::rest: return !ends;
        case Hide::next_word:
            if (what == SqlByte::mark || what == SqlByte::space) return false;
            hide_ = Hide::word;
            break;
        case Hide::word:
            if (ends) hide_ = Hide::nothing;
            break;
    }
    return hide_ == Hide::word && what != SqlByte::quote && !(what == SqlByte::mark && c == '"');
}

/// A value without quotes is a word, and one in double quotes a name.
bool SqlStatement::is_setting_value(SqlByte what) const noexcept {
    return value_ && content_ == SqlContent::without_literals && (what == SqlByte::word || what == SqlByte::name);
}

/// The first letters of a known word stay, whatever the rest is.
bool SqlStatement::hides_in_setting(std::uint8_t c) noexcept { return free_ || !setting_word_.goes_on(to_lower(c)); }

bool SqlStatement::hides_text(SqlByte what, std::uint8_t c) noexcept {
    const bool is_text = what == SqlByte::literal || what == SqlByte::comment;
    if (content_ == SqlContent::without_literals) {
        if (is_setting_value(what)) return hides_in_setting(c);
        return is_text || what == SqlByte::number || what == SqlByte::unknown;
    }
    if (is_text || (what == SqlByte::quote && token_ == Token::literal)) {
        const bool found = scanner_.hides(c);
        return what != SqlByte::quote && (found || hides_all_text());
    }
    return what == SqlByte::unknown || (what == SqlByte::number && secret_);
}

void SqlStatement::end_token(SqlSession& session) {
    const std::string_view text(text_.data(), size_);
    switch (token_) {
        case Token::none:
        case Token::comment: return;
        case Token::literal:
            valid_ = until_ = false;
            // format('... PASSWORD %L', ...), '... PASSWORD ' || ...: what is behind it goes there.
            if (is_key_of_secret(text) || scanner_.names_password()) announce();
            if (encoding_) name_encoding(text, session);
            // set_config('client_encoding', ...); what comes behind it may be a dollar quote's end.
            else if (text.starts_with("client_encoding"))
                encoding_ = true;
            return;
        case Token::word:
            if (text == "uescape") be_puzzled(session);
            break;
        case Token::name:
            if (backslash_) be_puzzled(session);
            break;
    }
    end_word(text, session);
}

/// U&"...": nobody knows what it names.
void SqlStatement::be_puzzled(SqlSession& session) {
    announce();
    odd_name_ = true;
    if (setting_) session.encoding.named({});
}

void SqlStatement::end_word(std::string_view word, SqlSession& session) {
    if (encoding_)
        name_encoding(word, session);
    else
        encoding_ = word == "client_encoding" || (word == "names" && head_ == Head::set);
    const bool executes = execute_;
    execute_ = token_ == Token::word && word == "execute";
    // "a""b" comes as two.
    if (in_name_ && token_ == Token::name) odd_name_ = true;
    in_name_ = false;
    until_ = valid_ && word == "until" && role_;
    valid_ = word == "valid";

    if (head_ == Head::none) {
        head_ = word == "create"    ? Head::create
                : word == "alter"   ? Head::alter
                : word == "set"     ? Head::set
                : word == "prepare" ? Head::prepare
                                    : Head::other;
        setting_ = assigns_ = head_ == Head::set;
    } else if (!second_) {
        second_ = true;
        role_ =
            (head_ == Head::create || head_ == Head::alter) && (word == "role" || word == "user" || word == "group");
        function_ = head_ == Head::create && (word == "function" || word == "procedure" || word == "or");
        if (head_ == Head::prepare) take_name(word);
    } else if (head_ == Head::alter && word == "set") {
        setting_ = assigns_ = true;
    } else if (function_ && word == "set") {
        assigns_ = true;
    } else if (word == "mapping") {
        role_ = false;  // CREATE USER MAPPING
    }

    // Also in EXPLAIN and CREATE TABLE AS.
    if (executes) {
        take_name(word);
        if (session.names.may_be_secret(name_)) announce();
    }
    if (odd_name_ && head_ != Head::prepare) announce();

    free_ = free_ || (assigns_ && word == "application_name");
    // SET TIME ZONE has no TO.
    value_ = value_ || (assigns_ && (word == "to" || word == "zone"));

    if (!announces_secret(word)) return;
    announce();
    if (setting_)
        hide_ = Hide::rest;
    else if (role_ && word == "password")
        hide_ = Hide::next_word;
}

/// set_config('my.password', ...), json_build_object('token', ...): nothing but a name.
bool SqlStatement::is_key_of_secret(std::string_view literal) noexcept {
    const auto is_of_sentence = [](char c) { return c == ' ' || c == ',' || c == '=' || c == ':'; };
    return is_password_key(literal) && std::none_of(literal.begin(), literal.end(), is_of_sentence);
}

void SqlStatement::name_encoding(std::string_view text, SqlSession& session) {
    if (text == "to") return;
    encoding_ = false;
    // The default was said at the login.
    if (text != "default") session.encoding.named(text);
}

void SqlStatement::take_name(std::string_view word) noexcept {
    name_ = hash_of(word);
    in_name_ = token_ == Token::name || word == "u";  // "..." or U&"..."
    // What the server may fold or cut in another way.
    const auto is_beyond_ascii = [](char c) { return static_cast<std::uint8_t>(c) >= 0x80; };
    odd_name_ = odd_name_ || std::any_of(word.begin(), word.end(), is_beyond_ascii);
}

void SqlStatement::end_statement(SqlSession& session) {
    if (head_ == Head::prepare && secret_) {
        if (odd_name_)
            session.names.give_up();
        else
            session.names.prepared(name_, true);
    }
    execute_ = in_name_ = odd_name_ = false;
    name_ = 0;
    secret_ = second_ = role_ = setting_ = encoding_ = valid_ = until_ = false;
    function_ = assigns_ = value_ = free_ = false;
    head_ = Head::none;
    hide_ = Hide::nothing;
}

}  // namespace protocol
