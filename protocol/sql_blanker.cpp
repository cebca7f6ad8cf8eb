#include "protocol/sql_blanker.hpp"

#include <algorithm>
#include <cstring>

namespace protocol {

void SqlBlanker::begin() {
    main_ = Reading(content_);
    with_backslashes_.reset();
    unreadable_ = false;
    ascii_only_ = !session_.encoding.is_ascii_safe();
}

void SqlBlanker::blank(std::span<std::uint8_t> text) {
    while (!text.empty()) {
        const std::size_t run = blank_run(text);
        if (run == 0 && hides(text[0])) text[0] = '*';
        text = text.subspan(std::max<std::size_t>(run, 1));
    }
}

/// As much of the front as need not be looked at byte by byte.
std::size_t SqlBlanker::blank_run(std::span<std::uint8_t> text) {
    if (unreadable_) {
        std::memset(text.data(), '*', text.size());
        return text.size();
    }
    if (ascii_only_ || with_backslashes_ || !main_.statement.takes_run()) return 0;
    const std::size_t run = main_.lexer.take_run(text);
    main_.statement.take_run(text.first(run));
    return run;
}

void SqlBlanker::end() {
    if (unreadable_) main_.statement.cannot_be_read(session_);
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
    if (main_.lexer.agrees_with(with_backslashes_->lexer) &&
        main_.statement.agrees_with(with_backslashes_->statement)) {
        main_.statement.learn_from(with_backslashes_->statement);
        with_backslashes_.reset();
    }
    return hidden || also_hidden;
}

}  // namespace protocol
