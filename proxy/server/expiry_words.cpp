#include "proxy/server/expiry_words.hpp"

#include <memory>
#include <string_view>

#include "protocol/utf8.hpp"

namespace proxy {
namespace {

using tls::Use;

std::string_view phrase(Use use) noexcept {
    switch (use) {
        case Use::shown: return "a certificate that clients are shown";
        case Use::client_certificate: return "the client certificate that servers are shown";
        case Use::intermediate: return "a certificate that is sent behind our own";
        case Use::client_ca: return "a CA of clients' certificates";
        case Use::anchor: return "a trust anchor";
        case Use::candidate: return "a trust anchor of the candidate";
        case Use::candidate_certificate: return "the candidate certificate of probes";
        case Use::server: return "the certificate of a server";
        case Use::server_intermediate: return "a certificate behind that of a server";
    }
    return "";
}

std::string_view in_a_bundle(Use use) noexcept {
    if (use == Use::client_ca) return "CAs of clients' certificates";
    return use == Use::candidate ? "trust anchors of the candidate" : "trust anchors";
}

/// "upstream \"orders\"".
std::string quoted_user(const InUse& one) {
    const std::string user = user_of(one);
    const auto blank = user.find(' ');
    return protocol::printable(user.substr(0, blank) + " \"" + user.substr(blank + 1) + "\"");
}

}  // namespace

tls::Validity validity_of(const InUse& one) { return {one.certificate->not_before, one.certificate->not_after}; }

std::string name_of(const InUse& one) {
    return protocol::printable(std::string(tls::label(one.use)) + " " + user_of(one) + " " + one.certificate->sha256);
}

Event event_of(const InUse& one, ExpiryMoment moment, WallTime now) {
    Event event{.kind = EventKind::certificate_expiring,
                .message = std::string(phrase(one.use)) + " " + expiry_text(validity_of(one), now)};
    event.record.listener = one.listener;
    event.record.upstream = one.upstream;
    event.record.upstream_addr = one.upstream_addr;
    event.record.upstream_tls.leaf = one.certificate;
    event.expiry = std::make_shared<const ExpiryNote>(
        ExpiryNote{.use = one.use,
                   .what = what_for(one),
                   .file = one.file,
                   .alert = one.alert,
                   .moment = label(moment),
                   .days_left = std::chrono::floor<std::chrono::days>(one.certificate->not_after - now).count()});
    return event;
}

void add_left_out(Event& event) {
    if (event.count > 0)
        event.message += "; others that this server has shown were too many to be told: " + std::to_string(event.count);
}

std::string line_of(const InUse& one, const std::string& message) {
    const std::string& where = one.upstream_addr.empty() ? one.file : one.upstream_addr;
    return quoted_user(one) + ": " + one.certificate->subject + " (" + protocol::printable(where) + "): " + message;
}

std::map<std::string, NearEnds> near_ends_of_others(const std::vector<InUse>& all, WallTime now,
                                                    std::chrono::milliseconds warning) {
    std::map<std::string, NearEnds> counted;
    for (const InUse& one : all) {
        if (is_watched(one)) continue;
        const ExpiryMoment moment = moment_of(validity_of(one), now, warning);
        if (moment == ExpiryMoment::none || moment == ExpiryMoment::not_yet_valid) continue;
        NearEnds& ends = counted[quoted_user(one) + ": of the " + std::string(in_a_bundle(one.use)) + " in " +
                                 protocol::printable(one.file)];
        ++(moment == ExpiryMoment::ended ? ends.ended : ends.near);
    }
    return counted;
}

std::string line_of(const std::string& which, const NearEnds& ends) {
    return which + " that no connection has needed so far, " + std::to_string(ends.ended) + " have ended and " +
           std::to_string(ends.near) + " end soon";
}

}  // namespace proxy
