#include "protocol/message_blanker.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/messages.hpp"

namespace protocol {
namespace {

// What the server says of itself, and what clients choose from a few words, sorted. Others repeat
// what a client has said: so does TimeZone, where '<anything>5' is one.
constexpr auto harmless_settings = std::to_array<std::string_view>(
    {"DateStyle", "IntervalStyle", "client_encoding", "default_transaction_read_only", "in_hot_standby",
     "integer_datetimes", "is_superuser", "server_encoding", "server_version", "standard_conforming_strings"});

constexpr std::uint32_t length_of_null = 0xffffffff;

}  // namespace

MessageBlanker::Shown MessageBlanker::shown_in(Payload payload) noexcept {
    // No default: another payload is decided upon here.
    switch (payload) {
        case Payload::headers: return {};
        case Payload::redacted: return {.names = true, .sql = true};
        case Payload::full: return {.names = true, .sql = true, .data = true, .content = SqlContent::without_secrets};
    }
    return {};
}

MessageBlanker::MessageBlanker(Redactor::Sender sender, Payload payload, SessionFacts& facts) noexcept
    : sender_(sender),
      shown_(shown_in(payload)),
      facts_(facts),
      sql_(shown_.content, facts.sql),
      error_(payload, facts.sql) {}

void MessageBlanker::begin(char type, std::size_t size) {
    goes_on_ = type == 'd' && type_ == 'd';
    type_ = type;
    missing_ = size;
    secret_values_ = in_sql_ = false;
    formats_ = parameters_ = 0;
    binary_formats_ = 0;
    const bool is_client = sender_ == Redactor::Sender::client;
    if (is_client) facts_.client_sent(type);
    if (is_client && type == 'B') facts_.binary_results = false;
    if (!is_client && (type == 'E' || type == 'N')) error_.begin(facts_.secret_open);
    go_on_with(is_client && type == 'p' ? layout_of_answer(facts_.authentication) : layout_of(sender_, type));
}

void MessageBlanker::blank(Bytes bytes) {
    while (!bytes.empty()) {
        const std::size_t before = bytes.size();
        switch (steps_[at_].item) {
            case Item::int8: take_number(bytes, 1); break;
            case Item::int16:
            case Item::repeat16: take_number(bytes, 2); break;
            case Item::int32:
            case Item::repeat32: take_number(bytes, 4); break;
            case Item::text: take_text(bytes); break;
            case Item::value: take_value(bytes); break;
            case Item::fields:
                error_.blank(bytes);
                bytes = {};
                break;
            case Item::rest:
                take_rest(bytes);
                bytes = {};
                break;
        }
        missing_ -= before - bytes.size();
        if (announced_) check_count();
    }
}

void MessageBlanker::end() {
    // A text without its end: whatever it announced is not known.
    if (in_sql_) {
        facts_.secret_open = true;
        end_text();
    }
    const bool is_server = sender_ == Redactor::Sender::server;
    if (is_server && type_ == 'Z') facts_.server_is_ready();
    // A second answer to AuthenticationSASL is no initial one.
    const auto sasl = static_cast<std::uint32_t>(AuthenticationCode::sasl);
    if (!is_server && type_ == 'p' && facts_.authentication == sasl) {
        facts_.authentication = static_cast<std::uint32_t>(AuthenticationCode::sasl_continue);
    }
}

void MessageBlanker::go_on_with(std::span<const Step> steps) noexcept {
    steps_ = steps;
    at_ = repeat_ = 0;
    repeat_end_ = 0;
    in_item_ = in_value_ = announced_ = false;
    number_size_ = 0;
    number_ = 0;
}

void MessageBlanker::next_step() noexcept {
    in_item_ = in_value_ = false;
    number_size_ = 0;
    number_ = 0;
    if (++at_ != repeat_end_) return;
    if (--repeat_ > 0)
        at_ = repeat_begin_;
    else
        repeat_end_ = 0;
}

void MessageBlanker::take_number(Bytes& bytes, std::size_t width) {
    while (!bytes.empty() && number_size_ < width) {
        number_ = number_ << 8 | bytes[0];
        ++number_size_;
        // What is neither text nor binary is no format, but something else in its place.
        if (is_format()) bytes[0] &= number_size_ == width ? 1 : 0;
        bytes = bytes.subspan(1);
    }
    if (number_size_ == width) end_number();
}

bool MessageBlanker::is_format() const noexcept {
    const Meaning is = meaning();
    return is == Meaning::parameter_format || is == Meaning::result_format || is == Meaning::column_format ||
           is == Meaning::copy_format || is == Meaning::copy_column_format;
}

/// Of a message that is not as long as its counts say nobody knows what stands where.
void MessageBlanker::check_count() noexcept {
    announced_ = false;
    std::size_t least = 0;
    bool is_fixed = true;
    for (const Step& step : steps_.subspan(repeat_begin_, repeat_end_ - repeat_begin_)) {
        switch (step.item) {
            case Item::int8: least += 1; break;
            case Item::int16: least += 2; break;
            case Item::int32: least += 4; break;
            case Item::text:
                least += 1;
                is_fixed = false;
                break;
            case Item::value:
                least += 4;
                is_fixed = false;
                break;
            default: is_fixed = false; break;
        }
    }
    const bool is_last = steps_[repeat_end_].item == Item::rest;
    const bool fits = is_fixed && is_last ? repeat_ * least == missing_ : repeat_ * least <= missing_;
    if (!fits) go_on_with(layout_of_secret());
}

void MessageBlanker::end_number() {
    const bool is_binary = number_ != 0;
    switch (meaning()) {
        case Meaning::authentication:
            facts_.authentication = number_;
            return go_on_with(layout_of_authentication(number_));
        case Meaning::parameter_format:
            if (is_binary && formats_ < 64) binary_formats_ |= std::uint64_t{1} << formats_;
            ++formats_;
            break;
        case Meaning::result_format:
        case Meaning::column_format: facts_.binary_results = facts_.binary_results || is_binary; break;
        case Meaning::copy_format: facts_.binary_copy = is_binary || type_ == 'W'; break;
        default: break;
    }
    const Step step = steps_[at_];
    const std::size_t times = number_;
    next_step();
    if (step.item != Item::repeat16 && step.item != Item::repeat32) return;
    if (times == 0) {
        at_ += step.steps;
        return;
    }
    repeat_ = times;
    repeat_begin_ = at_;
    repeat_end_ = at_ + step.steps;
    announced_ = true;
}

void MessageBlanker::take_text(Bytes& bytes) {
    if (!in_item_) begin_text();
    const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
    const Bytes part = bytes.first(static_cast<std::size_t>(end - bytes.begin()));
    const Meaning is = meaning();
    for (const std::uint8_t c : part) {
        if (is == Meaning::statement || is == Meaning::portal)
            hash_.add(c);
        else if (is != Meaning::setting_name && is != Meaning::setting)
            break;
        else if (setting_size_ < setting_.size())
            setting_[setting_size_++] = static_cast<char>(c);
    }
    if (in_sql_)
        sql_.blank(part);
    else
        text_.take(part);
    bytes = bytes.subspan(part.size());
    if (bytes.empty()) return;
    bytes = bytes.subspan(1);
    end_text();
}

void MessageBlanker::begin_text() {
    using enum TextFilter::What;
    in_item_ = true;
    const TextFilter::What name = shown_.names ? keep : blank;
    const TextFilter::What data = shown_.data ? secrets : blank;
    switch (meaning()) {
        case Meaning::statement:
        case Meaning::portal: hash_ = {}; [[fallthrough]];
        case Meaning::name: return text_.begin(name);
        case Meaning::sql: in_sql_ = shown_.sql; return in_sql_ ? sql_.begin() : text_.begin(blank);
        case Meaning::command_tag: return text_.begin(command_tag);
        case Meaning::mechanism: return text_.begin(mechanism);
        case Meaning::mechanism_offer: return text_.begin(mechanism_offer);
        case Meaning::setting_name: setting_size_ = 0; return text_.begin(keep);
        case Meaning::setting: return begin_setting();
        default: return text_.begin(data);
    }
}

void MessageBlanker::begin_setting() noexcept {
    const std::string_view name(setting_.data(), setting_size_);
    const bool harmless = std::binary_search(harmless_settings.begin(), harmless_settings.end(), name);
    std::array<char, max_secret_word> lower{};
    std::transform(name.begin(), name.end(), lower.begin(),
                   [](char c) { return to_lower(static_cast<std::uint8_t>(c)); });
    const bool secret = announces_secret({lower.data(), setting_size_});
    const bool shown = harmless || (shown_.data && !secret);
    text_.begin(shown ? TextFilter::What::secrets : TextFilter::What::blank);
    // What follows is kept for its meaning to us.
    is_encoding_ = name == "client_encoding";
    setting_size_ = 0;
}

void MessageBlanker::end_text() {
    switch (meaning()) {
        case Meaning::statement:
            statement_ = hash_.value();
            if (type_ == 'B') {
                secret_values_ = facts_.sql.names.may_be_secret(statement_);
                facts_.portals.prepared(portal_, secret_values_);
            }
            facts_.secret_open = facts_.secret_open || secret_values_;
            break;
        case Meaning::portal:
            portal_ = hash_.value();
            if (type_ == 'E' && facts_.portals.may_be_secret(portal_)) facts_.secret_open = true;
            break;
        case Meaning::sql:
            if (!in_sql_) break;
            sql_.end();
            in_sql_ = false;
            if (sql_.may_hold_secrets()) facts_.secret_open = true;
            // Any number of PREPAREs.
            if (type_ == 'Q' && sql_.is_unreadable()) facts_.sql.names.give_up();
            if (type_ == 'P') facts_.sql.names.prepared(statement_, sql_.may_hold_secrets());
            break;
        case Meaning::mechanism:
            if (!text_.is_known_mechanism()) return go_on_with(layout_of_secret());
            break;
        case Meaning::setting:
            if (is_encoding_) facts_.sql.encoding.named({setting_.data(), setting_size_});
            break;
        default: break;
    }
    next_step();
}

void MessageBlanker::take_value(Bytes& bytes) {
    if (!in_value_) {
        const std::size_t before = bytes.size();
        while (!bytes.empty() && number_size_ < 4) {
            number_ = number_ << 8 | bytes[0];
            ++number_size_;
            bytes = bytes.subspan(1);
        }
        if (number_size_ < 4) return;
        begin_value(missing_ - (before - bytes.size()));
        if (value_missing_ == 0) return next_step();
    }
    const Bytes part = bytes.first(std::min(value_missing_, bytes.size()));
    if (hidden_)
        fill(part, binary_);
    else
        text_.take(part);
    bytes = bytes.subspan(part.size());
    value_missing_ -= part.size();
    if (value_missing_ == 0) next_step();
}

void MessageBlanker::begin_value(std::size_t left) {
    in_value_ = true;
    value_missing_ = number_ == length_of_null ? 0 : number_;
    hidden_ = !shown_.data || secret_values_ || value_missing_ > left;
    if (!hidden_) text_.begin_value();
    binary_ = type_ == 'D' ? facts_.binary_results : type_ == 'V' || is_next_parameter_binary();
}

/// One format is all parameters', none is text.
bool MessageBlanker::is_next_parameter_binary() noexcept {
    const std::size_t at = formats_ == 1 ? 0 : parameters_;
    ++parameters_;
    return at < 64 && (binary_formats_ >> at & 1U) != 0;
}

void MessageBlanker::take_rest(Bytes bytes) {
    if (!in_item_) begin_rest();
    switch (meaning()) {
        case Meaning::rows:
            if (hidden_)
                fill(bytes, binary_);
            else
                rows_.take(bytes);
            return;
        case Meaning::secret_text: return fill(bytes, false);
        case Meaning::password:
            fill(bytes, false);
            if (bytes.size() == missing_) bytes.back() = 0;  // its end, whatever stood there
            return;
        default: fill(bytes, true);
    }
}

void MessageBlanker::begin_rest() {
    in_item_ = true;
    const bool from_client = sender_ == Redactor::Sender::client;
    hidden_ = !shown_.data || (from_client && facts_.secret_open);
    binary_ = facts_.binary_copy;
    if (meaning() == Meaning::rows && !goes_on_) rows_.begin_rows();
}

void MessageBlanker::fill(Bytes bytes, bool binary) const noexcept {
    std::memset(bytes.data(), binary ? 0 : '*', bytes.size());
}

}  // namespace protocol
