// `pgairlock check`: for each address of each upstream and each CA file by itself, would a
// connection be verified?
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "protocol/utf8.hpp"
#include "proxy/command/check_addresses.hpp"
#include "proxy/command/commands.hpp"
#include "proxy/command/state_dir.hpp"
#include "proxy/command/written_files.hpp"

namespace proxy::command {
namespace {

namespace json = boost::json;

std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
    return out;
}

/// In lines like those around: `width` is that of their labels.
void print_advice(const char* indent, int width, const tls::Advice& advice) {
    const auto line = [&](const char* label, const std::string& text) {
        if (!text.empty()) std::printf("%s%-*s%s\n", indent, width, label, protocol::printable(text).c_str());
    };
    line("cause:", advice.sentence);
    line("hint:", advice.hint);
}

void print_text(const AddressResult& result, bool ok) {
    std::printf("upstream %s: %s at %s, sslmode=%s: %s\n", result.upstream.c_str(), result.host.c_str(),
                result.address.empty() ? "no address" : result.address.c_str(),
                std::string(protocol::to_string(result.sslmode)).c_str(), ok ? "OK" : "FAILED");
    if (!result.error.empty()) std::printf("  error:    %s\n", protocol::printable(result.error).c_str());
    print_advice("  ", 10, result.advice);
    if (!result.version.empty()) std::printf("  TLS:      %s, %s\n", result.version.c_str(), result.cipher.c_str());
    if (result.leaf) {
        std::printf("  leaf:     %s\n", result.leaf->subject.c_str());
        std::printf("  names:    %s\n", joined(result.leaf->sans).c_str());
        std::printf("  expires:  %s\n", tls::to_rfc3339(result.leaf->not_after).c_str());
        std::printf("  issuer:   %s\n", result.leaf->issuer.c_str());
    }
    for (const Verdict& verdict : result.verdicts) {
        std::printf("  CA file:  %s\n", verdict.ca_file.c_str());
        std::printf("    chain:     %s\n", verdict.chain.c_str());
        std::printf("    hostname:  %s\n", verdict.name.c_str());
        print_advice("    ", 11, verdict.advice);
        if (!verdict.anchor.empty()) std::printf("    anchor:    %s\n", verdict.anchor.c_str());
        std::printf("    alone:     %s\n", verdict.holds ? "suffices" : "does not suffice");
    }
    if (result.candidate) {
        const CandidateVerdict& verdict = *result.candidate;
        const std::string why = (verdict.judged ? "refused because: " : "not judged: ") + verdict.reason;
        std::printf("  candidate: %s\n", verdict.ok ? "ok" : protocol::printable(why).c_str());
    }
}

/// What each file of certificates holds.
json::array to_json(const std::vector<tls::Bundle>& bundles) {
    json::array files;
    for (const tls::Bundle& bundle : bundles) {
        json::value next = nullptr;
        if (bundle.next_expiry) next = tls::to_rfc3339(*bundle.next_expiry);
        files.push_back({{"path", bundle.path},
                         {"certificates", bundle.certificates},
                         {"repeated", bundle.repeated},
                         {"expired", bundle.expired},
                         {"next_expiry", std::move(next)},
                         {"next_subject", bundle.next_subject}});
    }
    return files;
}

json::value or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::object to_json(const AddressResult& result) {
    json::object out{{"upstream", result.upstream},
                     {"host", result.host},
                     {"address", result.address},
                     {"sslmode", protocol::to_string(result.sslmode)},
                     {"ok", result.holds},
                     {"error", or_null(result.error)},
                     {"cause", or_null(result.advice.sentence)},
                     {"hint", or_null(result.advice.hint)},
                     {"version", result.version},
                     {"cipher", result.cipher}};
    if (result.leaf) {
        json::array sans;
        for (const std::string& san : result.leaf->sans) sans.emplace_back(san);
        out["leaf"] = {{"subject", result.leaf->subject},
                       {"issuer", result.leaf->issuer},
                       {"sans", sans},
                       {"serial", result.leaf->serial},
                       {"sha256", result.leaf->sha256},
                       {"not_before", tls::to_rfc3339(result.leaf->not_before)},
                       {"not_after", tls::to_rfc3339(result.leaf->not_after)}};
    }
    json::array verdicts;
    for (const Verdict& verdict : result.verdicts) {
        verdicts.push_back({{"ca_file", verdict.ca_file},
                            {"chain_ok", verdict.chain_ok},
                            {"chain", verdict.chain},
                            {"hostname_ok", verdict.name_ok},
                            {"hostname", verdict.name},
                            {"anchor", verdict.anchor},
                            {"cause", or_null(verdict.advice.sentence)},
                            {"hint", or_null(verdict.advice.hint)},
                            {"ok", verdict.holds}});
    }
    out["ca_files"] = std::move(verdicts);
    out["candidate"] = nullptr;
    if (result.candidate) {
        const CandidateVerdict& verdict = *result.candidate;
        json::object candidate{{"ok", verdict.ok}, {"judged", verdict.judged}, {"reason", nullptr}};
        if (!verdict.ok) candidate["reason"] = protocol::printable(verdict.reason);
        out["candidate"] = std::move(candidate);
    }
    return out;
}

/// Of all addresses that have one; nullopt: none is configured.
std::optional<bool> candidates_hold(const std::vector<AddressResult>& results) {
    std::optional<bool> ok;
    for (const AddressResult& result : results) {
        if (result.candidate) ok = ok.value_or(true) && result.candidate->ok;
    }
    return ok;
}

bool has_candidate(const config::Config& config) {
    return std::any_of(config.upstreams.begin(), config.upstreams.end(),
                       [](const config::Upstream& one) { return !one.sslrootcert_candidate.empty(); });
}

/// Every CA file of `check --upstream ... --sslrootcert A --sslrootcert B` is a question of its
/// own; in a configuration they are one store.
bool holds(const AddressResult& result, bool each_file) {
    if (!result.holds) return false;
    return !each_file ||
           std::all_of(result.verdicts.begin(), result.verdicts.end(), [](const Verdict& v) { return v.holds; });
}

}  // namespace

int check(const CheckOptions& options) {
    config::Loaded loaded = load_config(options.source);
    print(loaded.errors, loaded.warnings);
    if (!loaded.config) return exit_usage;
    if (options.fail_on_candidate && !has_candidate(*loaded.config)) {
        std::fprintf(stderr, "error: --fail-on candidate: no upstream has sslrootcert_candidate\n");
        return exit_usage;
    }
    const bool from_flags = options.source.config_file.empty();
    const std::string dir = state_dir(loaded.config->runtime.state_dir);
    std::vector<config::Diagnostic> errors, warnings;
    look_at_written_files(*loaded.config, dir, errors, warnings);
    // A check leaves no traces: it generates no certificate where none is configured.
    for (config::Listener& listener : loaded.config->listeners) {
        if (!listener.tls.cert_file && listener.tls.certificate.empty())
            listener.tls.mode = config::ClientTlsMode::disable;
    }
    LoadedSnapshot snapshot = load_snapshot(*loaded.config, {.path = dir, .writable = false});
    snapshot.errors.insert(snapshot.errors.end(), errors.begin(), errors.end());
    snapshot.warnings.insert(snapshot.warnings.end(), warnings.begin(), warnings.end());
    print(snapshot.errors, snapshot.warnings);
    if (!snapshot.errors.empty()) return exit_usage;
    const std::vector<tls::Bundle> bundles = bundles_of(*snapshot.snapshot);
    if (!options.json) {
        for (const tls::Bundle& bundle : bundles)
            std::printf("certificates in %s\n", protocol::printable(to_string(bundle)).c_str());
    }
    if (options.offline) {
        if (options.json) {
            const json::object out{
                {"ok", true}, {"candidate_ok", nullptr}, {"files", to_json(bundles)}, {"upstreams", json::array{}}};
            std::printf("%s\n", json::serialize(out).c_str());
        } else {
            std::printf("configuration is valid\n");
        }
        return exit_ok;
    }

    asio::io_context io(1);
    Resolver resolver;
    std::vector<AddressResult> results;
    for (const auto& route : snapshot.snapshot->upstreams) {
        asio::co_spawn(io.get_executor(), check_upstream(resolver, *route, results),
                       [](const std::exception_ptr& failure) {
                           if (failure) std::rethrow_exception(failure);
                       });
        io.run();
        io.restart();
    }
    const bool ok = !results.empty() &&
                    std::all_of(results.begin(), results.end(), [&](const auto& r) { return holds(r, from_flags); });
    const std::optional<bool> candidate_ok = candidates_hold(results);
    if (options.json) {
        json::array upstreams;
        for (const AddressResult& result : results) upstreams.push_back(to_json(result));
        json::object document{
            {"ok", ok}, {"candidate_ok", nullptr}, {"files", to_json(bundles)}, {"upstreams", std::move(upstreams)}};
        if (candidate_ok) document["candidate_ok"] = *candidate_ok;
        std::printf("%s\n", json::serialize(document).c_str());
    } else {
        for (const AddressResult& result : results) print_text(result, holds(result, from_flags));
    }
    const bool fails = !ok || (options.fail_on_candidate && !candidate_ok.value_or(false));
    return fails ? exit_failure : exit_ok;
}

}  // namespace proxy::command
