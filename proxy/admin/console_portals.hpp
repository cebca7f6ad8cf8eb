// The extended protocol of one connection: its prepared statements and portals, and answers in the
// formats that a client asks for (PostgreSQL docs, "Extended Query"). No I/O: who runs statements
// is somebody else.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/backend_messages.hpp"
#include "protocol/console_statement.hpp"
#include "proxy/admin/console_results.hpp"

namespace proxy {

struct PreparedStatement {
    std::optional<protocol::ConsoleStatement> statement;  ///< nullopt: an empty query
    std::vector<std::uint32_t> declared_types;            ///< OIDs, as the client said; 0: it did not
    std::vector<std::uint32_t> parameter_types;           ///< OIDs, of all parameters
    /// Of its columns, once it was described: what is sent in binary keeps to these. Empty: it was
    /// not, or has none.
    std::vector<protocol::ColumnType> column_types;
    std::size_t bytes = 0;
};

struct Portal {
    std::optional<protocol::ConsoleStatement> statement;
    std::vector<std::optional<std::string>> parameters;
    std::vector<std::uint16_t> formats;  ///< of the columns: none, one for all, or one for each
    std::vector<protocol::ColumnType> column_types;
    std::optional<protocol::Buffer> answer;  ///< once it was run
    std::size_t sent = 0;                    ///< of it
    std::shared_ptr<ResultShare> share;      ///< of the answer
};

class ConsolePortals {
   public:
    /// Of what the statements of one connection take, in bytes, and how many there may be.
    static constexpr std::size_t max_bytes = 4 * 1024 * 1024;
    static constexpr std::size_t max_statements = 1000;
    static constexpr std::size_t max_portals = 100;
    static constexpr std::size_t max_parameters = 100;
    /// Of answers that were not sent whole, in bytes.
    static constexpr std::size_t max_waiting = 32 * 1024 * 1024;

    using Error = std::optional<protocol::ErrorResponse>;  ///< nullopt: it is done

    /// The bodies of Parse, Bind and Close. `types`: those that a statement's parameters seem to
    /// have, asked of whoever understands it.
    template <class Types>
    Error parse(std::string_view body, Types types) {
        std::string name;
        PreparedStatement prepared;
        if (auto wrong = read_parse(body, name, prepared)) return wrong;
        complete_types(prepared, prepared.statement ? types(*prepared.statement) : std::vector<protocol::ColumnType>());
        return keep(std::move(name), std::move(prepared));
    }
    /// Of a Parse, for whoever has more to say of what is wrong with it.
    static std::string_view query_of(std::string_view body);
    Error bind(std::string_view body);
    Error close(std::string_view body);

    /// nullptr: there is none of that name.
    PreparedStatement* statement(const std::string& name);
    Portal* portal(const std::string& name);

    /// Of answers that wait for the rest of them to be asked for.
    std::size_t waiting_bytes() const;
    /// At the end of a transaction.
    void close_portals() { portals_.clear(); }
    void forget_all() {
        statements_.clear();
        portals_.clear();
        bytes_ = 0;
    }

   private:
    static Error read_parse(std::string_view body, std::string& name, PreparedStatement& prepared);
    static void complete_types(PreparedStatement& prepared, const std::vector<protocol::ColumnType>& types);
    Error keep(std::string name, PreparedStatement prepared);

    std::map<std::string, PreparedStatement> statements_;
    std::map<std::string, Portal> portals_;
    std::size_t bytes_ = 0;
};

/// The types of a RowDescription; none: `messages` begin with something else.
std::vector<protocol::ColumnType> column_types(protocol::Bytes messages);
/// A RowDescription with the formats that a portal has; what is none is copied.
void append_description(protocol::Buffer& out, protocol::Bytes messages, const Portal& portal);

/// How far an Execute has been answered.
enum class Sent { all, failed, part };
/// Appends what an Execute is answered with: rows of the portal's answer, at most `rows_left`
/// (counted down), up to PortalSuspended, CommandComplete or an ErrorResponse (`failed`). `part`:
/// there are so many bytes in `out` that they should go first.
Sent append_rows(protocol::Buffer& out, Portal& portal, std::uint64_t& rows_left);

}  // namespace proxy
