// Rows of inventories made by hand, for tests of what a report makes of them.
#pragma once

#include <algorithm>

#include "report_fixture.hpp"
#include "support/catch.hpp"

namespace report_rows {

using protocol::Evidence;
using protocol::Readiness;
using protocol::SslMode;
using protocol::SslModeInterval;
using protocol::Verifies;
using namespace proxy;
using namespace proxy::report;
using report_fixture::day;
using report_fixture::hour;
using report_fixture::start;

inline EvidenceRow seen(Evidence evidence, Timestamp when = start, std::uint64_t count = 1,
                        const std::string& certificate = "real") {
    return {.label = std::string(label(evidence)),
            .evidence = evidence,
            .certificate = certificate,
            .first_seen = when,
            .last_seen = when,
            .count = count,
            .session = "s",
            .possible = false};
}

/// Of a kind that only a newer version knows.
inline EvidenceRow unreadable(Timestamp when) {
    EvidenceRow row = seen(Evidence::tls_startup, when);
    row.label = "telepathy";
    row.evidence.reset();
    return row;
}

/// Of `name`; in clear when `plain`.
inline ClientRow client(const std::string& name, std::vector<EvidenceRow> evidence, bool plain = false) {
    ClientRow row;
    row.who = {{.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = ""},
               {.usename = name, .datname = "db", .application_name = ""}};
    row.first_seen = start;
    row.last_seen = start;
    for (const EvidenceRow& piece : evidence) row.last_seen = std::max(row.last_seen, piece.last_seen);
    row.connections = 4;
    row.plain = plain ? 4 : 0;
    row.days[start / day][plain ? "plain" : "TLSv1.3"] = {.connections = 4, .first_seen = start, .last_seen = start};
    row.evidence = std::move(evidence);
    return row;
}

inline ReportClient evaluated(std::vector<EvidenceRow> evidence, bool plain = false) {
    ReportClient out;
    out.row = client("app", std::move(evidence), plain);
    evaluate(out);
    return out;
}

inline HandshakeRow handshake(EvidenceRow evidence, const std::string& exe = "", const std::string& ja4 = "t13") {
    return {.from = {.upstream = "orders", .client_addr = "10.0.0.1", .client_exe = exe},
            .ja4 = ja4,
            .listener = "l",
            .error = "alert",
            .evidence = std::move(evidence)};
}

inline InventoryRows inventory(std::vector<ClientRow> clients, std::vector<HandshakeRow> handshakes = {}) {
    InventoryRows rows;
    rows.clients = std::move(clients);
    rows.handshakes = std::move(handshakes);
    return rows;
}

inline ClientRow with_ja4(ClientRow row, const std::string& ja4) {
    row.ja4 = {ja4};
    return row;
}

inline ClientRow with_exe(ClientRow row, const std::string& exe) {
    row.who.client_exe = exe;
    return row;
}

inline const EvidenceRow* find(const ReportClient& client, Evidence evidence) {
    for (const EvidenceRow& row : client.row.evidence) {
        if (row.evidence == evidence) return &row;
    }
    return nullptr;
}

/// Connections on one day, from `first` to `last`.
inline DayFacts connections(std::uint64_t count, Timestamp first, Timestamp last, std::uint64_t weak = 0) {
    return {.connections = count, .weak_tls = weak, .first_seen = first, .last_seen = last};
}

/// 53 connections in clear, then 4 with TLS, in the minutes after.
inline ClientRow mixed_client() {
    ClientRow row = client("billing", {seen(Evidence::clear_startup, start, 53)});
    row.evidence.push_back(seen(Evidence::tls_startup, start + hour, 4));
    row.last_seen = start + hour;
    row.connections = 57;
    row.plain = 53;
    row.days.clear();
    row.days[20'000]["plain"] = connections(53, start, start);
    row.days[20'000]["TLSv1.3"] = connections(4, start + hour, start + hour);
    return row;
}

inline InventoryRows of_proxy(const std::string& instance, std::vector<ClientRow> clients) {
    InventoryRows rows = inventory(std::move(clients));
    rows.instance = instance;
    rows.proxy = {.id = instance, .name = "host-" + instance, .first_seen = start, .last_seen = start + hour};
    return rows;
}

}  // namespace report_rows
