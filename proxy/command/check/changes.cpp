#include "proxy/command/check/changes.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "proxy/report/report.hpp"

namespace proxy::command {
namespace {

using Kind = Change::Kind;

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

Change change_of(const AddressResult& now, Kind kind, std::string text) {
    return {.kind = kind,
            .upstream = now.upstream,
            .host = now.host,
            .address = now.address,
            .text = std::move(text),
            .ok = now.holds};
}

/// The anchor's name, or where the chain does not verify that of its last issuer.
std::string subject_of(const AddressResult& result) {
    if (!result.anchor.empty()) return result.anchor;
    const auto last =
        std::find_if(result.chain.rbegin(), result.chain.rend(), [](const auto& link) { return link.used; });
    return last == result.chain.rend() ? std::string() : last->certificate.issuer;
}

/// Two authorities that are not the same, in as few words as tell them apart.
struct ToldApart {
    std::string before, now;            // names
    std::string more_before{}, more{};  // what they do not tell
};

ToldApart told_apart(const ShownAuthority& before, const ShownAuthority& now) {
    constexpr std::size_t enough = 16;  // hex digits, as the log has them
    ToldApart told{.before = report::common_name(before.subject), .now = report::common_name(now.subject)};
    if (told.before != told.now) return told;
    if (before.subject != now.subject) return {.before = before.subject, .now = now.subject};
    const auto add = [&](const std::string& what, const std::string& of_before, const std::string& of_now) {
        told.more_before = " (" + what + of_before + ")";
        told.more = " (" + what + of_now + ")";
    };
    const bool have_keys = !before.anchor_key_sha256.empty() && !now.anchor_key_sha256.empty();
    if (have_keys && before.anchor_key_sha256 != now.anchor_key_sha256) {
        add("key ", before.anchor_key_sha256.substr(0, enough), now.anchor_key_sha256.substr(0, enough));
    } else if (before.issuer != now.issuer) {
        add("issuer ", in_quotes(before.issuer), in_quotes(now.issuer));
    } else {
        add("key identifier ", before.issuer_key_id.substr(0, enough), now.issuer_key_id.substr(0, enough));
    }
    return told;
}

bool is_other(const ShownAuthority& before, const ShownAuthority& now) {
    return is_other_ca({before.issuer, before.issuer_key_id, before.anchor, before.anchor_key_sha256},
                       {now.issuer, now.issuer_key_id, now.anchor, now.anchor_key_sha256});
}

}  // namespace

const char* label(Change::Kind kind) noexcept {
    switch (kind) {
        case Kind::moved: return "moved";
        case Kind::certificate: return "certificate";
        case Kind::unreachable: return "unreachable";
        case Kind::back: return "back";
        case Kind::refused: return "refused";
        case Kind::accepted: return "accepted";
        case Kind::candidate_ok: return "candidate_ok";
        case Kind::candidate_refused: return "candidate_refused";
        case Kind::clear: return "clear";
        case Kind::encrypted: return "encrypted";
        case Kind::appeared: return "appeared";
        case Kind::gone: break;
    }
    return "gone";
}

std::string place_of(const Change& change) {
    constexpr std::string_view usual_port = ":5432";
    std::string address = change.address;
    if (address.ends_with(usual_port)) address.resize(address.size() - usual_port.size());
    return address.empty() ? change.host : change.host + " (" + address + ")";
}

std::string authority_of(const AddressResult& result) { return report::common_name(subject_of(result)); }

std::vector<Change> Changes::since_last(const std::vector<AddressResult>& now) {
    std::vector<Change> changes;
    forget_those_gone(now, changes);
    for (const AddressResult& result : now) {
        const auto [found, is_new] = seen_.try_emplace({result.upstream, result.host, result.address});
        if (is_new && !result.address.empty()) {
            const std::string state =
                result.holds ? "OK" : "FAILED: " + (result.error.empty() ? result.verify_error : result.error);
            const std::string authority = authority_of(result);
            changes.push_back(change_of(result, Kind::appeared,
                                        "appeared: " + state + (authority.empty() ? "" : ", " + in_quotes(authority))));
            changes.back().to = authority;
            std::vector<Change> told_already;
            compare(found->second, result, told_already);
        } else {
            compare(found->second, result, changes);
        }
    }
    if (std::exchange(first_, false)) changes.clear();
    return changes;
}

/// A host that cannot be looked up for a while has not lost its addresses.
void Changes::forget_those_gone(const std::vector<AddressResult>& now, std::vector<Change>& changes) {
    std::set<Key> there;
    for (const AddressResult& result : now) there.insert({result.upstream, result.host, result.address});
    std::erase_if(seen_, [&](const auto& entry) {
        const auto& [upstream, host, address] = entry.first;
        if (there.contains(entry.first)) return false;
        if (there.contains({upstream, host, std::string()})) return false;
        Change change{.kind = Kind::gone, .upstream = upstream, .host = host, .address = address, .text = "gone"};
        if (address.empty()) {
            change.kind = Kind::back;
            change.text = "has addresses again";
            change.ok = true;
        }
        changes.push_back(std::move(change));
        return true;
    });
}

void Changes::compare(Seen& seen, const AddressResult& now, std::vector<Change>& changes) {
    const std::string before = std::exchange(seen.error, now.error);
    if (!now.error.empty()) {
        if (before != now.error)
            changes.push_back(change_of(now, Kind::unreachable,
                                        (now.address.empty() ? "no address: " : "unreachable: ") + now.error));
        return;
    }
    if (!before.empty()) changes.push_back(change_of(now, Kind::back, "back"));
    const std::optional<bool> was_encrypted = std::exchange(seen.encrypted, now.encrypted);
    if (was_encrypted && *was_encrypted != now.encrypted)
        changes.push_back(change_of(now, now.encrypted ? Kind::encrypted : Kind::clear,
                                    now.encrypted ? "speaks TLS now" : "does not speak TLS any more"));
    compare_certificates(seen, now, changes);
    const std::optional<bool> held = std::exchange(seen.holds, now.holds);
    if (held && *held != now.holds)
        changes.push_back(change_of(now, now.holds ? Kind::accepted : Kind::refused,
                                    now.holds ? "verifies now" : "does not verify any more: " + now.verify_error));
    if (!now.candidate || !now.candidate->judged) return;
    const std::optional<bool> sufficed = std::exchange(seen.candidate, now.candidate->ok);
    if (sufficed && *sufficed != now.candidate->ok)
        changes.push_back(change_of(now, now.candidate->ok ? Kind::candidate_ok : Kind::candidate_refused,
                                    now.candidate->ok
                                        ? "candidate suffices now"
                                        : "candidate does not suffice any more: " + now.candidate->reason));
}

void Changes::compare_certificates(Seen& seen, const AddressResult& now, std::vector<Change>& changes) {
    if (!now.leaf) return;
    const ShownAuthority before = seen.authority;
    ShownAuthority authority{.subject = subject_of(now),
                             .issuer = now.leaf->issuer,
                             .issuer_key_id = now.leaf->issuer_key_id,
                             .anchor = now.anchor,
                             .anchor_key_sha256 = now.anchor_key_sha256};
    const std::string leaf_before = std::exchange(seen.sha256, now.leaf->sha256);
    const bool is_new = !leaf_before.empty() && leaf_before != now.leaf->sha256;
    const bool moved = (is_new || seen.anchor_is_of_another) && is_other(before, authority);
    if (moved || !authority.anchor.empty()) {
        seen.anchor_is_of_another = false;
    } else if (!before.anchor.empty()) {
        // What names and key IDs do not tell is seen once somebody verifies it.
        seen.anchor_is_of_another = seen.anchor_is_of_another || is_new;
        authority.subject = before.subject;
        authority.anchor = before.anchor;
        authority.anchor_key_sha256 = before.anchor_key_sha256;
    }
    seen.authority = authority;
    if (!is_new && !moved) return;
    Change change = change_of(now, moved ? Kind::moved : Kind::certificate, {});
    if (moved) {
        const ToldApart told = told_apart(before, authority);
        change.from = told.before;
        change.to = told.now;
        change.from_key = before.anchor_key_sha256;
        change.to_key = authority.anchor_key_sha256;
        change.text =
            "moved from " + in_quotes(told.before) + told.more_before + " to " + in_quotes(told.now) + told.more;
    } else {
        change.to = authority_of(now);
        change.text =
            "another certificate of " + in_quotes(change.to) + ", until " + tls::to_rfc3339(now.leaf->not_after);
    }
    changes.push_back(std::move(change));
}

}  // namespace proxy::command
