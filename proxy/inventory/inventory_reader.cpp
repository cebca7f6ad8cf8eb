#include "proxy/inventory/inventory_reader.hpp"

#include <charconv>
#include <filesystem>
#include <stdexcept>

#include "proxy/inventory/inventory_schema.hpp"
#include "proxy/inventory/inventory_source.hpp"
#include "proxy/inventory/postgres.hpp"

namespace proxy {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        fail("the inventory has \"" + std::string(text) + "\" where a number belongs");
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
    explicit Reader(InventorySource& source) : source_(source) {}

    std::vector<InventoryRows> read() {
        read_clients();
        read_details();
        read_handshakes();
        read_upstream_certificates();
        read_probes();
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

    void read_clients() {
        source_.rows("clients",
                     "id, upstream, client_addr, client_exe, usename, datname, application_name, client_uid, listener, "
                     "first_seen, last_seen, "
                     "connections, plain, weak_tls, bridged, auth_failed, auth_method, version",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy];
                         ClientRow& client = clients_[proxy][number(row[0])];
                         client.who = {{row[1], row[2], row[3]}, {row[4], row[5], row[6]}};
                         client.client_uid = number_if_known(row[7]);
                         client.listener = row[8];
                         client.first_seen = number(row[9]);
                         client.last_seen = number(row[10]);
                         client.connections = count(row[11]);
                         client.plain = count(row[12]);
                         client.weak_tls = count(row[13]);
                         client.bridged = count(row[14]);
                         client.auth_failed = count(row[15]);
                         client.auth_method = row[16];
                         client.version = row[17];
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
        source_.rows("days", "client, day, mode, connections", [&](const std::string& proxy, const Row& row) {
            if (ClientRow* client = find(proxy, number(row[0]))) client->days[number(row[1])][row[2]] += count(row[3]);
        });
    }

    void read_handshakes() {
        source_.rows("handshakes",
                     "upstream, client_addr, client_exe, ja4, listener, error, evidence, certificate, first_seen, "
                     "last_seen, count, session",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].handshakes.push_back({.from = {row[0], row[1], row[2]},
                                                                .ja4 = row[3],
                                                                .listener = row[4],
                                                                .error = row[5],
                                                                .evidence = evidence(row, 6)});
                     });
    }

    void read_upstream_certificates() {
        source_.rows("upstream_certificates",
                     "upstream, upstream_addr, sha256, subject, sans, issuer, anchor, serial, not_before, not_after, "
                     "first_seen, last_seen, count, "
                     "candidate_ok, candidate_since",
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
                                                            .candidate_since = number_if_known(row[14])};
                         if (!row[13].empty()) certificate.candidate_ok = number(row[13]) != 0;
                         by_proxy_[proxy].upstream_certificates.push_back(std::move(certificate));
                     });
    }

    void read_probes() {
        source_.rows("probes",
                     "upstream, client_addr, client_exe, kind, shown, accepted, refused, last_shown, last_refused",
                     [&](const std::string& proxy, const Row& row) {
                         by_proxy_[proxy].probes.push_back({.from = {row[0], row[1], row[2]},
                                                            .kind = row[3],
                                                            .shown = count(row[4]),
                                                            .accepted = count(row[5]),
                                                            .refused = count(row[6]),
                                                            .last_shown = number(row[7]),
                                                            .last_refused = number(row[8])});
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
    std::map<std::string, InventoryRows> by_proxy_;
    std::map<std::string, std::map<std::int64_t, ClientRow>> clients_;
};

std::unique_ptr<InventorySource> open(const std::string& where) {
    if (PostgresUrl::is_one(where)) return open_fleet(where);
    const fs::path file(where);
    std::error_code error;
    if (!fs::exists(file, error)) {
        const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
        fail("no inventory: there is no " + where + (error ? ": " + error.message() : "") +
             "\n  looked in the state directory " + folder +
             "; name the proxy's own with --state-dir DIR, or its audit.inventory with --inventory URL");
    }
    return open_file(file);
}

}  // namespace

std::string inventory_file(const std::string& state_dir) { return (fs::path(state_dir) / "inventory.db").string(); }

std::vector<InventoryRows> read_inventories(const std::string& where) {
    const auto source = open(where);
    const auto version = source->version();
    if (!version) {
        fail(source->name() +
             " has no inventory in it: no table \"clients\". A proxy creates it when it starts; is audit.inventory of "
             "your configuration "
             "the same?");
    }
    if (*version > inventory_version) {
        fail(source->name() + " was written by a newer pgairlock (tables of version " + std::to_string(*version) +
             ", this program knows " + std::to_string(inventory_version) + "); use the newer one's report");
    }
    return Reader(*source).read();
}

}  // namespace proxy
