// A relation as one of SQLite's virtual tables (https://www.sqlite.org/vtab.html). Rows are looked
// up by a number without going through all of them, so that joins of many sessions end.
#include <new>
#include <optional>
#include <unordered_map>

#include "proxy/admin/sql_connection.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;

/// With an affinity that compares texts as texts and numbers as numbers.
std::string_view declared_type(ColumnType type) {
    switch (type) {
        case ColumnType::boolean: return "boolean int";
        case ColumnType::int2: return "int2";
        case ColumnType::int4: return "int4";
        case ColumnType::int8: return "int8";
        case ColumnType::oid: return "oid int";
        case ColumnType::xid: return "xid int";
        case ColumnType::timestamptz: return "timestamptz int";
        case ColumnType::interval: return "interval int";
        case ColumnType::float8: return "float8";
        case ColumnType::numeric: return "numeric";
        case ColumnType::inet: return "inet text";
        case ColumnType::name: return "name text";
        case ColumnType::text: break;
    }
    return "text";
}

bool is_number(ColumnType type) {
    return declared_type(type).find("int") != std::string_view::npos && type != ColumnType::inet;
}

struct Table : sqlite3_vtab {
    explicit Table(const Relation& from) : sqlite3_vtab{}, relation(from) {}
    const Relation& relation;
    std::optional<RelationRows> rows;  // made when they are first asked for
    std::unordered_map<int, std::unordered_multimap<std::int64_t, std::size_t>> by_number;

    const RelationRows& all() {
        if (!rows) rows = relation.rows();
        return *rows;
    }
    const std::unordered_multimap<std::int64_t, std::size_t>& index(int column) {
        const auto [found, is_new] = by_number.try_emplace(column);
        if (!is_new) return found->second;
        for (std::size_t row = 0; row < all().size; ++row) {
            const Cell cell = all().value(row, static_cast<std::size_t>(column));
            if (const auto* number = std::get_if<std::int64_t>(&cell)) found->second.emplace(*number, row);
        }
        return found->second;
    }
};

struct Cursor : sqlite3_vtab_cursor {
    Cursor() : sqlite3_vtab_cursor{} {}
    std::size_t row = 0;
    std::optional<std::vector<std::size_t>> found;  // nullopt: all rows
    std::size_t next = 0;                           // of found
};

Table& table_of(sqlite3_vtab_cursor* cursor) { return *static_cast<Table*>(cursor->pVtab); }
Cursor& cursor_of(sqlite3_vtab_cursor* cursor) { return *static_cast<Cursor*>(cursor); }

/// SQLite is C: nothing may be thrown through it.
template <class Action>
int guarded(Action action) noexcept {
    try {
        action();
        return SQLITE_OK;
    } catch (const std::bad_alloc&) {
        return SQLITE_NOMEM;
    } catch (...) {
        return SQLITE_ERROR;
    }
}

thread_local bool declares = false;

int connect(sqlite3* db, void* from, int, const char* const*, sqlite3_vtab** made, char**) {
    return guarded([&] {
        const Relation& relation = *static_cast<const Relation*>(from);
        std::string sql = "CREATE TABLE x(";
        for (const RelationColumn& column : relation.columns) {
            sql += (&column == &relation.columns.front() ? "\"" : ", \"") + std::string(column.name) + "\" " +
                   std::string(declared_type(column.type));
        }
        declares = true;
        const int declared = sqlite3_declare_vtab(db, (sql + ")").c_str());
        declares = false;
        if (declared != SQLITE_OK) throw std::bad_alloc();
        *made = new Table(relation);
    });
}

int disconnect(sqlite3_vtab* table) {
    delete static_cast<Table*>(table);
    return SQLITE_OK;
}

int best_index(sqlite3_vtab* table, sqlite3_index_info* info) {
    return guarded([&] {
        auto& self = *static_cast<Table*>(table);
        const auto size = static_cast<double>(self.all().size);
        info->estimatedCost = size + 1;
        info->estimatedRows = static_cast<sqlite3_int64>(size);
        for (int i = 0; i < info->nConstraint; ++i) {
            const auto& constraint = info->aConstraint[i];
            const bool fits =
                constraint.usable && constraint.op == SQLITE_INDEX_CONSTRAINT_EQ && constraint.iColumn >= 0;
            if (!fits || !is_number(self.relation.columns[static_cast<std::size_t>(constraint.iColumn)].type)) continue;
            info->aConstraintUsage[i].argvIndex = 1;
            info->idxNum = constraint.iColumn + 1;
            info->estimatedCost = 2;
            info->estimatedRows = 1;
            return;
        }
    });
}

int open_cursor(sqlite3_vtab*, sqlite3_vtab_cursor** made) {
    return guarded([&] { *made = new Cursor; });
}

int close_cursor(sqlite3_vtab_cursor* cursor) {
    delete &cursor_of(cursor);
    return SQLITE_OK;
}

void go_to_found(Cursor& cursor) {
    if (cursor.found && cursor.next < cursor.found->size()) cursor.row = (*cursor.found)[cursor.next];
}

int filter(sqlite3_vtab_cursor* cursor, int column, const char*, int count, sqlite3_value** values) {
    return guarded([&] {
        Cursor& self = cursor_of(cursor);
        self.row = self.next = 0;
        self.found.reset();
        // What is no whole number may still be equal to one in SQLite's eyes: that is for it to
        // say.
        if (column == 0 || count == 0 || sqlite3_value_type(values[0]) != SQLITE_INTEGER) return;
        self.found.emplace();
        const auto& index = table_of(cursor).index(column - 1);
        const auto [begin, end] = index.equal_range(sqlite3_value_int64(values[0]));
        for (auto it = begin; it != end; ++it) self.found->push_back(it->second);
        go_to_found(self);
    });
}

int next(sqlite3_vtab_cursor* cursor) {
    Cursor& self = cursor_of(cursor);
    if (self.found) {
        ++self.next;
        go_to_found(self);
    } else {
        ++self.row;
    }
    return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* cursor) {
    const Cursor& self = cursor_of(cursor);
    if (self.found) return self.next >= self.found->size() ? 1 : 0;
    const Table& table = table_of(cursor);
    return !table.rows || self.row >= table.rows->size ? 1 : 0;
}

int column_value(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int column) {
    return guarded([&] {
        const Cell cell = table_of(cursor).all().value(cursor_of(cursor).row, static_cast<std::size_t>(column));
        if (const auto* number = std::get_if<std::int64_t>(&cell)) {
            sqlite3_result_int64(result, *number);
        } else if (const auto* text = std::get_if<std::string>(&cell)) {
            sqlite3_result_text64(result, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        } else {
            sqlite3_result_null(result);
        }
    });
}

int row_number(sqlite3_vtab_cursor* cursor, sqlite3_int64* row) {
    *row = static_cast<sqlite3_int64>(cursor_of(cursor).row) + 1;
    return SQLITE_OK;
}

/// Without xCreate: the table is there by its name alone.
sqlite3_module made_module() {
    sqlite3_module module{};
    module.xConnect = connect;
    module.xDisconnect = disconnect;
    module.xBestIndex = best_index;
    module.xOpen = open_cursor;
    module.xClose = close_cursor;
    module.xFilter = filter;
    module.xNext = next;
    module.xEof = at_end;
    module.xColumn = column_value;
    module.xRowid = row_number;
    return module;
}

const sqlite3_module relation_module = made_module();

}  // namespace

bool declares_sql_relation() noexcept { return declares; }

bool add_sql_relation(sqlite3* db, const Relation& relation) {
    const std::string name(relation.name);
    return sqlite3_create_module(db, name.c_str(), &relation_module, const_cast<Relation*>(&relation)) == SQLITE_OK;
}

}  // namespace proxy
