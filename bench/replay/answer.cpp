#include "bench/replay/answer.hpp"

#include <string_view>
#include <utility>

#include "protocol/utf8.hpp"

namespace bench::replay {
namespace {

// FNV-1a, 64 bits.
constexpr std::uint64_t hash_begin = 14695981039346656037U;
constexpr std::uint64_t hash_prime = 1099511628211U;

/// So many in a row are no accident of binary data; verifiers and most passwords are longer.
constexpr unsigned blank_stars = 4;

constexpr std::size_t max_shown_error = 200;

bool is_row(char type) { return type == 'D' || type == 'd'; }

}  // namespace

std::string Result::shown() const { return text.empty() ? "nothing" : protocol::printable(text); }

AnswerReader::AnswerReader(bool hash_rows)
    : hash_rows_(hash_rows),
      messages_([this](char type, protocol::Bytes part) { piece(type, part); }),
      row_hash_(hash_begin) {}

void AnswerReader::piece(char type, protocol::Bytes part) {
    if (!hash_rows_ || !is_row(type)) return;
    for (const std::uint8_t byte : part) {
        row_hash_ = (row_hash_ ^ byte) * hash_prime;
        stars_ = byte == '*' ? stars_ + 1 : 0;
        result_.blanked = result_.blanked || stars_ == blank_stars;
    }
}

std::optional<char> AnswerReader::next(protocol::Bytes& bytes) {
    const auto type = messages_.next(bytes);
    if (!type) return std::nullopt;
    protocol::Reader body(messages_.body());
    constexpr std::string_view progress = "123CDEGHIWTnts";
    if (is_row(*type)) {
        ++result_.rows;
        result_.hash += row_hash_;  // the same in any order: without ORDER BY there is none
        row_hash_ = hash_begin;
        stars_ = 0;
    } else if (progress.find(*type) != std::string_view::npos) {
        ++parts_;
    }
    switch (*type) {
        case 'C': end_result(std::string(body.cstring())); break;
        case 'I': end_result("an empty query's answer"); break;
        case 's': end_result("suspended"); break;
        case 'E': {
            const protocol::ErrorResponse error = protocol::parse_error_response(messages_.body());
            failed_ = true;
            end_result(error.severity + " " + error.sqlstate + ": " + protocol::as_utf8(error.message, max_shown_error),
                       error.sqlstate);
            break;
        }
        case 'V': end_result("a function call's answer"); break;
        case 'Z': answer_.transaction = static_cast<char>(body.u8()); break;
        default: break;
    }
    return type;
}

void AnswerReader::end_result(std::string text, std::string sqlstate) {
    result_.text = std::move(text);
    result_.sqlstate = std::move(sqlstate);
    answer_.results.push_back(std::move(result_));
    result_ = {};
}

Answer AnswerReader::take() {
    parts_ = 0;
    failed_ = false;
    result_ = {};
    return std::exchange(answer_, {});
}

}  // namespace bench::replay
