#include "proxy/admin/sql_database.hpp"

#include <algorithm>
#include <charconv>

#include "protocol/console_value.hpp"
#include "proxy/admin/console_error.hpp"
#include "proxy/admin/sql_connection.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;

void bind(sqlite3_stmt* statement, int index, const std::optional<std::string>& value, ColumnType type) {
    if (!value) return;
    std::optional<std::int64_t> number;
    switch (type) {
        case ColumnType::boolean: number = *value == "t" || *value == "true" || *value == "1" || *value == "on"; break;
        case ColumnType::timestamptz: number = protocol::parse_timestamp(*value); break;
        case ColumnType::interval: number = protocol::parse_interval(*value); break;
        case ColumnType::int2:
        case ColumnType::int4:
        case ColumnType::int8:
        case ColumnType::oid:
        case ColumnType::xid: {
            std::int64_t parsed = 0;
            const auto [rest, error] = std::from_chars(value->data(), value->data() + value->size(), parsed);
            if (error == std::errc() && rest == value->data() + value->size()) number = parsed;
            break;
        }
        case ColumnType::float8:
        case ColumnType::numeric: sqlite3_bind_double(statement, index, std::strtod(value->c_str(), nullptr)); return;
        case ColumnType::text:
        case ColumnType::name:
        case ColumnType::inet:
            sqlite3_bind_text(statement, index, value->data(), static_cast<int>(value->size()), SQLITE_TRANSIENT);
            return;
    }
    if (!number)
        throw SqlFailure{console_error("22P02", "invalid value for a parameter: \"" + value->substr(0, 100) + "\"")};
    sqlite3_bind_int64(statement, index, *number);
}

/// As a column of a relation is declared ("timestamptz int"), or of the inventory ("INTEGER").
std::optional<ColumnType> declared(const char* type) {
    if (!type) return std::nullopt;
    const std::string_view whole = type;
    if (whole == "numeric") return ColumnType::numeric;  // and not what a cast makes of it
    return type_named(whole.substr(0, whole.find(' ')));
}

/// One result on its way.
class Reading {
   public:
    /// `share`: nullptr: nobody counts.
    Reading(SqlConnection& connection, SqlConnection::Statement statement, const SqlLimits& limits, ResultShare* share)
        : connection_(connection), statement_(std::move(statement)), limits_(limits), share_(share) {}

    /// `type_of`: of a column by its name.
    SqlResult result(const RewrittenSql& sql,
                     const std::function<std::optional<ColumnType>(std::string_view)>& type_of) {
        describe(sql, type_of);
        while (connection_.step(statement_)) take_row();
        return finished();
    }
    /// With its first row at most.
    SqlResult description(const RewrittenSql& sql,
                          const std::function<std::optional<ColumnType>(std::string_view)>& type_of) {
        describe(sql, type_of);
        const bool all_known =
            std::all_of(types_.begin(), types_.end(), [](const auto& type) { return type.has_value(); });
        if (!all_known && connection_.step(statement_)) take_row();
        return finished();
    }

   private:
    SqlResult finished() {
        for (std::size_t i = 0; i < types_.size(); ++i) result_.columns[i].type = types_[i].value_or(guessed(i));
        return std::move(result_);
    }

    void describe(const RewrittenSql& sql, const std::function<std::optional<ColumnType>(std::string_view)>& type_of) {
        const auto count = static_cast<std::size_t>(sqlite3_column_count(statement_.get()));
        for (std::size_t i = 0; i < count; ++i) {
            const char* const name = sqlite3_column_name(statement_.get(), static_cast<int>(i));
            const char* const declared_type = sqlite3_column_decltype(statement_.get(), static_cast<int>(i));
            SqlColumn column{.name = name ? name : "", .type = ColumnType::text};
            std::optional<ColumnType> type;
            if (sql.types.size() == count) type = sql.types[i];
            if (!type) type = declared(declared_type);
            // A view's expression, such as a time that may be 0, has no declared type.
            if (!type && sql.types.size() != count) type = type_of(column.name);
            if (sql.names.size() == count && !sql.names[i].empty()) column.name = sql.names[i];
            types_.push_back(type);
            result_.columns.push_back(std::move(column));
        }
        seen_.resize(count);
    }

    void take_row() {
        if (++result_.count > limits_.rows || result_.rows.size() > limits_.bytes) {
            throw SqlFailure{console_error("54000",
                                           "the result is too large: more than " + std::to_string(limits_.rows) +
                                               " rows or " + std::to_string(limits_.bytes >> 20) + " MiB",
                                           "Ask for less of it: WHERE, LIMIT.")};
        }
        texts_.clear();
        values_.clear();
        for (std::size_t i = 0; i < types_.size(); ++i) texts_.push_back(text(static_cast<int>(i)));
        for (const auto& text : texts_) values_.push_back(text ? std::optional<std::string_view>(*text) : std::nullopt);
        protocol::append_data_row(result_.rows, values_);
        if (share_ && !share_->cover(result_.rows.capacity())) {
            throw SqlFailure{console_error("53200", "the results of all clients of the console take too much memory",
                                           "Ask again, or for less of it: WHERE, LIMIT.")};
        }
    }

    std::optional<std::string> text(int i) {
        const int kind = sqlite3_column_type(statement_.get(), i);
        const auto at = static_cast<std::size_t>(i);
        if (kind == SQLITE_NULL) return std::nullopt;
        const ColumnType type = types_[at].value_or(ColumnType::text);
        if (kind == SQLITE_INTEGER) {
            const std::int64_t number = sqlite3_column_int64(statement_.get(), i);
            if (type == ColumnType::boolean) return number != 0 ? "t" : "f";
            if (type == ColumnType::timestamptz) return protocol::timestamp_text(number);
            if (type == ColumnType::interval) return protocol::interval_text(number);
        }
        Seen& seen = seen_[at];
        seen.integer |= kind == SQLITE_INTEGER;
        seen.real |= kind == SQLITE_FLOAT;
        seen.text |= kind == SQLITE_TEXT || kind == SQLITE_BLOB;
        const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), i));
        if (!bytes) throw std::bad_alloc();
        return std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), i)));
    }

    /// Of an expression: what all its values fit.
    ColumnType guessed(std::size_t i) const {
        const Seen& seen = seen_[i];
        if (seen.text || (!seen.integer && !seen.real)) return ColumnType::text;
        return seen.real ? ColumnType::float8 : ColumnType::int8;
    }

    struct Seen {
        bool integer = false;
        bool real = false;
        bool text = false;
    };

    SqlConnection& connection_;
    SqlConnection::Statement statement_;
    const SqlLimits& limits_;
    ResultShare* const share_;
    SqlResult result_;
    std::vector<std::optional<ColumnType>> types_;
    std::vector<Seen> seen_;
    std::vector<std::optional<std::string>> texts_;
    std::vector<std::optional<std::string_view>> values_;
};

}  // namespace

SqlDatabase::SqlDatabase(const std::vector<Relation>& relations, std::string inventory)
    : relations_(relations), inventory_(std::move(inventory)) {}

std::optional<ColumnType> SqlDatabase::type_of(std::string_view column) const {
    const auto find = [column](const std::vector<RelationColumn>& columns) -> std::optional<ColumnType> {
        for (const RelationColumn& one : columns) {
            if (one.name == column) return one.type;
        }
        return std::nullopt;
    };
    for (const Relation& relation : relations_) {
        if (const auto type = find(relation.columns)) return type;
    }
    for (const InventoryView& view : inventory_views()) {
        if (const auto type = find(view.columns)) return type;
    }
    return std::nullopt;
}

bool SqlDatabase::is_relation(std::string_view name) const {
    const auto has_name = [name](const auto& one) { return one.name == name; };
    return std::any_of(relations_.begin(), relations_.end(), has_name) ||
           std::any_of(inventory_views().begin(), inventory_views().end(), has_name);
}

RewrittenSql SqlDatabase::rewrite(const std::string& sql) const {
    return rewrite_sql(sql, {.type = [this](std::string_view column) { return type_of(column); },
                             .is_relation = [this](std::string_view name) { return is_relation(name); }});
}

bool SqlDatabase::reads_inventory(const RewrittenSql& sql) const {
    return std::any_of(inventory_views().begin(), inventory_views().end(), [&](const InventoryView& view) {
        return std::find(sql.relations.begin(), sql.relations.end(), view.name) != sql.relations.end();
    });
}

std::variant<SqlResult, protocol::ErrorResponse> SqlDatabase::describe(
    const std::string& sql, std::shared_ptr<const std::atomic<bool>> stop) const {
    const SqlLimits limits;
    return answer({.text = sql, .stop = std::move(stop)}, limits, true);
}

std::variant<SqlResult, protocol::ErrorResponse> SqlDatabase::run(const SqlQuery& query,
                                                                  const SqlLimits& limits) const {
    return answer(query, limits, false);
}

std::variant<SqlResult, protocol::ErrorResponse> SqlDatabase::answer(const SqlQuery& query, const SqlLimits& limits,
                                                                     bool description_only) const {
    try {
        const RewrittenSql sql = rewrite(query.text);
        if (sql.too_long)
            return console_error("54000", "the statement is longer than " + std::to_string(max_sql >> 10) + " KiB");
        if (!sql.too_complex.empty()) return console_error("54001", "the statement is too complex: " + sql.too_complex);
        if (!sql.unknown_relation.empty())
            return console_error("42P01", "relation \"" + sql.unknown_relation + "\" does not exist");
        const bool inventory = reads_inventory(sql);
        if (inventory && inventory_.empty())
            return console_error("57P03", "there is no inventory: audit.inventory is empty");
        SqlConnection connection(relations_, inventory ? inventory_ : std::string(), limits, query);
        auto statement = connection.prepare(sql.text);
        for (std::size_t i = 0; i < std::min(query.parameters.size(), sql.parameters.size()); ++i) {
            const std::string name = "$" + std::to_string(i + 1);
            const int index = sqlite3_bind_parameter_index(statement.get(), name.c_str());
            if (index > 0) bind(statement.get(), index, query.parameters[i], sql.parameters[i]);
        }
        const auto type = [this](std::string_view column) { return type_of(column); };
        Reading reading(connection, std::move(statement), limits, query.share.get());
        return description_only ? reading.description(sql, type) : reading.result(sql, type);
    } catch (const SqlFailure& failure) {
        return failure.error;
    } catch (const std::bad_alloc&) {
        return console_error("53200", "out of memory");
    }
}

}  // namespace proxy
