#include "proxy/inventory/table_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <stdexcept>

#include "proxy/observation/not_probed.hpp"

namespace proxy {
namespace {

constexpr double largest_exact = 9007199254740991;  // 2^53 - 1

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    const char* const all = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), all, value);
    if (error != std::errc{} || end != all) {
        // SQLite makes an approximate number of a sum beyond 64 bits: as good as any so large.
        double approximate = 0;
        if (const auto as_real = std::from_chars(text.data(), all, approximate);
            as_real.ec == std::errc{} && as_real.ptr == all && std::isfinite(approximate))
            return static_cast<std::int64_t>(std::clamp(approximate, -largest_exact, largest_exact));
        throw std::runtime_error("the inventory has \"" + std::string(text) + "\" where a number belongs");
    }
    return value;
}

std::optional<std::int64_t> number_if_known(std::string_view text) {
    return text.empty() ? std::nullopt : std::optional(number(text));
}

std::uint64_t count(std::string_view text) {
    const std::int64_t value = number(text);
    return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

/// All tables of one database, by proxy.
class Reader {
   public:
    Reader(InventorySource& source, std::int64_t version) : source_(source), version_(version) {}

    std::vector<InventoryRows> read() {
        read_clients();
        read_details();
        read_handshakes();
        read_upstream_certificates();
        read_probes();
        if (version_ >= 2) {
            read_proxies();
            read_marks();
        }
        if (version_ >= 6) read_samples();
        std::vector<InventoryRows> inventories;
        for (auto& [instance, inventory] : by_proxy_) {
            inventory.instance = instance;
            for (auto& [id, client] : clients_[instance]) inventory.clients.push_back(std::move(client));
            inventories.push_back(std::move(inventory));
        }
        return inventories;
    }

   private:
    using Row = InventorySource::Row;

    /// A column that came with that version, and what stands for it before.
    std::string new_in(std::int64_t version, const char* column, const char* before) const {
        return version_ >= version ? column : before;
    }
    std::string new_in_2(const char* column, const char* before) const { return new_in(2, column, before); }
    std::string uid() const { return new_in_2("client_uid", "-1"); }

    void read_clients() {
        source_.rows("clients",
                     "id, upstream, client_addr, client_exe, " + new_in_2("client_uid", "coalesce(client_uid, -1)") +
                         ", usename, datname, application_name, listener, first_seen, last_seen, connections, plain, "
                         "weak_tls, bridged, auth_failed, " +
                         new_in_2("failures", "auth_failed") + ", " +
                         new_in_2("last_failure", "CASE WHEN auth_failed > 0 THEN last_seen ELSE 0 END") + ", " +
                         new_in_2("not_probed", "''") + ", auth_method, version, " + new_in(4, "groups", "''") + ", " +
                         new_in(5, "failure_reason, failure_error", "'', ''"),
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy];
                         ClientRow& client = clients_[proxy][number(row[0])];
                         client.who = {{row[1], row[2], row[3], number(row[4])}, {row[5], row[6], row[7]}};
                         client.listener = row[8];
                         client.first_seen = number(row[9]);
                         client.last_seen = number(row[10]);
                         client.connections = count(row[11]);
                         client.plain = count(row[12]);
                         client.weak_tls = count(row[13]);
                         client.bridged = count(row[14]);
                         client.auth_failed = count(row[15]);
                         client.failures = count(row[16]);
                         client.last_failure = number(row[17]);
                         client.not_probed = std::string(not_probed_text(row[18]));
                         client.auth_method = row[19];
                         client.version = row[20];
                         client.groups = groups_of_text(row[21]);
                         client.failure_reason = parse_reason(row[22]);
                         client.failure_error = row[23];
                     });
    }

    void read_details() {
        source_.rows("evidence", "client, evidence, certificate, first_seen, last_seen, count, session",
                     [&](const std::string& proxy, const Row& row) {
                         if (ClientRow* client = find(proxy, number(row[0])))
                             client->evidence.push_back(evidence(row, 1));
                     });
        source_.rows("fingerprints", "client, ja4", [&](const std::string& proxy, const Row& row) {
            if (ClientRow* client = find(proxy, number(row[0]))) client->ja4.push_back(row[1]);
        });
        // Version 1 had no times within a day, and no cipher: the widest, and the weakest.
        const std::string facts = new_in_2("weak_tls, bridged, failures, auth_failed, first_seen, last_seen",
                                           "CASE WHEN mode IN ('SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2') THEN -1 ELSE 0 "
                                           "END, -1, 0, 0, day * 86400000000, (day + 1) * 86400000000 - 1");
        const std::string columns = "client, day, mode, connections, " + facts + ", " + new_in(3, "open_until", "0");
        source_.rows("days", columns, [&](const std::string& proxy, const Row& row) {
            ClientRow* const client = find(proxy, number(row[0]));
            if (client) client->days[number(row[1])][row[2]] = day_facts(*client, row);
        });
    }

    static DayFacts day_facts(const ClientRow& client, const Row& row) {
        const std::uint64_t connections = count(row[3]);
        const auto at_most = [&](const std::string& text, std::uint64_t of_all) {
            return number(text) < 0 ? std::min(of_all, connections) : count(text);
        };
        return {.connections = connections,
                .weak_tls = at_most(row[4], client.weak_tls),
                .bridged = at_most(row[5], client.bridged),
                .failures = count(row[6]),
                .auth_failed = count(row[7]),
                .first_seen = std::max(number(row[8]), client.first_seen),
                .last_seen = std::min(number(row[9]), client.last_seen),
                .open_until = number(row[10])};
    }

    void read_handshakes() {
        source_.rows("handshakes",
                     "upstream, client_addr, client_exe, " + uid() +
                         ", ja4, listener, error, evidence, certificate, first_seen, last_seen, count, session",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].handshakes.push_back({.from = {row[0], row[1], row[2], number(row[3])},
                                                                .ja4 = row[4],
                                                                .listener = row[5],
                                                                .error = row[6],
                                                                .evidence = evidence(row, 7)});
                     });
    }

    void read_upstream_certificates() {
        source_.rows("upstream_certificates",
                     "upstream, upstream_addr, sha256, subject, sans, issuer, anchor, serial, not_before, not_after, "
                     "first_seen, last_seen, count, candidate_ok, candidate_since, " +
                         new_in(4, "issuer_key_id, anchor_key_sha256, groups", "'', '', ''"),
                     [&](const std::string& proxy, const Row& row) {
                         UpstreamCertificateRow certificate{.upstream = row[0],
                                                            .upstream_addr = row[1],
                                                            .sha256 = row[2],
                                                            .subject = row[3],
                                                            .sans = row[4],
                                                            .issuer = row[5],
                                                            .anchor = row[6],
                                                            .serial = row[7],
                                                            .not_before = number(row[8]),
                                                            .not_after = number(row[9]),
                                                            .first_seen = number(row[10]),
                                                            .last_seen = number(row[11]),
                                                            .count = count(row[12]),
                                                            .candidate_ok = {},
                                                            .candidate_since = number_if_known(row[14]),
                                                            .issuer_key_id = row[15],
                                                            .anchor_key_sha256 = row[16],
                                                            .groups = groups_of_text(row[17])};
                         if (!row[13].empty()) certificate.candidate_ok = number(row[13]) != 0;
                         by_proxy_[proxy].upstream_certificates.push_back(std::move(certificate));
                     });
    }

    void read_probes() {
        source_.rows("probes",
                     "upstream, client_addr, client_exe, " + uid() +
                         ", kind, shown, accepted, refused, last_shown, last_refused",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].probes.push_back({.from = {row[0], row[1], row[2], number(row[3])},
                                                            .kind = row[4],
                                                            .shown = count(row[5]),
                                                            .accepted = count(row[6]),
                                                            .refused = count(row[7]),
                                                            .last_shown = number(row[8]),
                                                            .last_refused = number(row[9])});
                     });
    }

    void read_proxies() {
        source_.rows("proxies",
                     "id, name, version, listeners, first_seen, started, last_seen, events_dropped, rows_left_out, "
                     "last_loss, pruned_before, consistent_after, " +
                         new_in(3, "unclean_ends", "0"),
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].proxy = {.id = row[0],
                                                   .name = row[1],
                                                   .version = row[2],
                                                   .listeners = row[3],
                                                   .first_seen = number(row[4]),
                                                   .started = number(row[5]),
                                                   .last_seen = number(row[6]),
                                                   .events_dropped = count(row[7]),
                                                   .rows_left_out = count(row[8]),
                                                   .last_loss = number(row[9]),
                                                   .pruned_before = number(row[10]),
                                                   .consistent_after = number(row[11]),
                                                   .unclean_ends = count(row[12])};
                     });
    }

    void read_marks() {
        source_.rows("marks",
                     "upstream, client_addr, client_exe, client_uid, usename, datname, application_name, seen_by, "
                     "accepted, accepted_until, accepted_state, owner, reason, note, repaired_at, changed_at",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].marks.push_back(
                             {.who = {{row[0], row[1], row[2], number(row[3]), row[7]}, {row[4], row[5], row[6]}},
                              .accepted = number(row[8]) != 0,
                              .accepted_until = number(row[9]),
                              .accepted_state = row[10],
                              .owner = row[11],
                              .reason = row[12],
                              .note = row[13],
                              .repaired_at = number(row[14]),
                              .changed_at = number(row[15])});
                     });
    }

    void read_samples() {
        source_.rows("sampled_sessions",
                     "upstream, upstream_addr, client_addr, usename, datname, application_name, version, through, "
                     "cipher, client_dn, first_seen, last_seen, looks, sessions, seen",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].sampled_sessions.push_back({.upstream = row[0],
                                                                      .upstream_addr = row[1],
                                                                      .client_addr = row[2],
                                                                      .usename = row[3],
                                                                      .datname = row[4],
                                                                      .application_name = row[5],
                                                                      .version = row[6],
                                                                      .through = number(row[7]) != 0,
                                                                      .cipher = row[8],
                                                                      .client_dn = row[9],
                                                                      .first_seen = number(row[10]),
                                                                      .last_seen = number(row[11]),
                                                                      .looks = count(row[12]),
                                                                      .sessions = count(row[13]),
                                                                      .seen = count(row[14])});
                     });
        source_.rows("sampling",
                     "upstream, upstream_addr, first_look, last_look, looks, hidden, failed, last_failure, error, "
                     "interval, left_out, proxying, server_started, last_hidden, last_left_out",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].sampling.push_back({.upstream = row[0],
                                                              .upstream_addr = row[1],
                                                              .first_look = number(row[2]),
                                                              .last_look = number(row[3]),
                                                              .looks = count(row[4]),
                                                              .hidden = count(row[5]),
                                                              .failed = count(row[6]),
                                                              .last_failure = number(row[7]),
                                                              .error = row[8],
                                                              .interval = number(row[9]),
                                                              .left_out = count(row[10]),
                                                              .proxying = number(row[11]) != 0,
                                                              .server_started = number(row[12]),
                                                              .last_hidden = number(row[13]),
                                                              .last_left_out = number(row[14])});
                     });
    }

    static EvidenceRow evidence(const Row& row, std::size_t column) {
        return {.label = row[column],
                .evidence = protocol::parse_evidence(row[column]),
                .certificate = row[column + 1],
                .first_seen = number(row[column + 2]),
                .last_seen = number(row[column + 3]),
                .count = count(row[column + 4]),
                .session = row[column + 5]};
    }

    ClientRow* find(const std::string& proxy, std::int64_t id) {
        auto& clients = clients_[proxy];
        const auto found = clients.find(id);
        return found == clients.end() ? nullptr : &found->second;
    }

    InventorySource& source_;
    const std::int64_t version_;
    std::map<std::string, InventoryRows> by_proxy_;
    std::map<std::string, std::map<std::int64_t, ClientRow>> clients_;
};

}  // namespace

std::vector<InventoryRows> read_tables(InventorySource& source, std::int64_t version) {
    return Reader(source, version).read();
}

}  // namespace proxy
