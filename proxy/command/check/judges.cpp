#include "proxy/command/check/judges.hpp"

#include <algorithm>
#include <chrono>

namespace proxy::command {
namespace {

using protocol::SslMode;
using Naming = tls::UpstreamContext::Naming;

/// What may be wrong with its files was said when the configuration's own route was loaded.
std::unique_ptr<tls::UpstreamContext> context_of(const config::Upstream& settings) {
    std::vector<config::Diagnostic> ignored;
    return std::make_unique<tls::UpstreamContext>(settings, ignored, ignored);
}

UpstreamRoute loaded(config::Upstream settings) {
    UpstreamRoute route;
    route.settings = std::move(settings);
    if (route.settings.sslmode != SslMode::disable) route.tls = context_of(route.settings);
    return route;
}

/// Connects as the configuration's own `route`, with its certificate: a command that gives the pass
/// phrase of the key may ask a hardware token or a slow service, and has been run once. What it
/// says of its sslmode is the configured one: accepting_all() is how we look, not what is demanded.
UpstreamRoute connecting(config::Upstream settings, const UpstreamRoute& like) {
    UpstreamRoute route;
    route.settings = std::move(settings);
    route.settings.sslcert = {};
    route.settings.sslkey = {};
    if (route.settings.sslmode != SslMode::disable) {
        auto context = context_of(route.settings);
        if (like.tls) context->show_certificate_of(*like.tls);
        route.tls = std::move(context);
    }
    route.settings.sslmode = like.settings.sslmode;
    return route;
}

config::Upstream accepting_all(config::Upstream settings) {
    settings.sslmode = std::min(settings.sslmode, SslMode::require);
    settings.sslrootcert.clear();
    settings.sslrootcert_candidate.clear();
    return settings;
}

config::Upstream without_sni(config::Upstream settings) {
    settings.ssl_sni = config::sni_off;
    return settings;
}

/// Nobody connects with it, so nobody need be asked for the key's passphrase.
config::Upstream judging(config::Upstream settings, std::vector<config::File> anchors) {
    settings.sslmode = SslMode::verify_ca;
    settings.sslrootcert = std::move(anchors);
    settings.sslrootcert_candidate.clear();
    settings.sslcert = {};
    settings.sslkey = {};
    return settings;
}

tls::Advice advice_of(const tls::Judgement& judgement, const UpstreamRoute& route, const std::string& host,
                      const std::string& elsewhere = {}, bool is_candidate = false) {
    if (judgement.ok()) return {};
    return tls::advise(judgement.failure,
                       {.name = route.tls->demanded_name(host),
                        .anchors = route.tls->anchor_files(),
                        .elsewhere = elsewhere,
                        .is_candidate = is_candidate},
                       std::chrono::system_clock::now());
}

std::optional<AtFault> at_fault(const tls::Judgement& judgement) {
    if (judgement.ok()) return std::nullopt;
    return AtFault{.depth = judgement.failure.depth, .certificate = judgement.failure.certificate};
}

std::string outcome(const tls::Judgement& judgement) { return judgement.ok() ? "ok" : judgement.failure.reason; }

/// As a session has them where none are named.
std::vector<config::File> anchors_of(const config::Upstream& settings) {
    std::vector<config::File> anchors = settings.sslrootcert;
    if (anchors.empty() && settings.sslmode == SslMode::verify_full)
        anchors.push_back({.path = "system", .origin = {}});
    return anchors;
}

}  // namespace

Judges::Judges(const UpstreamRoute& route)
    : route_(route),
      looking_(connecting(accepting_all(route.settings), route)),
      looking_without_sni_(connecting(without_sni(accepting_all(route.settings)), route)) {
    if (!encrypts()) return;
    files_ = each_alone(route.settings, anchors_of(route.settings));
    candidates_ = each_alone(route.settings, route.settings.sslrootcert_candidate);
    if (!candidates_.empty()) candidate_ = loaded(judging(route.settings, route.settings.sslrootcert_candidate));
}

std::vector<Judges::File> Judges::each_alone(const config::Upstream& settings, const std::vector<config::File>& files) {
    std::vector<File> all;
    for (const config::File& file : files) all.push_back({file.path, loaded(judging(settings, {file}))});
    return all;
}

void Judges::judge(SSL* shown, AddressResult& result) const {
    const tls::Judgement all = route_.tls->judge(shown, result.host, route_.tls->naming());
    result.holds = all.ok();
    result.chain = all.chain;
    result.anchor = all.anchor;
    result.anchor_key_sha256 = all.anchor_key_sha256;
    result.at_fault = at_fault(all);
    result.verify_error = all.failure.reason;
    result.advice = advice_of(all, route_, result.host);
    const SslMode mode = route_.settings.sslmode;
    const std::string verifier = verifier_of(shown, result.host, files_);
    for (const File& file : files_) {
        Verdict verdict = verdict_of(shown, result.host, file, {.verifier = verifier});
        verdict.holds = verdict.chain_ok && (mode != SslMode::verify_full || verdict.name_ok);
        result.verdicts.push_back(std::move(verdict));
    }
    if (!candidates_.empty()) result.candidate = judge_candidate(shown, result.host, verifier);
}

std::string Judges::verifier_of(SSL* shown, const std::string& host, const std::vector<File>& files) {
    for (const File& file : files) {
        if (file.route.tls->judge(shown, host, Naming::left_out).ok()) return file.path;
    }
    return {};
}

Verdict Judges::verdict_of(SSL* shown, const std::string& host, const File& file, const Elsewhere& elsewhere) {
    const tls::Judgement chain = file.route.tls->judge(shown, host, Naming::left_out);
    Verdict verdict{.ca_file = file.path,
                    .chain_ok = chain.ok(),
                    .chain = outcome(chain),
                    .name = "not checked: the chain does not verify",
                    .anchor = chain.anchor};
    const tls::Judgement full = chain.ok() ? file.route.tls->judge(shown, host, Naming::demanded) : chain;
    verdict.at_fault = at_fault(full);
    verdict.advice = advice_of(full, file.route, host, elsewhere.verifier, elsewhere.is_candidate);
    if (!chain.ok()) return verdict;
    verdict.name_ok = full.ok();
    verdict.name = outcome(full);
    return verdict;
}

CandidateVerdict Judges::judge_candidate(SSL* shown, const std::string& host, const std::string& verifier) const {
    const tls::Judgement all = candidate_.tls->judge(shown, host, Naming::left_out);
    CandidateVerdict verdict{.ok = all.ok(),
                             .reason = all.failure.reason,
                             .advice = advice_of(all, candidate_, host, verifier, true),
                             .files = {}};
    const Elsewhere elsewhere = all.ok() ? Elsewhere{.verifier = verifier_of(shown, host, candidates_)}
                                         : Elsewhere{.verifier = verifier, .is_candidate = true};
    for (const File& file : candidates_) {
        verdict.files.push_back(verdict_of(shown, host, file, elsewhere));
        verdict.files.back().holds = verdict.files.back().chain_ok;
    }
    return verdict;
}

std::set<std::string> Judges::used_candidates() const {
    std::set<std::string> used;
    if (!candidate_.tls) return used;
    for (const tls::CertificateInUse& one : candidate_.tls->in_use()) {
        if (one.used) used.insert(one.certificate->sha256);
    }
    return used;
}

std::optional<CandidateVerdict> candidate_not_judged(const config::Upstream& settings, const std::string& why) {
    if (settings.sslrootcert_candidate.empty()) return std::nullopt;
    return CandidateVerdict{.ok = false, .judged = false, .reason = why};
}

}  // namespace proxy::command
