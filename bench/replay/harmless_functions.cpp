#include "bench/replay/harmless_functions.hpp"

#include <set>

namespace bench::replay {
namespace {

// Not here, though they look so: what runs SQL that it is given (query_to_xml, ts_rewrite), reads
// files (pg_read_file), moves sequences (nextval), signals, writes WAL (pg_logical_emit_message),
// takes an xid (txid_current), large objects, and advisory locks, for which others would wait.
constexpr std::string_view harmless =
    // Aggregates and window functions
    "any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist "
    "dense_rank every first_value grouping json_agg json_object_agg jsonb_agg jsonb_object_agg lag last_value "
    "lead max min mode nth_value ntile percent_rank percentile_cont percentile_disc range_agg rank regr_avgx "
    "regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_number stddev "
    "stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg "
    // What is written like a function
    "bigint bit boolean char character coalesce dec decimal extract float greatest int integer interval json "
    "json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize "
    "json_value least nchar normalize nullif numeric overlay position real row smallint substring time timestamp "
    "trim varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlparse xmlserialize "
    // Strings
    "ascii bit_length bpchar btrim char_length character_length chr concat concat_ws convert convert_from "
    "convert_to decode encode format get_bit get_byte initcap left length like lower lpad ltrim md5 name notlike "
    "octet_length parse_ident quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like "
    "regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat "
    "replace reverse right rpad rtrim set_bit set_byte sha224 sha256 sha384 sha512 split_part starts_with "
    "string_to_array string_to_table strpos substr text to_ascii to_hex translate unistr upper "
    // Numbers
    "abs acos acosd asin asind atan atan2 atan2d atand bit_count cbrt ceil ceiling cos cosd cosh cot cotd degrees "
    "div erf erfc exp factorial float4 float8 floor gcd hashint4 hashint8 hashtext int2 int4 int8 lcm ln log "
    "log10 min_scale mod pi pow power radians random random_normal round scale sign sin sind sinh sqrt tan tand "
    "tanh trim_scale trunc width_bucket "
    // Dates
    "age clock_timestamp current_date current_time current_timestamp date date_add date_bin date_part "
    "date_subtract date_trunc isfinite justify_days justify_hours justify_interval localtime localtimestamp "
    "make_date make_interval make_time make_timestamp make_timestamptz now overlaps statement_timestamp timeofday "
    "timestamptz timezone to_char to_date to_number to_timestamp transaction_timestamp "
    // JSON, arrays, ranges, text search, networks, enums, UUIDs
    "abbrev array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position "
    "array_positions array_prepend array_remove array_replace array_sample array_shuffle array_to_json "
    "array_to_string array_to_tsvector array_upper broadcast cardinality daterange enum_first enum_last "
    "enum_range family gen_random_uuid generate_series generate_subscripts get_current_ts_config host hostmask "
    "inet_merge inet_same_family int4range int8range isempty json_array_elements json_array_elements_text "
    "json_array_length json_build_array json_build_object json_each json_each_text json_extract_path "
    "json_extract_path_text json_object_keys json_populate_record json_populate_recordset json_strip_nulls "
    "json_to_record json_to_recordset json_typeof jsonb jsonb_array_elements jsonb_array_elements_text "
    "jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path "
    "jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match "
    "jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_populate_record "
    "jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record "
    "jsonb_to_recordset jsonb_typeof lower_inc lower_inf masklen netmask network numnode numrange "
    "phraseto_tsquery plainto_tsquery querytree range_merge row_to_json set_masklen setweight strip to_json "
    "to_jsonb to_tsquery to_tsvector trim_array ts_delete ts_filter ts_headline ts_rank ts_rank_cd "
    "tsrange tstzrange tsvector_to_array unnest upper_inc upper_inf uuid_extract_timestamp uuid_extract_version "
    "uuidv4 uuidv7 websearch_to_tsquery "
    // What the server says of itself and of this session
    "current_catalog current_database current_query current_role current_schema current_schemas current_setting "
    "current_user getdatabaseencoding inet_client_addr inet_client_port inet_server_addr inet_server_port "
    "mxid_age pg_backend_pid pg_blocking_pids pg_char_to_encoding pg_client_encoding pg_conf_load_time "
    "pg_current_snapshot pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn "
    "pg_current_xact_id_if_assigned pg_encoding_max_length pg_encoding_to_char pg_is_in_recovery "
    "pg_is_other_temp_schema pg_is_wal_replay_paused pg_jit_available pg_last_wal_receive_lsn "
    "pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_listening_channels pg_my_temp_schema "
    "pg_postmaster_start_time pg_safe_snapshot_blocking_pids pg_snapshot_to_text pg_snapshot_xip pg_snapshot_xmax "
    "pg_snapshot_xmin pg_trigger_depth pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset "
    "pg_xact_commit_timestamp session_user txid_current_if_assigned txid_current_snapshot txid_snapshot_xip "
    "txid_snapshot_xmax txid_snapshot_xmin user version "
    // Waiting: it ends with the session
    "pg_sleep pg_sleep_for pg_sleep_until "
    // The catalog, as psql, pg_dump and drivers ask
    "acldefault aclexplode booleq col_description format_type has_any_column_privilege "
    "has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege "
    "has_language_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege "
    "has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege int2vector makeaclitem "
    "obj_description oid pg_available_extension_versions pg_available_extensions pg_collation_actual_version "
    "pg_collation_for pg_collation_is_visible pg_column_compression pg_column_is_updatable pg_column_size "
    "pg_conversion_is_visible pg_database_size pg_describe_object pg_event_trigger_table_rewrite_oid "
    "pg_filenode_relation pg_function_is_visible pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr "
    "pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments "
    "pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef pg_get_keywords "
    "pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables "
    "pg_get_replica_identity_index pg_get_ruledef pg_get_sequence_data pg_get_serial_sequence "
    "pg_get_statisticsobjdef pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions "
    "pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role pg_identify_object "
    "pg_identify_object_as_address pg_index_column_has_property pg_index_has_property pg_indexam_has_property "
    "pg_indexes_size pg_lock_status pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible "
    "pg_options_to_table pg_partition_ancestors pg_partition_root pg_partition_tree pg_relation_filenode "
    "pg_relation_filepath pg_relation_is_publishable pg_relation_is_updatable pg_relation_size "
    "pg_sequence_last_value pg_sequence_parameters pg_settings_get_flags pg_show_all_settings pg_size_bytes "
    "pg_size_pretty pg_stat_get_activity pg_stat_get_dead_tuples pg_stat_get_live_tuples pg_stat_get_numscans "
    "pg_statistics_obj_is_visible pg_table_is_visible pg_table_size pg_tablespace_databases "
    "pg_tablespace_location pg_tablespace_size pg_timezone_abbrevs pg_timezone_names pg_total_relation_size "
    "pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible "
    "pg_type_is_visible pg_typeof regclass regtype row_security_active shobj_description to_regclass "
    "to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype "
    "to_regtypemod ";

std::set<std::string_view> table() {
    std::set<std::string_view> out;
    for (std::string_view rest = harmless; !rest.empty(); rest.remove_prefix(rest.find(' ') + 1))
        out.insert(rest.substr(0, rest.find(' ')));
    return out;
}

}  // namespace

bool is_harmless_function(std::string_view name) {
    static const std::set<std::string_view> names = table();
    return names.contains(name);
}

}  // namespace bench::replay
