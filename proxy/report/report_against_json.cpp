// Reports in JSON, read back for a comparison, and the comparison in JSON.
#include <boost/json.hpp>
#include <stdexcept>

#include "config/parse.hpp"
#include "protocol/utf8.hpp"
#include "proxy/report/report_against.hpp"

namespace proxy::report {
namespace {

namespace json = boost::json;
using protocol::Readiness;

[[noreturn]] void refuse() { throw std::runtime_error("it is no report of pgairlock in JSON"); }

const json::value* find(const json::object& object, std::string_view name) { return object.if_contains(name); }

/// Empty: not there, or null.
std::string text(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    if (!value || value->is_null()) return {};
    if (!value->is_string()) refuse();
    return std::string(value->get_string());
}

bool truth(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    return value && value->is_bool() && value->get_bool();
}

std::int64_t number(const json::object& object, std::string_view name, std::int64_t otherwise) {
    const json::value* value = find(object, name);
    if (!value) return otherwise;
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    return error ? otherwise : number;
}

const json::array& array(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    if (!value || !value->is_array()) refuse();
    return value->get_array();
}

const json::object& as_object(const json::value& value) {
    if (!value.is_object()) refuse();
    return value.get_object();
}

Readiness readiness(const json::object& client, std::string_view name) {
    const std::string word = text(client, name);
    for (const Readiness known : {Readiness::no, Readiness::yes}) {
        if (word == protocol::to_string(known)) return known;
    }
    return Readiness::unknown;
}

/// Version 0.1 did not name it, so it follows from what it did say.
State state(const json::object& client) {
    if (const auto named = parse_state(text(client, "state"))) return *named;
    if (truth(client, "falls_back")) return State::falls_back;
    const std::int64_t plain = number(client, "plain", 0);
    if (plain > 0) return plain < number(client, "connections", 0) ? State::mixed : State::in_clear;
    const std::string verifies = text(client, "verifies");
    if (text(client, "action") == "enable TLS") return State::in_clear;  // seen in clear, never logged in
    return verifies == "yes" ? State::verifying : verifies == "no" ? State::not_verifying : State::unknown;
}

ComparedClient client(const json::object& from) {
    ComparedClient out;
    const json::value* user = find(from, "usename");
    if (!user) refuse();
    out.known = !user->is_null();
    if (text(from, "source") == to_string(Source::direct)) out.source = Source::direct;
    out.who.upstream = text(from, "upstream");
    out.who.client_addr = text(from, "client_addr");
    out.who.client_exe = text(from, "client_process");
    out.who.client_uid = number(from, "client_uid", -1);
    out.who.usename = text(from, "usename");
    out.who.datname = text(from, "datname");
    out.who.application_name = text(from, "application_name");
    out.who.seen_by = text(from, "host");
    if (const json::value* names = find(from, "names"); names && names->is_object())
        out.folded = !array(names->get_object(), "examples").empty();
    out.state = state(from);
    // Version 0.1 did not count what failed, but had the error of the last one.
    out.failing = find(from, "failing") ? truth(from, "failing")
                                        : number(from, "connections", 0) == 0 && !text(from, "error").empty();
    out.weak = truth(from, "weak");
    out.breaks_on_force_ssl = readiness(from, "breaks_on_force_ssl");
    out.breaks_on_ca_rotation = readiness(from, "breaks_on_ca_rotation");
    return out;
}

std::vector<std::pair<std::string, std::string>> pairs(const json::object& from) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [name, value] : from) {
        if (!value.is_string()) refuse();
        out.emplace_back(std::string(name), std::string(value.get_string()));
    }
    return out;
}

json::value nullable(std::string_view value) {
    return value.empty() ? json::value(nullptr) : json::value(protocol::as_utf8(value));
}

json::object to_json(const Difference& difference) {
    const ComparedClient& client = difference.client;
    const auto name = [&](std::string_view value) {
        return client.known ? json::value(protocol::as_utf8(value)) : json::value(nullptr);
    };
    json::array changes;
    for (const Change& change : difference.changes)
        changes.push_back({{"what", change.what}, {"from", change.from}, {"to", change.to}});
    return {{"host", nullable(client.who.seen_by)},
            {"upstream", protocol::as_utf8(client.who.upstream)},
            {"client_addr", nullable(client.who.client_addr)},
            {"client_process", nullable(client.who.client_exe)},
            {"client_uid", client.who.client_uid >= 0 ? json::value(client.who.client_uid) : json::value(nullptr)},
            {"usename", name(client.who.usename)},
            {"datname", name(client.who.datname)},
            {"application_name", name(client.who.application_name)},
            {"state", to_string(client.state)},
            {"changes", std::move(changes)},
            {"source", to_string(client.source)}};
}

json::array to_json(const std::vector<Difference>& differences) {
    json::array out;
    for (const Difference& difference : differences) out.push_back(to_json(difference));
    return out;
}

}  // namespace

OlderReport parse_report(std::string_view document) {
    boost::system::error_code error;
    const json::value parsed = json::parse(document, error);
    if (error || !parsed.is_object()) refuse();
    const json::object& report = parsed.get_object();
    const json::value* summary_value = find(report, "summary");
    if (!summary_value) refuse();
    const json::object& summary = as_object(*summary_value);

    OlderReport out;
    for (const json::value& one : array(report, "clients")) out.clients.push_back(client(as_object(one)));
    if (const auto last = config::parse_time(text(summary, "last_seen"))) out.last_seen = to_timestamp(*last);
    const json::value* direct = find(summary, "direct");
    out.looked = direct && !direct->is_null();
    out.has_since = !text(summary, "since").empty();
    out.knows_proxies = find(report, "proxies") != nullptr;
    if (out.knows_proxies) {
        for (const json::value& one : array(report, "proxies")) {
            const json::object& proxy = as_object(one);
            out.proxies[text(proxy, "id")] = text(proxy, "name");
        }
    }
    if (find(summary, "incomplete")) out.incomplete = !array(summary, "incomplete").empty();
    if (const json::value* filters = find(summary, "filters")) out.restrictions = pairs(as_object(*filters));
    return out;
}

json::object to_json(const Comparison& comparison) {
    json::array caveats;
    for (const std::string& caveat : comparison.caveats) caveats.emplace_back(protocol::as_utf8(caveat));
    return {{"until", comparison.until == 0 ? json::value(nullptr) : json::value(time_text(comparison.until))},
            {"caveats", std::move(caveats)},
            {"new", to_json(comparison.fresh)},
            {"worse", to_json(comparison.worse)},
            {"better", to_json(comparison.better)},
            {"gone", to_json(comparison.gone)}};
}

}  // namespace proxy::report
