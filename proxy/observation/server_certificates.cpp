#include "proxy/observation/server_certificates.hpp"

#include <algorithm>
#include <utility>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

/// Of a key's digest: enough for people to see that two differ. The audit has all of it.
constexpr std::size_t shown_digits = 16;

/// `"CN=Issuing CA" (anchor "CN=Root CA", key 0123456789abcdef)`
std::string authority(const ShownCertificate& shown) {
    std::string text = "\"" + shown.issuer + "\" (";
    if (!shown.anchor.empty()) {
        text += "anchor \"" + shown.anchor + "\"";
        if (!shown.anchor_key_sha256.empty()) text += ", key " + shown.anchor_key_sha256.substr(0, shown_digits);
        return text + ")";
    }
    if (!shown.issuer_key_id.empty()) text += "key identifier " + shown.issuer_key_id.substr(0, shown_digits) + ", ";
    return text + "not verified)";
}

/// Of one leaf: what its own bytes say is the same in any case.
bool is_as_before(const ShownCertificate& before, const tls::ServerTls& now) {
    return before.anchor == now.anchor && before.anchor_key_sha256 == now.anchor_key_sha256;
}

}  // namespace

/// False: it is known, or there is none. What an older inventory has is a name without a key: the
/// first key of that name is taken for the same.
bool ServerCertificates::add_anchor(Known& known, const ShownCertificate& shown) {
    if (shown.anchor.empty()) return false;
    for (Anchor& anchor : known.anchors) {
        if (anchor.name != shown.anchor) continue;
        if (anchor.key_sha256.empty()) anchor.key_sha256 = shown.anchor_key_sha256;
        if (shown.anchor_key_sha256.empty() || anchor.key_sha256 == shown.anchor_key_sha256) return false;
    }
    if (known.anchors.size() >= max_anchors) known.anchors.erase(known.anchors.begin());
    known.anchors.push_back({shown.anchor, shown.anchor_key_sha256});
    return true;
}

std::optional<Event> ServerCertificates::learn(const Event& login) {
    const SessionRecord& record = login.record;
    const tls::ServerTls& tls = record.upstream_tls;
    if (!tls.leaf) return std::nullopt;
    const Key key{record.upstream, record.upstream_addr, tls.leaf->sha256};
    Known* const known = known_.find(key);
    if (known && is_as_before(*known->shown, tls)) return std::nullopt;  // nearly always
    const auto shown = std::make_shared<const ShownCertificate>(shown_certificate(record));
    std::shared_ptr<const ShownCertificate> before;
    if (known) {
        const bool was_verified = !known->anchors.empty();
        const bool is_new = add_anchor(*known, *shown);
        before = known->shown;
        // What verified it is kept where nobody does for a while.
        if (!shown->anchor.empty() || before->anchor.empty()) known->shown = shown;
        // A chain that nobody had verified had no anchor, which is no other one.
        if (!is_new || !was_verified) return std::nullopt;
    } else {
        before = last_of(*shown);
        add_anchor(known_.put(key, {.shown = shown, .anchors = {}}), *shown);
    }
    Event news{.kind = EventKind::upstream_certificate};
    news.record.session = record.session;
    news.record.listener = record.listener;
    news.record.upstream = record.upstream;
    news.record.upstream_addr = record.upstream_addr;
    news.record.upstream_tls = record.upstream_tls;
    news.shown_before = std::move(before);
    return news;
}

/// Of that address, or else of that upstream: whoever fails over meets another address. nullptr:
/// nothing is known of it.
std::shared_ptr<const ShownCertificate> ServerCertificates::last_of(const ShownCertificate& shown) const {
    std::shared_ptr<const ShownCertificate> elsewhere;
    for (const auto& [key, known] : known_) {
        if (known.shown->upstream != shown.upstream) continue;
        if (known.shown->upstream_addr == shown.upstream_addr) return known.shown;
        if (!elsewhere) elsewhere = known.shown;
    }
    return elsewhere;
}

void ServerCertificates::restore(const std::vector<ShownCertificate>& shown) {
    for (const ShownCertificate& one : shown) {
        const Key key{one.upstream, one.upstream_addr, one.sha256};
        if (Known* const known = known_.find(key)) {
            add_anchor(*known, one);
            continue;
        }
        auto kept = std::make_shared<const ShownCertificate>(one);
        add_anchor(known_.put(key, {.shown = std::move(kept), .anchors = {}}), one);
    }
}

std::string certificate_news(const Event& event) {
    const ShownCertificate now = shown_certificate(event.record);
    const auto& leaf = event.record.upstream_tls.leaf;
    const std::string until = leaf ? ", expires " + tls::to_rfc3339(leaf->not_after) : "";
    const ShownCertificate* const before = event.shown_before.get();
    std::string text;
    if (!before) {
        text = "shows \"" + (leaf ? leaf->subject : "?") + "\" of " + authority(now);
    } else if (before->upstream_addr == now.upstream_addr && before->sha256 == now.sha256) {
        text = "its certificate, of before, is verified by another anchor: " + authority(*before) + " is now " +
               authority(now);
    } else if (ca_change(event) == CaChange::other) {
        text = "moved from " + authority(*before) + " to " + authority(now);
    } else if (before->upstream_addr == now.upstream_addr) {
        text = "shows another certificate of the same CA, " + authority(now);
    } else {
        text = "shows \"" + leaf->subject + "\" of the CA that " + before->upstream_addr + " shows, " + authority(now);
    }
    return protocol::printable(text + until);
}

}  // namespace proxy
