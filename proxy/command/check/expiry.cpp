#include "proxy/command/check/expiry.hpp"

#include <set>
#include <string>

#include "proxy/route/in_use.hpp"

namespace proxy::command {

std::vector<EndsSoon> ends_soon(const Snapshot& snapshot, const std::vector<Judges>& upstreams,
                                const std::vector<AddressResult>& shown, std::chrono::system_clock::time_point until) {
    std::vector<EndsSoon> all;
    const auto now = std::chrono::system_clock::now();
    const auto add = [&](const tls::CertificateFacts& facts, std::string what, std::string file) {
        if (facts.not_after > until && facts.not_before <= now) return;
        all.push_back({.what = std::move(what),
                       .file = std::move(file),
                       .subject = facts.subject,
                       .valid = {.not_before = facts.not_before, .not_after = facts.not_after}});
    };
    std::set<std::string> used_candidates;
    for (const Judges& upstream : upstreams) used_candidates.merge(upstream.used_candidates());
    std::set<std::string> known;
    for (const InUse& one : certificates_in_use(snapshot)) {
        const bool is_used_candidate =
            one.use == tls::Use::candidate && used_candidates.contains(one.certificate->sha256);
        if (!is_watched(one) && !is_used_candidate) continue;
        known.insert(one.certificate->sha256);
        add(*one.certificate, what_for(one), one.file);
    }
    // Many addresses have the same intermediate: it is told with the first.
    for (const AddressResult& result : shown) {
        std::size_t depth = 0;
        for (const tls::ChainLink& link : result.chain) {
            const bool is_leaf = depth++ == 0;
            if (!link.used || (!is_leaf && !known.insert(link.certificate.sha256).second)) continue;
            const std::string what = is_leaf ? "shown by " : link.sent ? "intermediate sent by " : "in the chain of ";
            add(link.certificate, what + result.address, link.sent ? std::string() : link.anchor_file);
        }
    }
    return all;
}

}  // namespace proxy::command
