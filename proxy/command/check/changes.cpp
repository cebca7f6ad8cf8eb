#include "proxy/command/check/changes.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace proxy::command {
namespace {

using Kind = Change::Kind;

/// Of a name as RFC 2253 writes it; the whole where it has no common name.
std::string common_name_of(const std::string& subject) {
    constexpr std::string_view label = "CN=";
    std::size_t begin = 0;
    while (begin < subject.size()) {
        std::size_t end = begin;
        std::string value;
        for (; end < subject.size() && subject[end] != ','; ++end) {
            if (subject[end] == '\\' && end + 1 < subject.size()) ++end;
            value += subject[end];
        }
        if (value.starts_with(label)) return value.substr(label.size());
        begin = end + 1;
    }
    return subject;
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

Change change_of(const AddressResult& now, Kind kind, std::string text) {
    return {.kind = kind,
            .upstream = now.upstream,
            .host = now.host,
            .address = now.address,
            .text = std::move(text),
            .ok = now.holds};
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

std::string authority_of(const AddressResult& result) {
    if (!result.anchor.empty()) return common_name_of(result.anchor);
    const auto last =
        std::find_if(result.chain.rbegin(), result.chain.rend(), [](const auto& link) { return link.used; });
    return last == result.chain.rend() ? std::string() : common_name_of(last->certificate.issuer);
}

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
                                        "appeared: " + state + (authority.empty() ? "" : ", " + quoted(authority))));
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
    const std::string authority = authority_of(now);
    const std::string leaf_before = std::exchange(seen.sha256, now.leaf->sha256);
    const std::string before = std::exchange(seen.authority, authority);
    if (leaf_before.empty() || leaf_before == now.leaf->sha256) return;
    const bool moved = before != authority;
    changes.push_back(change_of(
        now, moved ? Kind::moved : Kind::certificate,
        moved ? "moved from " + quoted(before) + " to " + quoted(authority)
              : "another certificate of " + quoted(authority) + ", until " + tls::to_rfc3339(now.leaf->not_after)));
    changes.back().to = authority;
    if (moved) changes.back().from = before;
}

}  // namespace proxy::command
