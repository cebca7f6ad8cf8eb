#include "protocol/sql_blanker.hpp"

#include <cstring>

namespace protocol {

void SqlBlanker::begin() {
    main_ = Reading(content_);
    with_backslashes_.reset();
    unreadable_ = false;
    ascii_only_ = !session_.encoding.is_ascii_safe();
}

void SqlBlanker::blank(std::span<std::uint8_t> text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (unreadable_) {
            std::memset(text.data() + at, '*', text.size() - at);
            return;
        }
        if (hides(text[at])) text[at] = '*';
    }
}

void SqlBlanker::end() {
    main_.statement.end(session_);
    if (with_backslashes_) with_backslashes_->statement.end(session_);
}

bool SqlBlanker::may_hold_secrets() const noexcept {
    return unreadable_ || main_.statement.may_hold_secrets() ||
           (with_backslashes_ && with_backslashes_->statement.may_hold_secrets());
}

bool SqlBlanker::hides(std::uint8_t c) {
    if (ascii_only_ && c >= 0x80) {
        unreadable_ = true;
        return true;
    }
    if (c == '\\' && !with_backslashes_ && main_.lexer.in_plain_literal()) {
        with_backslashes_ = main_;
        with_backslashes_->lexer.read_backslashes();
    }
    const bool hidden = main_.hides(c, session_);
    if (!with_backslashes_) return hidden;
    const bool also_hidden = with_backslashes_->hides(c, session_);
    if (main_.lexer.agrees_with(with_backslashes_->lexer)) {
        main_.statement.learn_from(with_backslashes_->statement);
        with_backslashes_.reset();
    }
    return hidden || also_hidden;
}

}  // namespace protocol
