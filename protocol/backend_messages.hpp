// Messages that a server sends after its client is in, appended to a buffer (PostgreSQL docs,
// "Message Formats"): for what answers in a server's place. Those of the login, which the proxy
// also reads, are in messages.hpp.
#pragma once

#include <optional>
#include <span>

#include "protocol/messages.hpp"

namespace protocol {

void append_parameter_status(Buffer& out, std::string_view name, std::string_view value);
/// With a key of four bytes, which every client takes.
void append_backend_key_data(Buffer& out, std::uint32_t pid, std::uint32_t key);

/// What a client that wants a newer minor version than `newest_minor`, or options ("_pq_...") that
/// nobody here knows, is told first.
void append_negotiate_protocol_version(Buffer& out, std::uint32_t newest_minor,
                                       std::span<const std::string_view> unknown_options);

/// The byte of ReadyForQuery.
enum class TransactionStatus : std::uint8_t { idle = 'I', open = 'T', failed = 'E' };
void append_ready_for_query(Buffer& out, TransactionStatus status = TransactionStatus::idle);

/// OIDs of pg_type.
enum class ColumnType : std::uint32_t {
    boolean = 16,
    name = 19,
    int8 = 20,
    int2 = 21,
    int4 = 23,
    text = 25,
    oid = 26,
    xid = 28,
    float8 = 701,
    inet = 869,
    timestamptz = 1184,
    interval = 1186,
    numeric = 1700,
};

/// Of a result that is no table's; its values are sent as text.
struct Column {
    std::string_view name;  ///< without NUL, as all names here
    ColumnType type = ColumnType::text;
};

/// At most 65535 columns, and so many values.
void append_row_description(Buffer& out, std::span<const Column> columns);
/// ParseComplete, BindComplete, CloseComplete, NoData, PortalSuspended: messages without a body.
enum class Step : std::uint8_t {
    parse_complete = '1',
    bind_complete = '2',
    close_complete = '3',
    no_data = 'n',
    portal_suspended = 's',
};
void append(Buffer& out, Step step);
/// `oids`: of the types of a prepared statement's parameters; at most 65535.
void append_parameter_description(Buffer& out, std::span<const std::uint32_t> oids);
/// nullopt: NULL.
void append_data_row(Buffer& out, std::span<const std::optional<std::string_view>> values);
/// `tag`: "SELECT 1".
void append_command_complete(Buffer& out, std::string_view tag);
/// What an empty query is answered with instead of a CommandComplete.
void append_empty_query_response(Buffer& out);

/// The type byte of CopyOutResponse and CopyInResponse.
enum class CopyResponse : std::uint8_t { out = 'H', in = 'G' };
enum class CopyFormat : std::uint8_t { text = 0, binary = 1 };
/// Of one column.
void append_copy_response(Buffer& out, CopyResponse response, CopyFormat format = CopyFormat::text);
void append_copy_done(Buffer& out);

void append(Buffer& out, const ErrorResponse& error);

}  // namespace protocol
