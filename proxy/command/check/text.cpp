// What `pgairlock check` came to, for people.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "protocol/utf8.hpp"
#include "proxy/command/check/outcome.hpp"
#include "proxy/record/expiry_warnings.hpp"

namespace proxy::command {
namespace {

std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
    return out;
}

/// Lines of a label and a text, one below the other. Texts may be a server's.
class Lines {
   public:
    constexpr Lines(int indent, int width) : indent_(indent), width_(width) {}
    void say(const char* label, const std::string& text) const {
        if (!text.empty()) std::printf("%*s%-*s%s\n", indent_, "", width_, label, protocol::printable(text).c_str());
    }
    void say(const tls::Advice& advice) const {
        say("cause:", advice.sentence);
        say("hint:", advice.hint);
    }
    void say(const std::optional<AtFault>& at_fault) const {
        if (at_fault) say("at:", "depth " + std::to_string(at_fault->depth) + ", " + at_fault->certificate);
    }

   private:
    int indent_;
    int width_;
};

constexpr Lines of_address{2, 11};
constexpr Lines of_file{4, 11};

std::string heading(const AddressResult& result) {
    std::string text = "upstream " + result.upstream + ": " + result.host + " at " +
                       (result.address.empty() ? "no address" : result.address) +
                       ", sslmode=" + std::string(protocol::to_string(result.sslmode)) + ": ";
    if (!result.holds) return text + "FAILED";
    text += "OK";
    const auto insufficient = std::count_if(result.verdicts.begin(), result.verdicts.end(),
                                            [](const Verdict& verdict) { return !verdict.holds; });
    if (insufficient > 0)
        text += ", but " + std::to_string(insufficient) + " of " + std::to_string(result.verdicts.size()) +
                " CA files " + (insufficient == 1 ? "does" : "do") + " not suffice alone";
    if (!result.doubt.empty()) text += ", as far as is known";
    return text;
}

std::string tls_text(const AddressResult& result) {
    if (!result.encrypted)
        return result.error.empty() ? "none: sslmode=" + std::string(protocol::to_string(result.sslmode)) +
                                          " goes on in clear text with this server"
                                    : "";
    std::string text = result.version + ", " + result.cipher;
    if (!result.group.empty()) text += ", " + result.group;
    return text + (result.alpn.empty() ? ", no ALPN" : ", ALPN " + result.alpn);
}

std::string link_text(const tls::ChainLink& link, std::size_t depth) {
    std::string text = link.used ? std::to_string(depth) + " " : "- ";
    text += link.certificate.subject + ", until " + tls::to_rfc3339(link.certificate.not_after);
    text += ", issued by " + (link.certificate.issuer == link.certificate.subject ? "itself" : link.certificate.issuer);
    std::string from = link.sent ? "sent" : "";
    if (!link.anchor_file.empty()) from += (from.empty() ? "" : ", ") + ("anchor of " + link.anchor_file);
    if (!link.used) from += ", not used";
    return text + " (" + from + ")";
}

std::string without_sni_text(const WithoutSni& seen) {
    if (!seen.error.empty()) return "nothing: " + seen.error;
    if (seen.same) return "same certificate";
    return seen.leaf->subject + ", names " + joined(tls::first_names(seen.leaf->sans)) + ", issuer " +
           seen.leaf->issuer + ", until " + tls::to_rfc3339(seen.leaf->not_after);
}

void print_verdict(const Verdict& verdict) {
    of_address.say("CA file:", verdict.ca_file);
    of_file.say("chain:", verdict.chain);
    of_file.say("hostname:", verdict.name);
    of_file.say(verdict.at_fault);
    of_file.say(verdict.advice);
    of_file.say("anchor:", verdict.anchor);
    of_file.say("alone:", verdict.holds ? "suffices" : "does not suffice");
}

void print_candidate(const CandidateVerdict& verdict) {
    const std::string why = (verdict.judged ? "refused because: " : "not judged: ") + verdict.reason;
    std::printf("  candidate: %s\n", verdict.ok ? "ok" : protocol::printable(why).c_str());
    of_file.say(verdict.advice);
    for (const Verdict& file : verdict.files)
        of_file.say("CA file:",
                    file.ca_file + ": " + (file.holds ? "suffices alone" : "does not suffice: " + file.chain));
}

void print_address(const AddressResult& result) {
    std::printf("%s\n", protocol::printable(heading(result)).c_str());
    of_address.say("error:", result.error);
    if (!result.error.empty()) of_address.say(result.advice);
    of_address.say("not known:", result.doubt);
    of_address.say("TLS:", tls_text(result));
    if (result.leaf) {
        of_address.say("leaf:", result.leaf->subject);
        of_address.say("names:", joined(result.leaf->sans));
        of_address.say("expires:", tls::to_rfc3339(result.leaf->not_after));
        of_address.say("issuer:", result.leaf->issuer);
    }
    const char* label = "chain:";
    std::size_t depth = 0;
    for (const tls::ChainLink& link : result.chain) of_address.say(std::exchange(label, ""), link_text(link, depth++));
    if (result.without_sni)
        std::printf("  without SNI: %s\n", protocol::printable(without_sni_text(*result.without_sni)).c_str());
    for (const Verdict& verdict : result.verdicts) print_verdict(verdict);
    if (result.candidate) print_candidate(*result.candidate);
}

const char* label_of(Finding::State state) {
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

}  // namespace

void print_bundles(const Outcome& outcome) {
    for (const tls::Bundle& bundle : outcome.bundles)
        std::printf("certificates in %s\n", protocol::printable(to_string(bundle)).c_str());
}

/// Warnings and errors are on stderr in full.
void print_preflight(const Outcome& outcome) {
    for (const Finding& finding : outcome.preflight) {
        std::string text = std::string(label_of(finding.state)) + ": " + finding.what;
        if (finding.state == Finding::State::skipped) text += ": " + finding.said.message;
        std::printf("preflight %s\n", protocol::printable(text).c_str());
    }
}

void print_addresses(const Outcome& outcome) {
    for (const AddressResult& result : outcome.addresses) print_address(result);
}

void print_ends_soon(const Outcome& outcome) {
    for (const EndsSoon& one : outcome.ends_soon) {
        const std::string text = one.subject + ", " + one.what + (one.file.empty() ? "" : ", of " + one.file);
        const std::string when = expiry_text(one.valid, std::chrono::system_clock::now());
        std::printf("expiring: %s: %s\n", protocol::printable(text).c_str(), when.c_str());
    }
}

}  // namespace proxy::command
