#include "protocol/simple_query.hpp"

namespace protocol {

void append_query(Buffer& out, std::string_view sql) {
    Writer writer(out);
    writer.u8('Q');
    const std::size_t length = writer.begin_length();
    writer.cstring(sql);
    writer.end_length(length);
}

void append_terminate(Buffer& out) {
    Writer writer(out);
    writer.u8('X');
    writer.end_length(writer.begin_length());
}

void SimpleQuery::from_server(const Message& message) {
    bytes_ += message.whole.size();
    if (bytes_ > bounds_.bytes) return oversized();
    switch (message.type) {
        case 'D': return data_row(message.body);
        case 'E': {
            ErrorResponse error = parse_error_response(message.body);
            error_ = OwnFailure{.sqlstate = std::move(error.sqlstate), .text = std::move(error.message)};
            // Nothing follows, not even a ReadyForQuery.
            if (error.severity == "FATAL" || error.severity == "PANIC") {
                failure_ = std::move(*error_);
                next_ = Next::failed;
            }
            return;
        }
        case 'Z':
            if (error_) failure_ = std::move(*error_);
            next_ = error_ ? Next::refused : Next::answered;
            return;
        case 'T':
        case 'C':
        case 'N':
        case 'S':
        case 'A': return;
        default: return fail("the server says something that is no answer");
    }
}

void SimpleQuery::data_row(Bytes body) {
    if (rows_.size() >= bounds_.rows) return oversized();
    constexpr std::uint32_t null_value = 0xffffffff;
    Reader reader(body);
    TextRow row(reader.u16());
    for (auto& value : row) {
        const std::uint32_t size = reader.u32();
        if (size != null_value) value.emplace(as_text(reader.take(size)));
        if (!reader.ok()) break;
    }
    if (!reader.ok() || !reader.rest().empty()) return fail("the server's answer is malformed");
    rows_.push_back(std::move(row));
}

void SimpleQuery::fail(std::string text) {
    failure_ = {.sqlstate = "08P01", .text = std::move(text)};
    next_ = Next::failed;
}

}  // namespace protocol
