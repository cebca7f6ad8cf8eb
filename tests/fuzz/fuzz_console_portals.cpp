// Parse, Bind, Execute and Close of a console's client with any contents: what it is sent are whole
// messages, no more rows than it wants, and what it makes us keep is bounded.
#include <cstdlib>

#include "proxy/admin/console_portals.hpp"

namespace {

using namespace protocol;
using proxy::ConsolePortals;

void check(bool holds) {
    if (!holds) std::abort();
}

constexpr std::size_t rows = 5;

Buffer answer() {
    Buffer out;
    const Column columns[]{{"n", ColumnType::int4}, {"t", ColumnType::text}, {"at", ColumnType::timestamptz}};
    append_row_description(out, columns);
    for (std::size_t i = 0; i < rows; ++i) {
        const std::optional<std::string_view> row[]{"7", i % 2 ? std::nullopt : std::optional<std::string_view>("text"),
                                                    "2026-11-30 00:00:00+00"};
        append_data_row(out, row);
    }
    append_command_complete(out, "SELECT 5");
    return out;
}

std::size_t rows_in(Bytes messages) {
    std::size_t count = 0;
    while (!messages.empty()) {
        check(messages.size() >= message_header_size);
        const std::size_t length = Reader(messages.subspan(1)).u32();
        check(length >= 4 && messages.size() >= length + 1);
        count += messages[0] == 'D';
        messages = messages.subspan(length + 1);
    }
    return count;
}

void execute(ConsolePortals& portals, std::string_view body) {
    Reader reader(as_bytes(body));
    const std::string name(reader.cstring());
    std::uint64_t wanted = reader.u8() % 8;
    proxy::Portal* const portal = portals.portal(name);
    if (!portal) return;
    if (!portal->answer) portal->answer = answer();
    if (portal->column_types.empty()) portal->column_types = proxy::column_types(*portal->answer);
    Buffer out;
    proxy::append_description(out, *portal->answer, *portal);
    check(rows_in(out) <= rows);
    out.clear();
    const std::uint64_t most = wanted;
    const proxy::Sent sent = append_rows(out, *portal, wanted);
    check(sent != proxy::Sent::part && rows_in(out) <= most && rows_in(out) == most - wanted);
}

}  // namespace

/// A byte of a message's type, two of its size, its body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ConsolePortals portals;
    Bytes input(data, size);
    while (input.size() >= 3) {
        const auto type = static_cast<char>(input[0]);
        const std::size_t length = static_cast<std::size_t>(input[1]) << 8 | input[2];
        input = input.subspan(3);
        const std::string_view body = as_text(input.first(std::min(length, input.size())));
        input = input.subspan(body.size());
        ConsolePortals::Error wrong;
        switch (type) {
            case 'P':
                wrong = portals.parse(body, [&](const ConsoleStatement& statement) {
                    const std::size_t parameters = statement.text.size() % 4;
                    return std::vector<ColumnType>(parameters, ColumnType::int4);
                });
                break;
            case 'B': wrong = portals.bind(body); break;
            case 'C': wrong = portals.close(body); break;
            case 'X': portals.forget_all(); break;
            default: execute(portals, body);
        }
        if (wrong) check(wrong->sqlstate.size() == 5 && !wrong->message.empty());
    }
    check(portals.waiting_bytes() <= ConsolePortals::max_portals * answer().size());
    return 0;
}
