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

/// Of one leaf: what its own bytes say is the same in any case. Where nobody verifies it, what
/// verified it last holds.
bool is_as_before(const ShownCertificate& before, const tls::ServerTls& now) {
    return now.anchor.empty() || (before.anchor == now.anchor && before.anchor_key_sha256 == now.anchor_key_sha256);
}

bool is_of_other_ca(const ShownCertificate& before, const ShownCertificate& now) {
    return is_other_ca({before.issuer, before.issuer_key_id, before.anchor, before.anchor_key_sha256},
                       {now.issuer, now.issuer_key_id, now.anchor, now.anchor_key_sha256});
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

std::optional<CertificateNews> ServerCertificates::learn(const Event& login, Clock::time_point now) {
    const SessionRecord& record = login.record;
    const tls::ServerTls& tls = record.upstream_tls;
    if (!tls.leaf) return std::nullopt;
    const PlaceKey where{record.upstream, record.upstream_addr};
    const Key key{record.upstream, record.upstream_addr, tls.leaf->sha256};
    Place* place = places_.find(where);
    Known* known = find(key, place);
    if (known && is_as_before(*known->shown, tls)) return met_again(login, place, *known, now);  // nearly always
    const auto shown = std::make_shared<const ShownCertificate>(shown_certificate(record));
    bool is_back = false;
    Shown before;
    if (known) {
        const bool was_verified = !known->anchors.empty();
        const bool is_new = add_anchor(*known, *shown);
        before = std::exchange(known->shown, shown);
        // A chain that nobody had verified had no anchor, which is no other one.
        if (!is_new || !was_verified) return met_again(login, place, *known, now);
        is_back = place && place->last->sha256 != shown->sha256;
        if (is_back) before = place->last;
    } else {
        // Of that address, or else of that upstream: whoever fails over meets another address.
        const Shown* const elsewhere = upstreams_.find(record.upstream);
        if (place || elsewhere) before = place ? place->last : *elsewhere;
        known = &known_.put(key, {.shown = shown, .anchors = {}, .is_told = false});
        add_anchor(*known, *shown);
    }
    upstreams_.put(record.upstream, shown);
    if (!place) place = &places_.put(where, {.last = shown, .told = shown});
    place->last = shown;
    if (!may_tell(*place, is_back, now)) {
        ++place->untold;
        // Of another CA, it is told when that can be.
        if (!is_of_other_ca(*place->told, *shown)) place->told = shown;
        return std::nullopt;
    }
    known->is_told = true;
    return news_of(login, *place, std::move(before), is_back);
}

/// A certificate that is known, and verified as it was before. It is news where people take the
/// server to be at another CA.
std::optional<CertificateNews> ServerCertificates::met_again(const Event& login, Place* place, Known& known,
                                                             Clock::time_point now) {
    const SessionRecord& record = login.record;
    const Shown& shown = known.shown;
    upstreams_.put(record.upstream, shown);
    if (!place) {
        places_.put({record.upstream, record.upstream_addr}, {.last = shown, .told = shown});
        return std::nullopt;
    }
    const Shown last = std::exchange(place->last, shown);
    const bool has_moved = last->sha256 != shown->sha256 && is_of_other_ca(*last, *shown);
    // The same one as it was told of: chains that are cross-signed are verified by this authority
    // today and by that one tomorrow.
    if (place->told->sha256 == shown->sha256 || !is_of_other_ca(*place->told, *shown)) {
        place->told = shown;
        if (has_moved) ++place->untold;
        return std::nullopt;
    }
    if (!may_tell(*place, true, now)) {
        if (has_moved) ++place->untold;
        return std::nullopt;
    }
    if (!has_moved && place->untold > 0) --place->untold;  // it was counted when it came, and is told now
    return news_of(login, *place, place->told, std::exchange(known.is_told, true));
}

/// False: it is too much for people.
bool ServerCertificates::may_tell(Place& place, bool is_back, Clock::time_point now) {
    if (now >= place.fresh_at) {
        place.fresh_at = now + news_interval;
        place.news = 0;
    }
    if (place.news >= max_news || (is_back && now < place.back_at)) return false;
    ++place.news;
    if (is_back) place.back_at = now + news_interval;
    return true;
}

CertificateNews ServerCertificates::news_of(const Event& login, Place& place, Shown before, bool is_back) {
    const SessionRecord& record = login.record;
    CertificateNews news{.event = {.kind = EventKind::upstream_certificate}, .is_back = is_back};
    news.event.record.session = record.session;
    news.event.record.listener = record.listener;
    news.event.record.upstream = record.upstream;
    news.event.record.upstream_addr = record.upstream_addr;
    news.event.record.upstream_tls = record.upstream_tls;
    news.event.shown_before = std::move(before);
    news.event.count = std::exchange(place.untold, 0);
    place.told = place.last;
    return news;
}

/// What its address showed last is known, also where others have shown so many that it had to go.
ServerCertificates::Known* ServerCertificates::find(const Key& key, const Place* place) {
    if (Known* const known = known_.find(key)) return known;
    if (!place || place->last->sha256 != std::get<2>(key)) return nullptr;
    Known& known = known_.put(key, {.shown = place->last, .anchors = {}, .is_told = true});
    add_anchor(known, *place->last);
    return &known;
}

void ServerCertificates::restore(const std::vector<ShownCertificate>& shown) {
    for (auto one = shown.rbegin(); one != shown.rend(); ++one) {
        const auto kept = std::make_shared<const ShownCertificate>(*one);
        const Key key{one->upstream, one->upstream_addr, one->sha256};
        if (Known* const known = known_.put_oldest(key, {.shown = kept, .anchors = {}, .is_told = true}))
            add_anchor(*known, *one);
        places_.put_oldest({one->upstream, one->upstream_addr}, {.last = kept, .told = kept});
        upstreams_.put_oldest(one->upstream, kept);
    }
}

std::string certificate_news(const CertificateNews& news) {
    const Event& event = news.event;
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
        text = (news.is_back ? "moved back from " : "moved from ") + authority(*before) + " to " + authority(now);
    } else if (before->upstream_addr == now.upstream_addr) {
        const bool is_same = ca_change(event) == CaChange::same;
        text = std::string("shows another certificate of the same CA, ") + (is_same ? "" : "as far as is known: ") +
               authority(now);
    } else {
        text = "shows \"" + leaf->subject + "\" of the CA that " + before->upstream_addr + " shows, " + authority(now);
    }
    text += until;
    if (event.count > 0) text += "; changes before that were too many to be told: " + std::to_string(event.count);
    return protocol::printable(text);
}

}  // namespace proxy
