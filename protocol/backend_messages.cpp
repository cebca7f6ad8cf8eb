#include "protocol/backend_messages.hpp"

namespace protocol {
namespace {

/// `body`: void (Writer&).
template <class Body>
void append_message(Buffer& out, std::uint8_t type, Body body) {
    Writer writer(out);
    writer.u8(type);
    const std::size_t length = writer.begin_length();
    body(writer);
    writer.end_length(length);
}

void append_u16(Writer& writer, std::size_t value) {
    writer.u8(static_cast<std::uint8_t>(value >> 8));
    writer.u8(static_cast<std::uint8_t>(value));
}

/// As pg_type has it; -1 (0xffff): it varies.
std::uint16_t size_of(ColumnType type) noexcept {
    switch (type) {
        case ColumnType::boolean: return 1;
        case ColumnType::int2: return 2;
        case ColumnType::int4:
        case ColumnType::oid:
        case ColumnType::xid: return 4;
        case ColumnType::int8:
        case ColumnType::float8:
        case ColumnType::timestamptz: return 8;
        case ColumnType::interval: return 16;
        case ColumnType::name: return 64;
        case ColumnType::text:
        case ColumnType::inet:
        case ColumnType::numeric: break;
    }
    return 0xffff;
}

constexpr std::uint32_t no_table = 0;
constexpr std::uint32_t no_modifier = 0xffffffff;
constexpr std::uint32_t null_value = 0xffffffff;
constexpr std::uint16_t text_format = 0;

}  // namespace

void append_parameter_status(Buffer& out, std::string_view name, std::string_view value) {
    append_message(out, 'S', [&](Writer& writer) {
        writer.cstring(name);
        writer.cstring(value);
    });
}

void append_backend_key_data(Buffer& out, std::uint32_t pid, std::uint32_t key) {
    append_message(out, 'K', [&](Writer& writer) {
        writer.u32(pid);
        writer.u32(key);
    });
}

void append_negotiate_protocol_version(Buffer& out, std::uint32_t newest_minor,
                                       std::span<const std::string_view> unknown_options) {
    append_message(out, 'v', [&](Writer& writer) {
        writer.u32(newest_minor);
        writer.u32(static_cast<std::uint32_t>(unknown_options.size()));
        for (const std::string_view option : unknown_options) writer.cstring(option);
    });
}

void append_ready_for_query(Buffer& out, TransactionStatus status) {
    append_message(out, 'Z', [&](Writer& writer) { writer.u8(static_cast<std::uint8_t>(status)); });
}

void append_row_description(Buffer& out, std::span<const Column> columns) {
    append_message(out, 'T', [&](Writer& writer) {
        append_u16(writer, columns.size());
        for (const Column& column : columns) {
            writer.cstring(column.name);
            writer.u32(no_table);
            append_u16(writer, 0);  // nor a column of one
            writer.u32(static_cast<std::uint32_t>(column.type));
            append_u16(writer, size_of(column.type));
            writer.u32(no_modifier);
            append_u16(writer, text_format);
        }
    });
}

void append(Buffer& out, Step step) {
    append_message(out, static_cast<std::uint8_t>(step), [](Writer&) {});
}

void append_parameter_description(Buffer& out, std::span<const std::uint32_t> oids) {
    append_message(out, 't', [&](Writer& writer) {
        append_u16(writer, oids.size());
        for (const std::uint32_t oid : oids) writer.u32(oid);
    });
}

void append_data_row(Buffer& out, std::span<const std::optional<std::string_view>> values) {
    append_message(out, 'D', [&](Writer& writer) {
        append_u16(writer, values.size());
        for (const auto& value : values) {
            writer.u32(value ? static_cast<std::uint32_t>(value->size()) : null_value);
            if (value) writer.bytes(as_bytes(*value));
        }
    });
}

void append_command_complete(Buffer& out, std::string_view tag) {
    append_message(out, 'C', [&](Writer& writer) { writer.cstring(tag); });
}

void append_empty_query_response(Buffer& out) {
    append_message(out, 'I', [](Writer&) {});
}

void append_copy_response(Buffer& out, CopyResponse response, CopyFormat format) {
    append_message(out, static_cast<std::uint8_t>(response), [&](Writer& writer) {
        writer.u8(static_cast<std::uint8_t>(format));
        append_u16(writer, 1);
        append_u16(writer, static_cast<std::size_t>(format));  // of its one column
    });
}

void append_copy_done(Buffer& out) {
    append_message(out, 'c', [](Writer&) {});
}

void append(Buffer& out, const ErrorResponse& error) {
    const Buffer bytes = serialize(error);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace protocol
