// Framing without keeping CopyData: the same messages whatever pieces their bytes come in; and what
// a server sends is made of whole messages whatever names and values it carries.
#include <algorithm>
#include <cstdlib>

#include "protocol/backend_messages.hpp"
#include "protocol/framer.hpp"

namespace {

using namespace protocol;

void check(bool holds) {
    if (!holds) std::abort();
}

struct Found {
    std::string types;
    std::string bodies;
    std::size_t sizes = 0;
    bool broken = false;

    bool operator==(const Found&) const = default;
};

Found framed(Bytes bytes, std::size_t piece) {
    Framer framer;
    Found found;
    while (!bytes.empty() && !framer.broken()) {
        Bytes next = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(next.size());
        while (const auto frame = framer.next(next)) {
            check(frame->body.size() == (frame->type == 'd' ? 0 : frame->size));
            found.types += frame->type;
            found.bodies += as_text(frame->body);
            found.sizes += frame->size;
        }
        check(next.empty());
    }
    found.broken = framer.broken();
    return found;
}

/// Cut at its first NUL, as names are that messages end by one.
std::string_view name(std::string_view text) { return text.substr(0, text.find('\0')); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = std::size_t{data[0]} + 1;
    const Bytes bytes(data + 1, size - 1);
    check(framed(bytes, piece) == framed(bytes, std::max<std::size_t>(bytes.size(), 1)));

    const std::string_view text = as_text(bytes);
    const std::size_t half = text.size() / 2;
    const Column columns[]{{.name = name(text)}, {.name = name(text.substr(half)), .type = ColumnType::int8}};
    const std::optional<std::string_view> values[]{text.substr(0, half), std::nullopt, text.substr(half)};
    Buffer out;
    append_parameter_status(out, name(text), name(text.substr(half)));
    append_row_description(out, columns);
    append_data_row(out, values);
    append_command_complete(out, name(text));
    append_ready_for_query(out);
    const Found found = framed(out, piece);
    if (out.size() <= max_framed_body) check(found.types == "STDCZ" && !found.broken);
    return 0;
}
