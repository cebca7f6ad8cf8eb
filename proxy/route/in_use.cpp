#include "proxy/route/in_use.hpp"

#include <string_view>
#include <utility>

namespace proxy {
namespace {

using tls::Use;

std::string_view use_in_words(Use use) noexcept {
    switch (use) {
        case Use::shown: return "certificate";
        case Use::client_certificate: return "client certificate";
        case Use::intermediate: return "intermediate certificate";
        case Use::client_ca: return "client CA";
        case Use::anchor: return "anchor";
        case Use::candidate: return "candidate anchor";
        case Use::candidate_certificate: return "candidate certificate";
        case Use::server: return "certificate of a server";
        case Use::server_intermediate: return "intermediate certificate of a server";
    }
    return "";
}

/// Of the probes' context, which was loaded as a listener's: its client CAs are the listener's own.
void add_candidate(const ListenerRoute& route, std::vector<InUse>& all) {
    const auto& context = route.probes[config::ProbeKind::candidate];
    if (!context) return;
    for (tls::CertificateInUse& one : context->in_use()) {
        if (one.use == Use::client_ca) continue;
        if (one.use == Use::shown) one.use = Use::candidate_certificate;
        one.file = route.probe.candidate_cert_file.path;
        all.push_back({std::move(one), route.settings.name});
    }
}

}  // namespace

std::vector<InUse> certificates_in_use(const Snapshot& snapshot) {
    std::vector<InUse> all;
    for (const auto& route : snapshot.listeners) {
        if (route->tls) {
            for (tls::CertificateInUse& one : route->tls->in_use())
                all.push_back({std::move(one), route->settings.name});
        }
        add_candidate(*route, all);
    }
    for (const auto& route : snapshot.upstreams) {
        if (!route->tls) continue;
        for (tls::CertificateInUse& one : route->tls->in_use())
            all.push_back({std::move(one), {}, route->settings.name});
    }
    for (const auto& route : snapshot.alerts) {
        if (!route->tls) continue;
        for (tls::CertificateInUse& one : route->tls->in_use())
            all.push_back({std::move(one), {}, {}, route->settings.name});
    }
    return all;
}

std::string user_of(const InUse& one) {
    if (!one.listener.empty()) return "listener " + one.listener;
    if (!one.upstream.empty()) return "upstream " + one.upstream;
    return "alert " + one.alert;
}

bool is_watched(const InUse& one) noexcept { return !tls::is_trusted(one.use) || one.used || one.alone; }

void NeededBefore::take(std::vector<InUse> all) {
    mark(all);
    std::set<Key> needed;
    for (const InUse& one : all) {
        if (tls::is_trusted(one.use) && one.used) needed.insert(key_of(one));
    }
    needed_ = std::move(needed);
}

void NeededBefore::mark(std::vector<InUse>& all) const {
    if (needed_.empty()) return;
    for (InUse& one : all) one.used = one.used || needed_.contains(key_of(one));
}

std::string what_for(const InUse& one) { return std::string(use_in_words(one.use)) + " of " + user_of(one); }

}  // namespace proxy
