#include "proxy/dashboard/clients_json.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "proxy/report/report_json.hpp"
#include "tls/certificates.hpp"

namespace proxy::dashboard {
namespace {

namespace json = boost::json;
using report::ReportClient;

/// What is in the seven days that end at a time: its worst mode.
std::optional<report::Mode> worst_mode(const ReportClient& client, Timestamp until) {
    const Timestamp since = until - Week::length;
    std::optional<report::Mode> worst;
    for (const auto& [day, by_mode] : client.row.days) {
        for (const auto& [mode, facts] : by_mode) {
            if (facts.connections == 0) continue;
            // A connection in clear that stays open is in clear as long as it is.
            const Timestamp last = std::max(facts.last_seen, facts.open_until);
            if (facts.first_seen > until || last <= since) continue;
            const report::Mode found = report::mode_of(mode);
            if (found == report::Mode::other) continue;
            if (!worst || found < *worst) worst = found;
        }
    }
    return worst;
}

/// Open sessions by those parts of who a client is that a session knows.
class Counted {
   public:
    explicit Counted(const OpenSessions& open) {
        for (const auto& session : open) ++by_who_[key(session->facts)][text(session->facts)];
    }

    std::uint64_t of(const ReportClient& client) const {
        const ClientIdentity& who = client.row.who;
        const auto found = by_who_.find({who.upstream, who.client_addr, who.usename, who.datname});
        if (found == by_who_.end() || !client.known) return 0;
        std::uint64_t sum = 0;
        const auto count = [&](const std::string& application) {
            const auto one = found->second.find(application);
            if (one != found->second.end()) sum += one->second;
        };
        if (client.row.names.empty()) count(who.application_name);
        // One that stands for several names (fold_names) has them all.
        for (const std::string& application : client.row.names) count(application);
        return sum;
    }

   private:
    using Who = std::array<std::string, 4>;

    static Who key(const SessionFacts& facts) {
        return {std::string(facts.text(SessionText::upstream)), std::string(facts.text(SessionText::client_addr)),
                std::string(facts.text(SessionText::usename)), std::string(facts.text(SessionText::datname))};
    }
    static std::string text(const SessionFacts& facts) {
        return std::string(facts.text(SessionText::application_name));
    }

    std::map<Who, std::map<std::string, std::uint64_t>> by_who_;
};

}  // namespace

std::string key_of(const ReportClient& client) {
    constexpr std::size_t enough = 20;  // of the hexadecimal digits of SHA-256
    const ClientIdentity& who = client.row.who;
    std::string whole;
    for (const std::string& part :
         {who.upstream, who.client_addr, who.client_exe, std::to_string(who.client_uid), who.seen_by, who.usename,
          who.datname, who.application_name, std::string(client.known ? "known" : "handshakes")}) {
        whole += part;
        whole += '\0';
    }
    if (client.source == report::Source::direct) whole += "direct";
    // Of handshakes without names there may be several rows, by what went wrong.
    if (!client.known) whole += client.error + '\0' + (client.row.ja4.empty() ? "" : client.row.ja4.front());
    return tls::sha256_hex(whole.data(), whole.size()).substr(0, enough);
}

std::string_view trend_of(const ReportClient& client, Timestamp now) {
    const auto last = worst_mode(client, now);
    if (!last) return "";
    if (client.row.first_seen > now - Week::length) return "new";
    const auto before = worst_mode(client, now - Week::length);
    if (!before) return "";
    if (*last == *before) return "same";
    return *last > *before ? "better" : "worse";
}

std::string clients_text(const report::Report& report, const OpenSessions* open, Timestamp now) {
    const Counted counted(open ? *open : OpenSessions{});
    std::set<std::string> keys;
    return report::json_text(report, [&](const ReportClient& client, json::object& said) {
        std::string key = key_of(client);
        for (int more = 2; !keys.insert(key).second; ++more) key = key_of(client) + "-" + std::to_string(more);
        said["key"] = key;
        said["explain"] = report::explain(client);
        said["trend"] = text(trend_of(client, now));
        const bool ours = open && client.source == report::Source::seen;
        said["sessions_open"] = ours ? json::value(counted.of(client)) : json::value(nullptr);
    });
}

json::array proxies_array(const report::Report& report) {
    json::array all;
    for (const report::ReportProxy& proxy : report.proxies) {
        const ProxyRow& row = proxy.row;
        all.push_back({{"name", name(proxy.name)},
                       {"id", row.id},
                       {"version", text(row.version)},
                       {"started", time(row.started)},
                       {"last_seen", time(row.last_seen)},
                       {"silent_s", proxy.silent > 0 ? json::value(proxy.silent / 1'000'000) : json::value(nullptr)},
                       {"listeners", text(row.listeners)},
                       {"events_dropped", row.events_dropped},
                       {"rows_left_out", row.rows_left_out}});
    }
    return all;
}

Week week_of(const std::vector<InventoryRows>& inventories, Timestamp now) {
    return week_of(report::make_report(inventories, {.since = now - Week::length, .now = now}), now);
}

Week week_of(const report::Report& report, Timestamp now) {
    Week week{.until = now, .summary = report.summary, .not_ready = 0, .by_upstream = {}};
    for (const ReportClient& client : report.clients) {
        if (client.source == report::Source::direct) continue;
        UpstreamClients& upstream = week.by_upstream[client.row.who.upstream];
        // As the report's summary counts them.
        if (client.plain) {
            ++upstream.plain;
        } else if (client.verifies == protocol::Verifies::no) {
            ++upstream.tls_not_verifying;
        } else if (client.verifies == protocol::Verifies::yes) {
            ++upstream.verifying;
        } else {
            ++upstream.unknown;
        }
        if (client.breaks_on_ca_rotation == protocol::Readiness::no) continue;
        ++upstream.not_ready;
        ++week.not_ready;
    }
    return week;
}

json::object week_object(const Week& week) {
    const report::ReportSummary& of = week.summary;
    return {{"generated", time(week.until)},
            {"since", time(week.until - Week::length)},
            {"total", of.clients},
            {"plain", of.plain},
            {"tls_not_verifying", of.tls_not_verifying},
            {"verifying", of.verifying},
            {"unknown", of.unknown},
            {"weak", of.weak},
            {"not_ready", week.not_ready},
            {"failing", of.failing},
            {"accepted", of.accepted},
            {"direct", of.direct ? json::value(*of.direct) : json::value(nullptr)},
            {"direct_plain", of.direct ? json::value(of.direct_plain) : json::value(nullptr)},
            {"coverage", of.coverage ? json::value(*of.coverage) : json::value(nullptr)},
            {"unattributed_failures", of.unattributed_failures},
            {"unattributed_refused", of.unattributed_refused}};
}

}  // namespace proxy::dashboard
