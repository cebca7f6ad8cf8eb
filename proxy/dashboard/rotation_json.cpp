#include "proxy/dashboard/rotation_json.hpp"

#include <algorithm>
#include <map>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/json_parts.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;
using protocol::Readiness;
using report::Report;
using report::ReportClient;

struct Move {
    Timestamp time = 0;
    json::object told;
};

struct Standing {
    report::State state;
    Readiness breaks;
};

/// "yes" of breaking is "breaks".
std::string_view readiness_word(Readiness breaks) {
    switch (breaks) {
        case Readiness::no: return "ready";
        case Readiness::yes: return "breaks";
        case Readiness::unknown: break;
    }
    return "unknown";
}

/// "user@database (application) from ADDRESS".
std::string who(const ReportClient& client) {
    const ClientIdentity& id = client.row.who;
    std::string told = client.known ? id.usename + "@" + id.datname : "somebody who never logged in";
    if (!id.application_name.empty()) told += " (" + id.application_name + ")";
    return told + " from " + (id.client_addr.empty() ? "this host" : id.client_addr);
}

/// When a client was first seen on a day in the way that it was not seen in before; without
/// connections that day, its end.
Timestamp first_of_day(const ReportClient& client, std::int64_t day, Timestamp end) {
    const auto found = client.row.days.find(day);
    if (found == client.row.days.end() || found->second.empty()) return end;
    const auto before = found == client.row.days.begin() ? client.row.days.end() : std::prev(found);
    Timestamp first = end, any = end;
    for (const auto& [mode, facts] : found->second) {
        any = std::min(any, facts.first_seen);
        if (before == client.row.days.end() || !before->second.contains(mode))
            first = std::min(first, facts.first_seen);
    }
    return first < end ? first : any;
}

class Days {
   public:
    explicit Days(const std::vector<InventoryRows>& inventories, Timestamp now)
        : inventories_(inventories), now_(now) {}

    void add(std::int64_t day) {
        const Timestamp end = std::min((day + 1) * day_length - 1, now_);
        report::ReportFilter filter{.now = now_};
        if (end < now_) filter.until = end;
        last_ = report::make_report(inventories_, filter);
        const report::ReportSummary& of = last_.summary;
        const std::uint64_t not_ready = of.breaks_on_ca_rotation + of.breaks_on_ca_rotation_unknown;
        told_.push_back({{"day", report::day_text(day)},
                         {"clients", of.clients},
                         {"ready", of.clients - not_ready},
                         {"not_ready", not_ready},
                         {"unknown", of.breaks_on_ca_rotation_unknown},
                         {"breaks", of.breaks_on_ca_rotation},
                         {"in_clear", of.plain}});
        compare(day, end);
    }

    json::array told() { return std::move(told_); }
    const Report& last() const { return last_; }
    std::vector<Move>& moves() { return moves_; }

   private:
    void compare(std::int64_t day, Timestamp end) {
        std::map<std::string, Standing> standing;
        for (const ReportClient& client : last_.clients) {
            const std::string key = key_of(client);
            const Standing now{report::state_of(client), client.breaks_on_ca_rotation};
            standing.emplace(key, now);
            const auto before = standing_.find(key);
            if (before == standing_.end()) continue;
            if (before->second.state == now.state && before->second.breaks == now.breaks) continue;
            const Timestamp when = first_of_day(client, day, end);
            moves_.push_back({when,
                              {{"t", time(when)},
                               {"what", "client"},
                               {"client", name(who(client))},
                               {"key", key},
                               {"from", report::to_string(before->second.state)},
                               {"to", report::to_string(now.state)},
                               {"rotation_from", readiness_word(before->second.breaks)},
                               {"rotation_to", readiness_word(now.breaks)}}});
        }
        standing_ = std::move(standing);
    }

    const std::vector<InventoryRows>& inventories_;
    const Timestamp now_;
    json::array told_;
    Report last_;
    std::map<std::string, Standing> standing_;
    std::vector<Move> moves_;
};

proxy::Authority authority(const UpstreamCertificateRow& row) {
    return {row.issuer, row.issuer_key_id, row.anchor, row.anchor_key_sha256};
}

/// Servers that show a certificate of another CA than before.
void add_server_moves(const Report& report, std::vector<Move>& moves) {
    std::map<std::pair<std::string, std::string>, std::vector<const UpstreamCertificateRow*>> by_address;
    for (const report::ReportCertificate& one : report.upstream_certificates)
        by_address[{one.row.upstream, one.row.upstream_addr}].push_back(&one.row);
    for (auto& [address, shown] : by_address) {
        std::sort(shown.begin(), shown.end(),
                  [](const auto* a, const auto* b) { return a->first_seen < b->first_seen; });
        for (std::size_t i = 1; i < shown.size(); ++i) {
            if (!is_other_ca(authority(*shown[i - 1]), authority(*shown[i]))) continue;
            moves.push_back({shown[i]->first_seen,
                             {{"t", time(shown[i]->first_seen)},
                              {"what", "server"},
                              {"upstream", name(address.first)},
                              {"upstream_addr", name(address.second)},
                              {"from", text(shown[i - 1]->issuer)},
                              {"to", text(shown[i]->issuer)},
                              {"from_anchor", text(shown[i - 1]->anchor)},
                              {"to_anchor", text(shown[i]->anchor)},
                              {"from_key", text(shown[i - 1]->anchor_key_sha256)},
                              {"to_key", text(shown[i]->anchor_key_sha256)}}});
        }
    }
}

std::int64_t first_day(const std::vector<InventoryRows>& inventories, std::int64_t today) {
    std::int64_t first = today;
    for (const InventoryRows& inventory : inventories) {
        for (const ClientRow& client : inventory.clients) first = std::min(first, client.first_seen / day_length);
    }
    return std::max(first, today - rotation_days + 1);
}

}  // namespace

std::string rotation_text(const std::vector<InventoryRows>& inventories, Timestamp now,
                          const std::function<bool()>& is_over) {
    const std::int64_t today = now / day_length;
    Days days(inventories, now);
    for (std::int64_t day = first_day(inventories, today); day <= today; ++day) {
        if (is_over()) return {};
        days.add(day);
    }

    std::vector<Move>& moves = days.moves();
    add_server_moves(days.last(), moves);
    std::stable_sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) { return a.time > b.time; });
    const std::size_t left_out = moves.size() - std::min(moves.size(), max_moves);
    moves.resize(moves.size() - left_out);
    json::array told;
    for (Move& move : moves) told.push_back(std::move(move.told));

    json::array not_ready;
    for (const ReportClient& client : days.last().clients) {
        if (client.breaks_on_ca_rotation != Readiness::no && not_ready.size() < max_not_ready)
            not_ready.emplace_back(key_of(client));
    }
    return serialized(json::object{{"days", days.told()},
                                   {"moves", std::move(told)},
                                   {"left_out", left_out},
                                   {"last_not_ready", std::move(not_ready)}});
}

}  // namespace proxy::dashboard
