#include <map>

#include "proxy/admin/relations.hpp"
#include "support/catch.hpp"

TEST_CASE("catalog: a column's name has one type in all relations, and no relation is there twice") {
    const proxy::Relation of_ours{.name = "ours", .columns = {{"pid", protocol::ColumnType::int4}}, .rows = {}};
    std::map<std::string_view, protocol::ColumnType> types;
    std::map<std::string_view, int> names;
    const auto look = [&](std::string_view name, const std::vector<proxy::RelationColumn>& columns) {
        CHECK(++names[name] == 1);
        CHECK_FALSE(columns.empty());
        for (const proxy::RelationColumn& column : columns) {
            INFO(name << "." << column.name);
            CHECK(types.try_emplace(column.name, column.type).first->second == column.type);
        }
    };
    for (const proxy::Relation& relation : proxy::catalog_relations({of_ours})) look(relation.name, relation.columns);
    for (const proxy::InventoryView& view : proxy::inventory_views()) look(view.name, view.columns);
}

TEST_CASE("catalog: each value is of its column's kind") {
    const proxy::Relation of_ours{.name = "ours", .columns = {{"pid", protocol::ColumnType::int4}}, .rows = {}};
    for (const proxy::Relation& relation : proxy::catalog_relations({of_ours})) {
        INFO(relation.name);
        const proxy::RelationRows rows = relation.rows();
        for (std::size_t row = 0; row < rows.size; ++row) {
            for (std::size_t column = 0; column < relation.columns.size(); ++column) {
                const proxy::Cell cell = rows.value(row, column);
                const bool is_text = std::holds_alternative<std::string>(cell);
                const bool is_number = std::holds_alternative<std::int64_t>(cell);
                const protocol::ColumnType type = relation.columns[column].type;
                const bool of_text = type == protocol::ColumnType::text || type == protocol::ColumnType::name;
                INFO(relation.columns[column].name);
                CHECK((of_text ? !is_number : !is_text));
            }
        }
    }
}
