// What can be asked of by SQL: tables whose rows are made when a statement names them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/backend_messages.hpp"

namespace proxy {

/// NULL, a number (also of a boolean, and of a time in microseconds since 1970), or a text.
using Cell = std::variant<std::monostate, std::int64_t, std::string>;

/// NULL where nothing is known.
inline Cell text_cell(std::string_view text) {
    if (text.empty()) return {};
    return std::string(text);
}

struct RelationColumn {
    std::string_view name;
    protocol::ColumnType type = protocol::ColumnType::text;
};

/// As they are at one moment.
struct RelationRows {
    std::size_t size = 0;
    std::function<Cell(std::size_t row, std::size_t column)> value;
};

struct Relation {
    std::string_view name;
    std::vector<RelationColumn> columns;
    std::function<RelationRows()> rows;  ///< from any thread, at most once for each statement
};

/// Rows that are few.
RelationRows rows_of(std::vector<std::vector<Cell>> rows);

/// A table of the inventory's, as it is shown: a view.
struct InventoryView {
    std::string_view name;
    std::vector<RelationColumn> columns;
    std::string_view query;  ///< gives them in this order
};

/// clients, evidence, handshakes, upstream_certificates.
const std::vector<InventoryView>& inventory_views();

}  // namespace proxy
