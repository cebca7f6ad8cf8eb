// As much of pg_catalog as psql's \d without a name and the first questions of drivers need.
// Whatever else is asked of there does not exist, and is said not to (42P01).
#include "proxy/admin/relations.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;
using Rows = std::vector<std::vector<Cell>>;

constexpr std::int64_t public_namespace = 2200;  // as in PostgreSQL
constexpr std::int64_t catalog_namespace = 11;
constexpr std::int64_t first_oid = 16384;

Cell oid(std::int64_t value) { return value; }

}  // namespace

std::vector<Relation> catalog_relations(const std::vector<Relation>& others) {
    std::vector<std::string> names;
    for (const Relation& relation : others) names.emplace_back(relation.name);
    for (const InventoryView& view : inventory_views()) names.emplace_back(view.name);
    const auto classes = [names] {
        Rows rows;
        for (std::size_t i = 0; i < names.size(); ++i) {
            rows.push_back({oid(first_oid + static_cast<std::int64_t>(i)), Cell(names[i]), oid(public_namespace),
                            Cell(std::string("v")), oid(10), oid(0)});
        }
        return rows_of(std::move(rows));
    };
    const auto namespaces = [] {
        return rows_of({{oid(public_namespace), Cell(std::string("public"))},
                        {oid(catalog_namespace), Cell(std::string("pg_catalog"))}});
    };
    const auto databases = [] {
        return rows_of({{oid(1), Cell(std::string("pgairlock")), oid(10), Cell(std::int64_t{6}), Cell(std::int64_t{0}),
                         Cell(std::int64_t{1})}});
    };
    return {
        {.name = "pg_class",
         .columns = {{"oid", ColumnType::oid},
                     {"relname", ColumnType::name},
                     {"relnamespace", ColumnType::oid},
                     {"relkind"},
                     {"relowner", ColumnType::oid},
                     {"relam", ColumnType::oid}},
         .rows = classes},
        {.name = "pg_namespace",
         .columns = {{"oid", ColumnType::oid}, {"nspname", ColumnType::name}},
         .rows = namespaces},
        {.name = "pg_am",
         .columns = {{"oid", ColumnType::oid}, {"amname", ColumnType::name}},
         .rows = [] { return rows_of({}); }},
        {.name = "pg_database",
         .columns = {{"oid", ColumnType::oid},
                     {"datname", ColumnType::name},
                     {"datdba", ColumnType::oid},
                     {"encoding", ColumnType::int4},
                     {"datistemplate", ColumnType::boolean},
                     {"datallowconn", ColumnType::boolean}},
         .rows = databases},
    };
}

std::vector<Relation> console_relations(const ConsoleSources& sources) {
    std::vector<Relation> all = session_relations(sources);
    for (Relation& relation : state_relations(sources)) all.push_back(std::move(relation));
    for (Relation& relation : catalog_relations(all)) all.push_back(std::move(relation));
    return all;
}

}  // namespace proxy
