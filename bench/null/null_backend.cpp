#include "bench/null/null_backend.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "protocol/backend_messages.hpp"

namespace bench {
namespace {

using protocol::Buffer;
using protocol::Bytes;

/// In upper case, without a semicolon at the end. Queries are short (max_framed_body), and those
/// that are no COPY are not looked at.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words{""};
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isspace(byte) == 0 && c != ';') {
            words.back() += static_cast<char>(std::toupper(byte));
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

bool is_copy(std::string_view text) {
    constexpr std::string_view copy = "COPY";
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    return std::equal(copy.begin(), copy.end(), text.begin(),
                      text.begin() + static_cast<std::ptrdiff_t>(std::min(copy.size(), text.size())),
                      [](char wanted, char c) { return wanted == std::toupper(static_cast<unsigned char>(c)); });
}

void append_error(Buffer& out, const char* severity, const char* sqlstate, const char* message) {
    append(out, protocol::ErrorResponse{
                    .severity = severity, .sqlstate = sqlstate, .message = message, .detail = {}, .hint = {}});
}

void append_complete(Buffer& out, const std::string& tag) {
    protocol::append_command_complete(out, tag);
    protocol::append_ready_for_query(out);
}

/// One column of type int4, one row. Made once: a round trip is to cost next to nothing.
const Buffer& one_row() {
    static const Buffer answer = [] {
        Buffer out;
        const protocol::Column column{.name = "?column?", .type = protocol::ColumnType::int4};
        protocol::append_row_description(out, {&column, 1});
        const std::optional<std::string_view> value = "1";
        protocol::append_data_row(out, {&value, 1});
        append_complete(out, "SELECT 1");
        return out;
    }();
    return answer;
}

}  // namespace

Query parse_query(std::string_view text) {
    if (!is_copy(text)) return {};
    const std::vector<std::string> words = words_of(text);
    if (words.front() != "COPY") return {};
    Query query{.kind = Query::Kind::wrong_copy, .bytes = 0};
    constexpr std::array<std::string_view, 2> from_stdin{"FROM", "STDIN"};
    if (std::search(words.begin(), words.end(), from_stdin.begin(), from_stdin.end()) != words.end()) {
        query.kind = Query::Kind::copy_in;
    } else if (words.size() == 5 && words[2] == "BYTES" && words[3] == "TO" && words[4] == "STDOUT") {
        const char* const end = words[1].data() + words[1].size();
        const auto [rest, error] = std::from_chars(words[1].data(), end, query.bytes);
        if (error == std::errc() && rest == end) query.kind = Query::Kind::copy_out;
    }
    return query;
}

void NullBackend::append_welcome(Buffer& out, std::uint32_t pid) {
    protocol::append_authentication(out, protocol::AuthenticationCode::ok);
    // What drivers look at: psycopg2 wants the date style, psql the version.
    constexpr std::pair<std::string_view, std::string_view> parameters[]{
        {"server_version", "15.0"},
        {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},
        {"DateStyle", "ISO, MDY"},
        {"TimeZone", "UTC"},
        {"integer_datetimes", "on"},
        {"standard_conforming_strings", "on"},
    };
    for (const auto& [name, value] : parameters) {
        protocol::append_parameter_status(out, name, value);
    }
    protocol::append_backend_key_data(out, pid, ~pid);
    protocol::append_ready_for_query(out);
}

void NullBackend::answer(Bytes& bytes, Buffer& out) {
    while (!over_ && !copy_out_ && !bytes.empty()) {
        if (const auto frame = framer_.next(bytes)) answer(*frame, out);
        if (framer_.broken()) give_up(out);
    }
}

void NullBackend::answer(const protocol::Frame& frame, Buffer& out) {
    if (frame.type == 'X') {
        over_ = true;
        return;
    }
    if (state_ == State::copy_in) return answer_in_copy(frame, out);
    if (state_ == State::skip_to_sync && frame.type != 'S') return;
    switch (frame.type) {
        case 'Q': return answer_query(protocol::Reader(frame.body).cstring(), out);
        case 'S': state_ = State::ready; return protocol::append_ready_for_query(out);
        case 'P':
        case 'B':
        case 'C':
        case 'D':
        case 'E':
            state_ = State::skip_to_sync;
            return append_error(out, "ERROR", "0A000", "only simple queries are served here");
        case 'H':
        case 'd':
        case 'c':
        case 'f': return;  // of a COPY that is over: to be ignored (PostgreSQL docs, "COPY Operations")
        default: return give_up(out);
    }
}

void NullBackend::answer_query(std::string_view text, Buffer& out) {
    const Query query = parse_query(text);
    switch (query.kind) {
        case Query::Kind::row: out.insert(out.end(), one_row().begin(), one_row().end()); return;
        case Query::Kind::copy_out:
            protocol::append_copy_response(out, protocol::CopyResponse::out);
            copy_out_ = query.bytes;
            return;
        case Query::Kind::copy_in:
            protocol::append_copy_response(out, protocol::CopyResponse::in);
            copied_in_ = 0;
            state_ = State::copy_in;
            return;
        case Query::Kind::wrong_copy: break;
    }
    append_error(out, "ERROR", "42601", "this server knows COPY n BYTES TO STDOUT and COPY FROM STDIN");
    protocol::append_ready_for_query(out);
}

void NullBackend::answer_in_copy(const protocol::Frame& frame, Buffer& out) {
    switch (frame.type) {
        case 'd': copied_in_ += frame.size; return;
        case 'H':
        case 'S': return;
        case 'c': append_complete(out, "COPY " + std::to_string(copied_in_)); break;
        case 'f':
            append_error(out, "ERROR", "57014", "COPY from stdin failed");
            protocol::append_ready_for_query(out);
            break;
        default: return give_up(out);
    }
    state_ = State::ready;
}

void NullBackend::copied_out(Buffer& out) {
    protocol::append_copy_done(out);
    append_complete(out, "COPY " + std::to_string(copy_out_.value_or(0)));
    copy_out_.reset();
}

void NullBackend::give_up(Buffer& out) {
    append_error(out, "FATAL", "08P01", "not a message that is expected here");
    over_ = true;
}

}  // namespace bench
