#include "proxy/admin/console_portals.hpp"

#include "protocol/console_value.hpp"
#include "proxy/admin/console_error.hpp"

namespace proxy {
namespace {

using protocol::Buffer;
using protocol::Bytes;
using protocol::ColumnType;
using protocol::ErrorResponse;
using protocol::Reader;

constexpr std::uint32_t null_value = 0xffffffff;
constexpr std::uint16_t binary_format = 1;
constexpr std::size_t enough_to_send = 256 * 1024;

ErrorResponse malformed(const char* message) {
    return console_error("08P01", std::string("invalid ") + message + " message");
}

/// What is in one message of a buffer that holds whole ones.
struct Whole {
    char type = 0;
    Bytes body;
    Bytes all;
};
Whole message_at(Bytes messages, std::size_t at) {
    const std::size_t length = Reader(messages.subspan(at + 1)).u32();
    return {.type = static_cast<char>(messages[at]),
            .body = messages.subspan(at + protocol::message_header_size, length - 4),
            .all = messages.subspan(at, length + 1)};
}

std::uint16_t format_of(const Portal& portal, std::size_t column) {
    if (portal.formats.empty()) return 0;
    return portal.formats.size() == 1       ? portal.formats[0]
           : column < portal.formats.size() ? portal.formats[column]
                                            : std::uint16_t{0};
}

bool has_binary(const Portal& portal) {
    for (const std::uint16_t format : portal.formats) {
        if (format == binary_format) return true;
    }
    return false;
}

void set_u32(Buffer& out, std::size_t at, std::size_t value) {
    for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

/// All rows are sent: what is left is what a further Execute is told. Whether that is no error.
bool keep_end(Portal& portal) {
    Buffer end(portal.answer->begin() + static_cast<std::ptrdiff_t>(portal.sent), portal.answer->end());
    portal.answer = std::move(end);
    portal.share.reset();
    portal.sent = 0;
    return portal.answer->front() == 'C';
}

/// A DataRow of texts in the portal's formats. False: a value is none of its column's type.
bool append_row(Buffer& out, Bytes body, const Portal& portal) {
    protocol::Writer writer(out);
    writer.u8('D');
    const std::size_t length = writer.begin_length();
    Reader row(body);
    const std::uint16_t count = row.u16();
    writer.u8(static_cast<std::uint8_t>(count >> 8));
    writer.u8(static_cast<std::uint8_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t size = row.u32();
        if (size == null_value) {
            writer.u32(null_value);
            continue;
        }
        const Bytes text = row.take(size);
        const std::size_t at = out.size();
        writer.u32(0);
        if (format_of(portal, i) != binary_format) {
            writer.bytes(text);
        } else {
            const ColumnType type = i < portal.column_types.size() ? portal.column_types[i] : ColumnType::text;
            if (!protocol::append_binary(out, type, protocol::as_text(text))) return false;
        }
        set_u32(out, at, out.size() - at - 4);
    }
    writer.end_length(length);
    return true;
}

}  // namespace

// --- Prepared statements

std::string_view ConsolePortals::query_of(std::string_view body) {
    Reader reader(protocol::as_bytes(body));
    reader.cstring();
    return reader.cstring();
}

ConsolePortals::Error ConsolePortals::read_parse(std::string_view body, std::string& name,
                                                 PreparedStatement& prepared) {
    Reader reader(protocol::as_bytes(body));
    name = reader.cstring();
    const std::string_view query = reader.cstring();
    for (int left = reader.u16(); left > 0 && reader.ok(); --left) prepared.declared_types.push_back(reader.u32());
    if (!reader.ok() || !reader.rest().empty()) return malformed("Parse");
    if (prepared.declared_types.size() > max_parameters) return console_error("54023", "too many parameters");
    auto parsed = protocol::parse_console(query);
    if (auto* const wrong = std::get_if<ErrorResponse>(&parsed)) return std::move(*wrong);
    auto& statements = std::get<std::vector<protocol::ConsoleStatement>>(parsed);
    if (statements.size() > 1)
        return console_error("42601", "cannot insert multiple commands into a prepared statement");
    if (!statements.empty()) prepared.statement = std::move(statements.front());
    prepared.bytes = sizeof prepared + 2 * body.size();
    return std::nullopt;
}

void ConsolePortals::complete_types(PreparedStatement& prepared, const std::vector<ColumnType>& types) {
    prepared.parameter_types = prepared.declared_types;
    prepared.parameter_types.resize(std::max(prepared.declared_types.size(), types.size()));
    for (std::size_t i = 0; i < prepared.parameter_types.size(); ++i) {
        std::uint32_t& oid = prepared.parameter_types[i];
        if (oid == 0) oid = static_cast<std::uint32_t>(i < types.size() ? types[i] : ColumnType::text);
    }
}

ConsolePortals::Error ConsolePortals::keep(std::string name, PreparedStatement prepared) {
    if (const auto old = statements_.find(name); old != statements_.end()) {
        bytes_ -= old->second.bytes;
        statements_.erase(old);
    }
    if (statements_.size() >= max_statements || bytes_ + prepared.bytes > max_bytes)
        return console_error("54000", "too many prepared statements", "DISCARD ALL forgets them.");
    bytes_ += prepared.bytes;
    statements_.emplace(std::move(name), std::move(prepared));
    return std::nullopt;
}

PreparedStatement* ConsolePortals::statement(const std::string& name) {
    const auto found = statements_.find(name);
    return found == statements_.end() ? nullptr : &found->second;
}

Portal* ConsolePortals::portal(const std::string& name) {
    const auto found = portals_.find(name);
    return found == portals_.end() ? nullptr : &found->second;
}

// --- Portals

ConsolePortals::Error ConsolePortals::bind(std::string_view body) {
    Reader reader(protocol::as_bytes(body));
    const std::string portal_name(reader.cstring());
    const std::string statement_name(reader.cstring());
    std::vector<std::uint16_t> formats;
    for (int left = reader.u16(); left > 0 && reader.ok(); --left) formats.push_back(reader.u16());
    const std::size_t count = reader.u16();
    const PreparedStatement* const prepared = statement(statement_name);
    if (!reader.ok() || (formats.size() > 1 && formats.size() != count)) return malformed("Bind");
    if (!prepared) return console_error("26000", "prepared statement \"" + statement_name + "\" does not exist");
    if (count != prepared->parameter_types.size()) {
        return console_error("08P01", "bind message supplies " + std::to_string(count) +
                                          " parameters, but prepared statement \"" + statement_name + "\" requires " +
                                          std::to_string(prepared->parameter_types.size()));
    }
    Portal portal{.statement = prepared->statement,
                  .parameters = {},
                  .formats = {},
                  .column_types = prepared->column_types,
                  .answer = {},
                  .sent = 0,
                  .share = {}};
    for (std::size_t i = 0; i < count && reader.ok(); ++i) {
        const std::uint32_t size = reader.u32();
        if (size == null_value) {
            portal.parameters.emplace_back();
            continue;
        }
        const Bytes value = reader.take(size);
        const std::uint16_t format = formats.empty() ? 0 : formats[formats.size() == 1 ? 0 : i];
        const auto text = format == binary_format ? protocol::binary_as_text(prepared->parameter_types[i], value)
                                                  : std::optional<std::string>(protocol::as_text(value));
        if (reader.ok() && !text) {
            return console_error("0A000",
                                 "parameter $" + std::to_string(i + 1) +
                                     " is binary, of a type that the console does "
                                     "not have (OID " +
                                     std::to_string(prepared->parameter_types[i]) + ")",
                                 "Give it as text.");
        }
        portal.parameters.push_back(text);
    }
    for (int left = reader.u16(); left > 0 && reader.ok(); --left) portal.formats.push_back(reader.u16());
    if (!reader.ok() || !reader.rest().empty()) return malformed("Bind");
    portals_.erase(portal_name);
    if (portals_.size() >= max_portals) return console_error("54000", "too many portals");
    portals_.emplace(portal_name, std::move(portal));
    return std::nullopt;
}

ConsolePortals::Error ConsolePortals::close(std::string_view body) {
    Reader reader(protocol::as_bytes(body));
    const std::uint8_t what = reader.u8();
    const std::string name(reader.cstring());
    if (!reader.ok() || (what != 'S' && what != 'P')) return malformed("Close");
    if (what == 'P') {
        portals_.erase(name);
    } else if (const auto found = statements_.find(name); found != statements_.end()) {
        bytes_ -= found->second.bytes;
        statements_.erase(found);
    }
    return std::nullopt;
}

std::size_t ConsolePortals::waiting_bytes() const {
    std::size_t bytes = 0;
    for (const auto& [name, portal] : portals_) bytes += portal.answer ? portal.answer->size() : 0;
    return bytes;
}

// --- Answers

std::vector<ColumnType> column_types(Bytes messages) {
    std::vector<ColumnType> types;
    if (messages.empty() || messages[0] != 'T') return types;
    Reader reader(message_at(messages, 0).body);
    for (int left = reader.u16(); left > 0 && reader.ok(); --left) {
        reader.cstring();
        reader.take(6);
        types.push_back(static_cast<ColumnType>(reader.u32()));
        reader.take(8);
    }
    return types;
}

void append_description(Buffer& out, Bytes messages, const Portal& portal) {
    const std::size_t begin = out.size();
    out.insert(out.end(), messages.begin(), messages.end());
    if (messages.empty() || messages[0] != 'T') return;
    // The format is the last of a column's members.
    Reader reader(message_at(messages, 0).body);
    const std::size_t columns = reader.u16();
    std::size_t at = begin + protocol::message_header_size + 2;
    for (std::size_t i = 0; i < columns; ++i) {
        at += reader.cstring().size() + 1 + 18;
        reader.take(18);
        const std::uint16_t format = format_of(portal, i);
        out[at - 2] = static_cast<std::uint8_t>(format >> 8);
        out[at - 1] = static_cast<std::uint8_t>(format);
    }
}

Sent append_rows(Buffer& out, Portal& portal, std::uint64_t& rows_left) {
    const Bytes messages(*portal.answer);
    const bool binary = has_binary(portal);
    while (portal.sent < messages.size()) {
        const Whole message = message_at(messages, portal.sent);
        if (message.type == 'D') {
            if (out.size() > enough_to_send) return Sent::part;
            if (rows_left == 0) {
                append(out, protocol::Step::portal_suspended);
                return Sent::all;
            }
            --rows_left;
            const std::size_t begin = out.size();
            if (!binary) {
                out.insert(out.end(), message.all.begin(), message.all.end());
            } else if (!append_row(out, message.body, portal)) {
                out.resize(begin);
                append(out, console_error("0A000", "a value has no binary form here", "Ask for results as text."));
                return Sent::failed;
            }
        } else if (message.type != 'T') {
            out.insert(out.end(), message.all.begin(), message.all.end());
            if (message.type == 'C' || message.type == 'E') return keep_end(portal) ? Sent::all : Sent::failed;
        }
        portal.sent += message.all.size();
    }
    return Sent::all;
}

}  // namespace proxy
