#include "proxy/dashboard/rotation_json.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "proxy/dashboard/clients_json.hpp"
#include "proxy/dashboard/json_parts.hpp"
#include "proxy/observation/event.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;
using protocol::Readiness;
using report::Report;
using report::ReportClient;

/// How a client stands at the end of a day.
struct Standing {
    report::State state{};
    Readiness breaks{};

    bool operator==(const Standing&) const = default;
};

Standing standing_of(const ReportClient& client) { return {report::state_of(client), client.breaks_on_ca_rotation}; }

/// Of a client, or of a server: thousands may be found, and few are told.
struct Move {
    Timestamp time = 0;
    const ReportClient* client = nullptr;
    Standing before{}, after{};
    const UpstreamCertificateRow* shown = nullptr;  // by a server, and what it had shown until then
    const UpstreamCertificateRow* earlier = nullptr;
    bool back = false;  // to what it had shown before `earlier`, some time after `time`
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

struct DayCount {
    std::uint64_t clients = 0;
    std::uint64_t unknown = 0;
    std::uint64_t breaks = 0;
    std::uint64_t in_clear = 0;

    void add(const ReportClient& client) {
        ++clients;
        unknown += client.breaks_on_ca_rotation == Readiness::unknown ? 1 : 0;
        breaks += client.breaks_on_ca_rotation == Readiness::yes ? 1 : 0;
        in_clear += client.plain ? 1 : 0;
    }
};

json::object told(std::int64_t day, const DayCount& of) {
    const std::uint64_t not_ready = of.unknown + of.breaks;
    return {{"day", report::day_text(day)}, {"clients", of.clients}, {"ready", of.clients - not_ready},
            {"not_ready", not_ready},       {"unknown", of.unknown}, {"breaks", of.breaks},
            {"in_clear", of.in_clear}};
}

/// What reports until the end of each day say of every client, without making them: one client
/// after the other is led back in time, from the report of now.
class Days {
   public:
    Days(std::int64_t first, const Report& report, Timestamp now)
        : first_(first), today_(now / day_length), now_(now), consistent_after_(report.consistent_after) {
        counts_.resize(static_cast<std::size_t>(today_ - first_ + 1));
    }

    /// As it is in the report; afterwards it is as it was at the end of the first day, or before.
    void add(ReportClient& client) {
        Standing later;
        Timestamp moved = 0;  // when it came to stand so, if it did on that day
        for (std::int64_t day = today_; day >= first_; --day) {
            const Timestamp end = std::min((day + 1) * day_length - 1, now_);
            if (end < now_) {
                if (!report::restrict_to(client, {.since = 0, .until = end})) return;
                report::evaluate(client, consistent_after_);
            }
            counts_[static_cast<std::size_t>(day - first_)].add(client);
            const Standing then = standing_of(client);
            if (day < today_ && then != later)
                moves_.push_back({.time = moved, .client = &client, .before = then, .after = later});
            later = then;
            moved = first_of_day(client, day, end);
        }
    }

    json::array told() const {
        json::array all;
        for (std::size_t i = 0; i < counts_.size(); ++i)
            all.push_back(dashboard::told(first_ + static_cast<std::int64_t>(i), counts_[i]));
        return all;
    }
    std::vector<Move>& moves() { return moves_; }

   private:
    const std::int64_t first_, today_;
    const Timestamp now_, consistent_after_;
    std::vector<DayCount> counts_;
    std::vector<Move> moves_;
};

proxy::Authority authority(const UpstreamCertificateRow& row) {
    return {row.issuer, row.issuer_key_id, row.anchor, row.anchor_key_sha256};
}

/// A server that shows again what it had shown before, as after a rollback, or where a standby that
/// was not rotated took the address over: its row is older than those of the CA in between, and
/// only that it was seen last tells of it. When it went back is not known but for that it was after
/// the last time it showed another. `shown`: of one address, the first seen first.
void add_return(const std::vector<const UpstreamCertificateRow*>& shown, std::vector<Move>& moves) {
    const auto by_last_seen = [](const auto* a, const auto* b) { return a->last_seen < b->last_seen; };
    const UpstreamCertificateRow* const current = *std::max_element(shown.rbegin(), shown.rend(), by_last_seen);
    if (!is_other_ca(authority(*shown.back()), authority(*current))) return;
    std::vector<const UpstreamCertificateRow*> others = shown;
    std::erase_if(others, [&](const auto* one) { return !is_other_ca(authority(*one), authority(*current)); });
    const UpstreamCertificateRow* const before = *std::max_element(others.begin(), others.end(), by_last_seen);
    moves.push_back({.time = before->last_seen, .shown = current, .earlier = before, .back = true});
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
            moves.push_back({.time = shown[i]->first_seen, .shown = shown[i], .earlier = shown[i - 1]});
        }
        add_return(shown, moves);
    }
}

json::object told(const Move& move) {
    if (move.shown) {
        return {{"t", time(move.time)},
                {"what", "server"},
                {"upstream", name(move.shown->upstream)},
                {"upstream_addr", name(move.shown->upstream_addr)},
                {"from", text(move.earlier->issuer)},
                {"to", text(move.shown->issuer)},
                {"from_anchor", text(move.earlier->anchor)},
                {"to_anchor", text(move.shown->anchor)},
                {"from_key", text(move.earlier->anchor_key_sha256)},
                {"to_key", text(move.shown->anchor_key_sha256)},
                {"back", move.back}};
    }
    return {{"t", time(move.time)},
            {"what", "client"},
            {"client", name(who(*move.client))},
            {"key", key_of(*move.client)},
            {"from", report::to_string(move.before.state)},
            {"to", report::to_string(move.after.state)},
            {"rotation_from", readiness_word(move.before.breaks)},
            {"rotation_to", readiness_word(move.after.breaks)}};
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
    Report report = report::make_report(inventories, {.now = now});
    // Of those that go around us no day is known, nor that one is ready.
    std::erase_if(report.clients, [](const ReportClient& client) { return client.source == report::Source::direct; });
    json::array not_ready;
    for (const ReportClient& client : report.clients) {
        if (client.breaks_on_ca_rotation != Readiness::no && not_ready.size() < max_not_ready)
            not_ready.emplace_back(key_of(client));
    }

    Days days(first_day(inventories, now / day_length), report, now);
    for (ReportClient& client : report.clients) {
        if (is_over()) return {};
        days.add(client);
    }

    std::vector<Move>& moves = days.moves();
    add_server_moves(report, moves);
    std::stable_sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) { return a.time > b.time; });
    const std::size_t left_out = moves.size() - std::min(moves.size(), max_moves);
    moves.resize(moves.size() - left_out);
    json::array moved;
    for (const Move& move : moves) moved.push_back(told(move));
    return serialized(json::object{{"days", days.told()},
                                   {"moves", std::move(moved)},
                                   {"left_out", left_out},
                                   {"last_not_ready", std::move(not_ready)}});
}

}  // namespace proxy::dashboard
