// What `pgairlock check` came to, for programs.
#include <boost/json.hpp>

#include "protocol/utf8.hpp"
#include "proxy/command/check/outcome.hpp"

namespace proxy::command {
namespace {

namespace json = boost::json;

json::value or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

/// What each file of certificates holds.
json::array bundles_as_json(const std::vector<tls::Bundle>& bundles) {
    json::array files;
    for (const tls::Bundle& bundle : bundles) {
        json::value next = nullptr;
        if (bundle.next_expiry) next = tls::to_rfc3339(*bundle.next_expiry);
        files.push_back({{"path", bundle.path},
                         {"certificates", bundle.certificates},
                         {"repeated", bundle.repeated},
                         {"expired", bundle.expired},
                         {"not_yet_valid", bundle.not_yet_valid},
                         {"next_expiry", std::move(next)},
                         {"next_subject", bundle.next_subject}});
    }
    return files;
}

json::object origin_as_json(const config::Diagnostic& said) {
    const config::Origin& origin = said.origin;
    json::object out{{"file", or_null(origin.file)},
                     {"line", nullptr},
                     {"column", nullptr},
                     {"key", or_null(origin.key)},
                     {"message", protocol::printable(said.message)}};
    if (origin.line > 0) out["line"] = origin.line;
    if (origin.column > 0) out["column"] = origin.column;
    return out;
}

json::array origins_as_json(const std::vector<config::Diagnostic>& all) {
    json::array out;
    for (const config::Diagnostic& one : all) out.push_back(origin_as_json(one));
    return out;
}

const char* level_of(Finding::State state) {
    switch (state) {
        case Finding::State::ok: return "ok";
        case Finding::State::skipped: return "skipped";
        case Finding::State::warning: return "warning";
        case Finding::State::useless:
        case Finding::State::stops:
        case Finding::State::error: break;
    }
    return "error";
}

/// `ok` is null where nothing was looked at.
json::array preflight_as_json(const std::vector<Finding>& findings) {
    json::array out;
    for (const Finding& finding : findings) {
        json::object one{
            {"what", finding.what}, {"ok", finding.state == Finding::State::ok}, {"level", level_of(finding.state)}};
        if (finding.state == Finding::State::skipped) one["ok"] = nullptr;
        if (finding.state == Finding::State::ok) {
            one["message"] = nullptr;
        } else {
            for (auto& [key, value] : origin_as_json(finding.said)) one[key] = std::move(value);
        }
        out.push_back(std::move(one));
    }
    return out;
}

json::object certificate_as_json(const tls::CertificateFacts& facts) {
    json::array sans;
    for (const std::string& san : facts.sans) sans.emplace_back(san);
    return {{"subject", facts.subject},
            {"issuer", facts.issuer},
            {"issuer_key_id", or_null(facts.issuer_key_id)},
            {"sans", std::move(sans)},
            {"serial", facts.serial},
            {"sha256", facts.sha256},
            {"not_before", tls::to_rfc3339(facts.not_before)},
            {"not_after", tls::to_rfc3339(facts.not_after)}};
}

json::value at_fault_as_json(const std::optional<AtFault>& at_fault) {
    if (!at_fault) return nullptr;
    return json::object{{"depth", at_fault->depth}, {"certificate", at_fault->certificate}};
}

/// `depth` is null for what was sent and is of no use.
json::array chain_as_json(const std::vector<tls::ChainLink>& chain) {
    json::array out;
    for (const tls::ChainLink& link : chain) {
        json::object one{{"depth", nullptr},
                         {"subject", link.certificate.subject},
                         {"issuer", link.certificate.issuer},
                         {"not_before", tls::to_rfc3339(link.certificate.not_before)},
                         {"not_after", tls::to_rfc3339(link.certificate.not_after)},
                         {"sha256", link.certificate.sha256},
                         {"sent", link.sent},
                         {"anchor", or_null(link.anchor_file)}};
        if (link.used) one["depth"] = out.size();
        out.push_back(std::move(one));
    }
    return out;
}

json::value without_sni_as_json(const std::optional<WithoutSni>& seen) {
    if (!seen) return nullptr;
    json::object out{{"same", seen->same}, {"error", or_null(seen->error)}, {"leaf", nullptr}};
    if (seen->leaf) out["leaf"] = certificate_as_json(*seen->leaf);
    return out;
}

json::object verdict_as_json(const Verdict& verdict) {
    return {{"ca_file", verdict.ca_file},
            {"chain_ok", verdict.chain_ok},
            {"chain", verdict.chain},
            {"hostname_ok", verdict.name_ok},
            {"hostname", verdict.name},
            {"anchor", verdict.anchor},
            {"at", at_fault_as_json(verdict.at_fault)},
            {"cause", or_null(verdict.advice.sentence)},
            {"hint", or_null(verdict.advice.hint)},
            {"ok", verdict.holds}};
}

json::value candidate_as_json(const std::optional<CandidateVerdict>& verdict) {
    if (!verdict) return nullptr;
    json::array files;
    for (const Verdict& file : verdict->files)
        files.push_back({{"ca_file", file.ca_file},
                         {"ok", file.holds},
                         {"reason", file.holds ? json::value(nullptr) : json::value(file.chain)},
                         {"anchor", or_null(file.anchor)}});
    json::object out{{"ok", verdict->ok},
                     {"judged", verdict->judged},
                     {"reason", nullptr},
                     {"cause", or_null(verdict->advice.sentence)},
                     {"hint", or_null(verdict->advice.hint)},
                     {"files", std::move(files)}};
    if (!verdict->ok) out["reason"] = protocol::printable(verdict->reason);
    return out;
}

json::object address_as_json(const AddressResult& result) {
    json::object out{{"upstream", result.upstream},
                     {"host", result.host},
                     {"address", result.address},
                     {"sslmode", protocol::to_string(result.sslmode)},
                     {"ok", result.holds},
                     {"error", or_null(result.error)},
                     {"verify_error", or_null(result.verify_error)},
                     {"at", at_fault_as_json(result.at_fault)},
                     {"cause", or_null(result.advice.sentence)},
                     {"hint", or_null(result.advice.hint)},
                     {"not_known", or_null(result.doubt)},
                     {"encrypted", result.encrypted},
                     {"version", result.version},
                     {"cipher", result.cipher},
                     {"group", or_null(result.group)},
                     {"alpn", or_null(result.alpn)},
                     {"sni", or_null(result.sni)}};
    if (result.leaf) out["leaf"] = certificate_as_json(*result.leaf);
    out["chain"] = chain_as_json(result.chain);
    out["anchor"] = or_null(result.anchor);
    out["anchor_key_sha256"] = or_null(result.anchor_key_sha256);
    out["without_sni"] = without_sni_as_json(result.without_sni);
    json::array verdicts;
    for (const Verdict& verdict : result.verdicts) verdicts.push_back(verdict_as_json(verdict));
    out["ca_files"] = std::move(verdicts);
    out["candidate"] = candidate_as_json(result.candidate);
    return out;
}

json::array ends_soon_as_json(const std::vector<EndsSoon>& all) {
    json::array out;
    for (const EndsSoon& one : all)
        out.push_back({{"what", one.what},
                       {"file", or_null(one.file)},
                       {"subject", one.subject},
                       {"not_before", tls::to_rfc3339(one.valid.not_before)},
                       {"not_after", tls::to_rfc3339(one.valid.not_after)}});
    return out;
}

}  // namespace

std::string as_json(const Outcome& outcome, const Demands& demands) {
    json::array upstreams, fails_on;
    for (const AddressResult& result : outcome.addresses) upstreams.push_back(address_as_json(result));
    for (const std::string& name : unmet(outcome, demands)) fails_on.emplace_back(name);
    json::object document{{"ok", is_ok(outcome)},
                          {"fails_on", std::move(fails_on)},
                          {"candidate_ok", nullptr},
                          {"preflight", preflight_as_json(outcome.preflight)},
                          {"warnings", origins_as_json(outcome.warnings)},
                          {"files", bundles_as_json(outcome.bundles)},
                          {"upstreams", std::move(upstreams)}};
    if (const std::optional<bool> ok = candidates_hold(outcome)) document["candidate_ok"] = *ok;
    if (demands.expiry) document["ends_soon"] = ends_soon_as_json(outcome.ends_soon);
    return json::serialize(document);
}

std::string as_json(const std::vector<config::Diagnostic>& errors, const std::vector<config::Diagnostic>& warnings) {
    const json::object document{
        {"ok", false}, {"errors", origins_as_json(errors)}, {"warnings", origins_as_json(warnings)}};
    return json::serialize(document);
}

}  // namespace proxy::command
