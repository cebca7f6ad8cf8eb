// One client of the report in JSON, with every value in full.
#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "proxy/report/report_json_parts.hpp"

namespace proxy::report::json_parts {
namespace {

namespace json = boost::json;
using boost::algorithm::join;

/// A name that was read from a StartupMessage is never null, even when it is empty.
json::value name(const ReportClient& client, std::string_view value) {
    return client.known ? json::value(protocol::as_utf8(value)) : json::value(nullptr);
}

json::object piece(const EvidenceRow& row) {
    return {{"evidence", row.label},
            {"certificate", text(row.certificate)},
            {"first_seen", time(row.first_seen)},
            {"last_seen", time(row.last_seen)},
            {"count", row.count},
            {"session", text(row.session)},
            {"possible", row.possible}};
}

std::map<std::string, std::uint64_t> modes(const ReportClient& client) {
    std::map<std::string, std::uint64_t> out;
    for (const auto& [day, by_mode] : client.row.days) {
        for (const auto& [mode, facts] : by_mode) {
            if (facts.connections > 0) out[mode] += facts.connections;
        }
    }
    return out;
}

json::array days(const ReportClient& client) {
    json::array out;
    if (client.source == Source::direct) return out;  // from when to when is known, and no more
    for (const auto& [day, by_mode] : client.row.days) {
        json::object modes;
        std::uint64_t failures = 0;
        for (const auto& [mode, facts] : by_mode) {
            if (facts.connections > 0) modes[mode] = facts.connections;
            failures += facts.failures;
        }
        out.push_back({{"day", day_text(day)}, {"modes", std::move(modes)}, {"failures", failures}});
    }
    return out;
}

json::value accepted(const ReportClient& client) {
    if (!client.accepted) return nullptr;
    const Acceptance& accepted = *client.accepted;
    return {{"owner", text(accepted.owner)},    {"reason", text(accepted.reason)},  {"until", time(accepted.until)},
            {"state", strings(accepted.state)}, {"worse", strings(accepted.worse)}, {"excused", client.excused}};
}

/// Examples: there may be thousands.
json::object names_of(const ReportClient& client) {
    constexpr std::size_t most_examples = 5;
    const auto& all = client.row.names;
    const std::vector<std::string> examples(all.begin(),
                                            all.begin() + static_cast<long>(std::min(all.size(), most_examples)));
    return {{"count", std::max<std::size_t>(all.size(), 1)}, {"examples", strings(examples)}};
}

json::value last_failed(const ReportClient& client) {
    if (!client.last_failed) return nullptr;
    const LastFailure& failure = *client.last_failed;
    return {{"what", failure.what},
            {"time", time(failure.time)},
            {"error", text(failure.error)},
            {"session", text(failure.session)}};
}

/// Null of those that came to a proxy.
json::value direct(const ReportClient& client) {
    if (client.source != Source::direct) return nullptr;
    const DirectFacts& facts = client.direct;
    return {{"servers", strings(facts.servers)},  {"looks", facts.looks},
            {"sessions", client.row.connections}, {"seen", facts.seen},
            {"cipher", text(facts.cipher)},       {"client_dn", text(facts.client_dn)}};
}

json::object identity(const Report& report, const ReportClient& client) {
    const ClientRow& row = client.row;
    const std::vector<std::string> seen_by = proxies_of(report, client);
    return {{"proxy", text(join(seen_by, ", "))},
            {"proxies", strings(seen_by)},
            {"host", row.who.seen_by.empty() ? json::value(nullptr) : text(join(seen_by, ", "))},
            {"source", to_string(client.source)},
            {"direct", direct(client)},
            {"upstream", protocol::as_utf8(row.who.upstream)},
            {"listener", text(row.listener)},
            {"client_addr", text(row.who.client_addr)},
            {"client_process", text(row.who.client_exe)},
            {"client_uid", row.who.client_uid >= 0 ? json::value(row.who.client_uid) : json::value(nullptr)},
            {"usename", name(client, row.who.usename)},
            {"datname", name(client, row.who.datname)},
            {"application_name", name(client, row.who.application_name)},
            {"names", names_of(client)}};
}

}  // namespace

json::object probe(const ProbeCost& cost) {
    return {{"kind", cost.kind},
            {"shown", cost.shown},
            {"accepted", cost.accepted},
            {"refused", cost.refused},
            {"last_shown", time(cost.last_shown)}};
}

std::vector<std::string> fingerprints(const ReportClient& client) {
    constexpr std::size_t most = 10;  // whoever makes them up makes up many
    const std::set<std::string> each(client.row.ja4.begin(), client.row.ja4.end());
    std::vector<std::string> out(each.begin(), each.end());
    if (out.size() > most) out.resize(most);
    return out;
}

std::vector<std::string> evidence_labels(const ReportClient& client, bool possible) {
    std::vector<std::string> out;
    for (const EvidenceRow& row : client.row.evidence) {
        if (row.possible == possible && std::find(out.begin(), out.end(), row.label) == out.end())
            out.push_back(row.label);
    }
    return out;
}

json::object client(const Report& report, const ReportClient& client) {
    const ClientRow& row = client.row;
    json::object by_mode;
    for (const auto& [mode, connections] : modes(client)) by_mode[mode] = connections;
    json::array evidence;
    for (const std::string& label : evidence_labels(client, false)) evidence.emplace_back(label);
    json::array detail;
    for (const EvidenceRow& one : row.evidence) detail.push_back(piece(one));
    json::array probes;
    for (const ProbeCost& cost : client.probes) {
        json::object one = probe(cost);
        one["shared"] = cost.shared;
        probes.push_back(std::move(one));
    }
    json::object out = identity(report, client);
    out.insert({{"connections", row.connections},
                {"plain", row.plain},
                {"weak_tls", row.weak_tls},
                {"bridged", row.bridged},
                {"auth_failed", row.auth_failed},
                {"auth_failures", row.auth_failed},
                {"failures", client.failures()},
                {"possible_failures", client.perhaps_failed},
                {"last_failure", time(row.last_failure)},
                {"failing", client.failing},
                {"auth_method", text(row.auth_method)},
                {"version", text(row.version)},
                {"groups", strings(row.groups)},
                {"ja4", strings(fingerprints(client))},
                {"modes", std::move(by_mode)},
                {"days", days(client)},
                {"first_seen", time(row.first_seen)},
                {"last_seen", time(row.last_seen)},
                {"sslmode_min", protocol::to_string(client.sslmode.min)},
                {"sslmode_max", protocol::to_string(client.sslmode.max)},
                {"verifies", protocol::to_string(client.verifies)},
                {"state", to_string(state_of(client))},
                {"weak", client.weak},
                {"mixed", client.mixed},
                {"changed", client.changed_at > 0},
                {"changed_at", time(client.changed_at)},
                {"falls_back", client.falls_back},
                {"falls_back_inferred", client.perhaps_anothers_fallback},
                {"breaks_on_force_ssl", protocol::to_string(client.breaks_on_force_ssl)},
                {"breaks_on_ca_rotation", protocol::to_string(client.breaks_on_ca_rotation)},
                {"action", to_string(client.action)},
                {"also", client.also ? json::value(to_string(*client.also)) : json::value(nullptr)},
                {"accepted", accepted(client)},
                {"note", text(client.note)},
                {"repaired_at", time(client.repaired_at)},
                {"decided_at", time(client.marked_at)},
                {"not_probed", text(row.not_probed)},
                {"evidence", std::move(evidence)},
                {"evidence_detail", std::move(detail)},
                {"probes", std::move(probes)},
                {"error", text(client.error)},
                {"failure", last_failed(client)}});
    return out;
}

}  // namespace proxy::report::json_parts
