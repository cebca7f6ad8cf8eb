// As much of pg_catalog as psql's backslash commands, its completion and the first questions of
// drivers and tools need. What PostgreSQL has in other catalogs does not exist here, and is said
// not to (42P01).
#include <algorithm>
#include <array>

#include "proxy/admin/console_parameters.hpp"
#include "proxy/admin/relations.hpp"
#include "proxy/admin/sql_rewrite.hpp"

namespace proxy {
namespace {

using protocol::ColumnType;
using Row = std::vector<Cell>;
using Rows = std::vector<Row>;
using namespace std::string_view_literals;

// As in PostgreSQL.
constexpr std::int64_t public_namespace = 2200;
constexpr std::int64_t catalog_namespace = 11;
constexpr std::int64_t first_oid = 16384;
constexpr std::int64_t owner_oid = 10;
constexpr std::int64_t default_tablespace = 1663;

Cell number(std::int64_t value) { return value; }
Cell text(std::string_view value) { return std::string(value); }
const Cell no_cell;

/// "oid relname:name" : columns and their types; oid, unless something else is said.
std::vector<RelationColumn> columns(std::string_view list) {
    std::vector<RelationColumn> made;
    while (!list.empty()) {
        const std::string_view one = list.substr(0, list.find(' '));
        list.remove_prefix(std::min(one.size() + 1, list.size()));
        const std::size_t colon = one.find(':');
        const auto type = colon == std::string_view::npos ? ColumnType::oid : type_named(one.substr(colon + 1));
        made.push_back({one.substr(0, colon), type.value_or(ColumnType::text)});
    }
    return made;
}

struct Catalog {
    std::string_view name;
    std::string_view columns;
};

/// Those that are asked for, and of which there is nothing here.
constexpr std::array empty_catalogs{
    Catalog{"pg_am", "oid amname:name amhandler amtype"},
    Catalog{"pg_attrdef", "oid adrelid adnum:int2 adbin:text"},
    Catalog{"pg_auth_members", "roleid member grantor admin_option:bool"},
    Catalog{"pg_collation",
            "oid collname:name collnamespace collowner collprovider:text collisdeterministic:bool "
            "collencoding:int4 collcollate:text collctype:text"},
    Catalog{"pg_constraint",
            "oid conname:name connamespace contype:text condeferrable:bool condeferred:bool "
            "convalidated:bool conrelid contypid conindid conparentid confrelid conkey:text "
            "confkey:text confupdtype:text confdeltype:text confmatchtype:text conislocal:bool "
            "connoinherit:bool conbin:text"},
    Catalog{"pg_depend", "classid objid objsubid:int4 refclassid refobjid refobjsubid:int4 deptype:text"},
    Catalog{"pg_description", "objoid classoid objsubid:int4 description:text"},
    Catalog{"pg_enum", "oid enumtypid enumsortorder:float8 enumlabel:name"},
    Catalog{"pg_event_trigger", "oid evtname:name evtevent:name evtowner evtfoid evtenabled:text evttags:text"},
    Catalog{"pg_extension", "oid extname:name extowner extnamespace extrelocatable:bool extversion:text"},
    Catalog{"pg_foreign_data_wrapper", "oid fdwname:name fdwowner fdwhandler fdwvalidator fdwacl:text fdwoptions:text"},
    Catalog{"pg_foreign_server",
            "oid srvname:name srvowner srvfdw srvtype:text srvversion:text srvacl:text "
            "srvoptions:text"},
    Catalog{"pg_foreign_table", "ftrelid ftserver ftoptions:text"},
    Catalog{"pg_index",
            "indexrelid indrelid indnatts:int2 indisunique:bool indisprimary:bool indisexclusion:bool "
            "indisclustered:bool indisvalid:bool indkey:text indpred:text"},
    Catalog{"pg_inherits", "inhrelid inhparent inhseqno:int4"},
    Catalog{"pg_language",
            "oid lanname:name lanowner lanispl:bool lanpltrusted:bool lanplcallfoid laninline "
            "lanvalidator lanacl:text"},
    Catalog{"pg_matviews",
            "schemaname:name matviewname:name matviewowner:name tablespace:name hasindexes:bool "
            "ispopulated:bool definition:text"},
    Catalog{"pg_policy",
            "oid polname:name polrelid polcmd:text polpermissive:bool polroles:text polqual:text "
            "polwithcheck:text"},
    Catalog{"pg_proc",
            "oid proname:name pronamespace proowner prolang provariadic prokind:text prosecdef:bool "
            "proleakproof:bool proisstrict:bool proretset:bool provolatile:text proparallel:text "
            "pronargs:int2 pronargdefaults:int2 prorettype proargtypes:text proargnames:text prosrc:text "
            "proacl:text"},
    Catalog{"pg_publication",
            "oid pubname:name pubowner puballtables:bool pubinsert:bool pubupdate:bool "
            "pubdelete:bool pubtruncate:bool pubviaroot:bool"},
    Catalog{"pg_rewrite", "oid rulename:name ev_class ev_type:text ev_enabled:text is_instead:bool"},
    Catalog{"pg_shdescription", "objoid classoid description:text"},
    Catalog{"pg_statistic_ext",
            "oid stxrelid stxname:name stxnamespace stxowner stxstattarget:int4 stxkeys:text "
            "stxkind:text"},
    Catalog{"pg_subscription", "oid subdbid subname:name subowner subenabled:bool"},
    Catalog{"pg_tables",
            "schemaname:name tablename:name tableowner:name tablespace:name hasindexes:bool hasrules:bool "
            "hastriggers:bool rowsecurity:bool"},
    Catalog{"pg_trigger",
            "oid tgrelid tgparentid tgname:name tgfoid tgtype:int2 tgenabled:text tgisinternal:bool "
            "tgconstrrelid tgconstrindid tgconstraint"},
};

/// pg_type of what columns have.
struct Type {
    ColumnType oid;
    std::string_view name;
    std::int64_t length;
    std::string_view category;
};
constexpr std::array shown_types{
    Type{ColumnType::boolean, "bool", 1, "B"},
    Type{ColumnType::name, "name", 64, "S"},
    Type{ColumnType::int8, "int8", 8, "N"},
    Type{ColumnType::int2, "int2", 2, "N"},
    Type{ColumnType::int4, "int4", 4, "N"},
    Type{ColumnType::text, "text", -1, "S"},
    Type{ColumnType::oid, "oid", 4, "N"},
    Type{ColumnType::xid, "xid", 4, "U"},
    Type{ColumnType::float8, "float8", 8, "N"},
    Type{ColumnType::inet, "inet", -1, "I"},
    Type{ColumnType::interval, "interval", 16, "T"},
    Type{ColumnType::numeric, "numeric", -1, "N"},
    Type{ColumnType::timestamptz, "timestamptz", 8, "D"},
};

std::int64_t length_of(ColumnType type) {
    const auto found =
        std::find_if(shown_types.begin(), shown_types.end(), [&](const Type& one) { return one.oid == type; });
    return found == shown_types.end() ? -1 : found->length;
}

/// What is a relation to those who ask: not the catalog itself.
struct Listed {
    std::string_view name;
    std::vector<RelationColumn> columns;
};

Rows class_rows(const std::vector<Listed>& listed) {
    Rows rows;
    for (const Listed& one : listed) {
        const auto count = static_cast<std::int64_t>(one.columns.size());
        const auto oid = first_oid + static_cast<std::int64_t>(rows.size());
        rows.push_back({number(oid), text(one.name), number(public_namespace),
                        number(0),   number(0),      number(owner_oid),
                        number(0),   number(0),      number(0),
                        number(0),   number(0),      number(0),
                        number(0),   number(0),      number(0),
                        text("p"),   text("v"),      number(count),
                        number(0),   number(0),      number(0),
                        number(0),   number(0),      number(0),
                        number(1),   text("n"),      number(0),
                        no_cell,     no_cell,        no_cell});
    }
    return rows;
}
constexpr std::string_view class_columns =
    "oid relname:name relnamespace reltype reloftype relowner relam reltablespace relpages:int4 reltuples:int4 "
    "relallvisible:int4 reltoastrelid relhasindex:bool relisshared:bool relhastriggers:bool relpersistence:text "
    "relkind:text relnatts:int2 relchecks:int2 relhasrules:bool relhassubclass:bool relrowsecurity:bool "
    "relforcerowsecurity:bool relrewrite relispopulated:bool relreplident:text relispartition:bool relacl:text "
    "reloptions:text relpartbound:text";

Rows attribute_rows(const std::vector<Listed>& listed) {
    Rows rows;
    for (std::size_t i = 0; i < listed.size(); ++i) {
        std::int64_t position = 0;
        for (const RelationColumn& column : listed[i].columns) {
            rows.push_back({number(first_oid + static_cast<std::int64_t>(i)),
                            text(column.name),
                            number(static_cast<std::int64_t>(column.type)),
                            number(-1),
                            number(length_of(column.type)),
                            number(++position),
                            number(-1),
                            text("x"),
                            text(""),
                            number(0),
                            number(0),
                            text(""),
                            text(""),
                            number(0),
                            number(1),
                            number(0),
                            number(0),
                            no_cell,
                            no_cell,
                            no_cell});
        }
    }
    return rows;
}
constexpr std::string_view attribute_columns =
    "attrelid attname:name atttypid attstattarget:int4 attlen:int2 attnum:int2 atttypmod:int4 attstorage:text "
    "attcompression:text attnotnull:bool atthasdef:bool attidentity:text attgenerated:text attisdropped:bool "
    "attislocal:bool attinhcount:int4 attcollation attacl:text attoptions:text attfdwoptions:text";

Rows type_rows() {
    Rows rows;
    for (const Type& type : shown_types) {
        rows.push_back({number(static_cast<std::int64_t>(type.oid)), text(type.name), number(catalog_namespace),
                        number(owner_oid), number(type.length), text("b"), text(type.category), number(1), text(","),
                        number(0), number(0), number(0), number(0), number(0), number(-1), number(0), number(0),
                        no_cell, no_cell});
    }
    return rows;
}
constexpr std::string_view type_columns =
    "oid typname:name typnamespace typowner typlen:int2 typtype:text typcategory:text typisdefined:bool typdelim:text "
    "typrelid typelem typarray typnotnull:bool typbasetype typtypmod:int4 typndims:int4 typcollation typdefault:text "
    "typacl:text";

/// What SHOW tells every client.
Rows setting_rows() {
    Rows rows;
    const auto add = [&rows](std::string_view name, std::string_view value) {
        rows.push_back({text(name), text(value), no_cell, text("pgairlock"), text("of the console"), no_cell,
                        text("internal"), text("string"), text("default"), no_cell, no_cell, no_cell, text(value),
                        text(value), no_cell, no_cell, number(0)});
    };
    for (const auto& [name, value] : shown_settings({})) {
        const bool of_a_client = name == "application_name" || name == "session_authorization" ||
                                 name == "is_superuser" || name == "statement_timeout";
        if (!of_a_client) add(name, value);
    }
    return rows;
}
constexpr std::string_view setting_columns =
    "name:text setting:text unit:text category:text short_desc:text extra_desc:text context:text vartype:text "
    "source:text min_val:text max_val:text enumvals:text boot_val:text reset_val:text sourcefile:text "
    "sourceline:int4 pending_restart:bool";

Relation fixed(std::string_view name, std::string_view column_list, Rows rows) {
    return {.name = name, .columns = columns(column_list), .rows = [rows = std::move(rows)] { return rows_of(rows); }};
}

}  // namespace

std::vector<Relation> catalog_relations(const std::vector<Relation>& others) {
    std::vector<Listed> listed;
    for (const Relation& relation : others) listed.push_back({relation.name, relation.columns});
    for (const InventoryView& view : inventory_views()) listed.push_back({view.name, view.columns});
    std::vector<Relation> made{
        fixed("pg_class", class_columns, class_rows(listed)),
        fixed("pg_attribute", attribute_columns, attribute_rows(listed)),
        fixed("pg_type", type_columns, type_rows()),
        fixed("pg_namespace", "oid nspname:name nspowner nspacl:text",
              {{number(public_namespace), text("public"), number(owner_oid), no_cell},
               {number(catalog_namespace), text("pg_catalog"), number(owner_oid), no_cell}}),
        fixed("pg_database",
              "oid datname:name datdba encoding:int4 datcollate:name datctype:name datistemplate:bool "
              "datallowconn:bool datconnlimit:int4 dattablespace datacl:text",
              {{number(1), text("pgairlock"), number(owner_oid), number(6), text("C"), text("C"), number(0), number(1),
                number(-1), number(default_tablespace), no_cell}}),
        fixed("pg_tablespace", "oid spcname:name spcowner spcacl:text spcoptions:text",
              {{number(default_tablespace), text("pg_default"), number(owner_oid), no_cell, no_cell}}),
        fixed("pg_roles",
              "oid rolname:name rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool rolcanlogin:bool "
              "rolreplication:bool rolconnlimit:int4 rolpassword:text rolvaliduntil:timestamptz rolbypassrls:bool "
              "rolconfig:text",
              {{number(owner_oid), text("pgairlock"), number(0), number(1), number(0), number(0), number(1), number(0),
                number(-1), no_cell, no_cell, number(0), no_cell}}),
        fixed("pg_settings", setting_columns, setting_rows()),
    };
    Rows views;
    for (const Listed& one : listed) views.push_back({text("public"), text(one.name), text("pgairlock"), no_cell});
    made.push_back(fixed("pg_views", "schemaname:name viewname:name viewowner:name definition:text", std::move(views)));
    for (const Catalog& catalog : empty_catalogs) made.push_back(fixed(catalog.name, catalog.columns, {}));
    return made;
}

std::vector<Relation> console_relations(const ConsoleSources& sources) {
    std::vector<Relation> all = session_relations(sources);
    for (Relation& relation : state_relations(sources)) all.push_back(std::move(relation));
    for (Relation& relation : catalog_relations(all)) all.push_back(std::move(relation));
    return all;
}

}  // namespace proxy
