#include "proxy/admin/relation.hpp"

#include <memory>

namespace proxy {

using protocol::ColumnType;

RelationRows rows_of(std::vector<std::vector<Cell>> rows) {
    auto kept = std::make_shared<const std::vector<std::vector<Cell>>>(std::move(rows));
    return {.size = kept->size(),
            .value = [kept](std::size_t row, std::size_t column) { return (*kept)[row][column]; }};
}

const std::vector<InventoryView>& inventory_views() {
    static const std::vector<InventoryView> views{
        {"clients",
         {{"id", ColumnType::int8},
          {"upstream"},
          {"client_addr", ColumnType::inet},
          {"client_exe"},
          {"client_uid", ColumnType::int8},
          {"usename", ColumnType::name},
          {"datname", ColumnType::name},
          {"application_name"},
          {"listener"},
          {"first_seen", ColumnType::timestamptz},
          {"last_seen", ColumnType::timestamptz},
          {"connections", ColumnType::int8},
          {"plain", ColumnType::int8},
          {"weak_tls", ColumnType::int8},
          {"auth_failed", ColumnType::int8},
          {"failures", ColumnType::int8},
          {"last_failure", ColumnType::timestamptz},
          {"not_probed"},
          {"auth_method"},
          {"version"},
          {"groups"}},
         "SELECT id, upstream, nullif(client_addr, ''), nullif(client_exe, ''), nullif(client_uid, -1), usename, "
         "datname, "
         "application_name, listener, first_seen, last_seen, connections, plain, weak_tls, auth_failed, failures, "
         "nullif(last_failure, 0), nullif(not_probed, ''), nullif(auth_method, ''), nullif(version, ''), "
         "nullif(groups, '') "
         "FROM main.clients"},
        {"evidence",
         {{"client", ColumnType::int8},
          {"evidence"},
          {"certificate"},
          {"first_seen", ColumnType::timestamptz},
          {"last_seen", ColumnType::timestamptz},
          {"count", ColumnType::int8},
          {"session"}},
         "SELECT client, evidence, nullif(certificate, ''), first_seen, last_seen, count, session FROM main.evidence"},
        {"handshakes",
         {{"upstream"},
          {"client_addr", ColumnType::inet},
          {"client_exe"},
          {"client_uid", ColumnType::int8},
          {"ja4"},
          {"sni"},
          {"evidence"},
          {"certificate"},
          {"listener"},
          {"first_seen", ColumnType::timestamptz},
          {"last_seen", ColumnType::timestamptz},
          {"count", ColumnType::int8},
          {"session"},
          {"error"}},
         "SELECT upstream, nullif(client_addr, ''), nullif(client_exe, ''), nullif(client_uid, -1), nullif(ja4, ''), "
         "nullif(sni, ''), nullif(evidence, ''), nullif(certificate, ''), listener, first_seen, last_seen, count, "
         "session, nullif(error, '') FROM main.handshakes"},
        {"upstream_certificates",
         {{"upstream"},
          {"upstream_addr"},
          {"sha256"},
          {"subject"},
          {"sans"},
          {"issuer"},
          {"anchor"},
          {"serial"},
          {"not_before", ColumnType::timestamptz},
          {"not_after", ColumnType::timestamptz},
          {"first_seen", ColumnType::timestamptz},
          {"last_seen", ColumnType::timestamptz},
          {"count", ColumnType::int8},
          {"candidate_ok", ColumnType::boolean},
          {"candidate_since", ColumnType::timestamptz},
          {"issuer_key_id"},
          {"anchor_key_sha256"},
          {"groups"}},
         "SELECT upstream, upstream_addr, sha256, subject, sans, issuer, nullif(anchor, ''), serial, not_before, "
         "not_after, first_seen, last_seen, count, candidate_ok, candidate_since, nullif(issuer_key_id, ''), "
         "nullif(anchor_key_sha256, ''), nullif(groups, '') FROM main.upstream_certificates"},
    };
    return views;
}

}  // namespace proxy
