#include "proxy/route/probe_certificates.hpp"

#include <algorithm>

#include "tls/authority.hpp"
#include "tls/issuing.hpp"
#include "tls/own_permissions.hpp"

namespace proxy {
namespace {

using config::ProbeKind;

/// RFC 2606: nobody's, ever.
constexpr const char* nobodys_name = "wrong-name.pgairlock.invalid";

/// Both key types, as for the generated certificate: a client must find one that it understands, or
/// its refusal would not be about trust.
std::vector<tls::KeyPair> leaves(const tls::Authority& authority, const tls::Names& names) {
    std::vector<tls::KeyPair> pairs;
    pairs.push_back(tls::new_leaf(authority, names, tls::LeafKey::ecdsa));
    pairs.push_back(tls::new_leaf(authority, names, tls::LeafKey::rsa));
    return pairs;
}

/// Names that a certificate may hold and ours cannot are left out.
tls::Names same_names(const tls::ListenerContext& real) {
    tls::Names names;
    for (const std::string& name : real.names()) {
        if (auto canonical = tls::canonical_name(name)) names.push_back(std::move(*canonical));
    }
    return tls::completed(std::move(names));
}

std::vector<tls::KeyPair> wrong_name_leaves(const config::Probe& settings, const tls::ListenerContext& real,
                                            const std::string& state_dir, std::vector<config::Diagnostic>& warnings) {
    const std::string dir = settings.ca_dir.empty() ? state_dir + "/tls" : settings.ca_dir;
    if (std::string what = tls::tighten(dir + "/ca.key"); !what.empty())
        warnings.push_back({settings.origin, std::move(what)});
    std::string why;
    try {
        const tls::Authority authority = tls::load_authority(dir);
        if (real.issued_by(*authority.certificate)) return leaves(authority, {nobodys_name});
        why = "the CA of " + dir + " did not issue the listener's certificate";
    } catch (const std::exception& error) {
        why = error.what();
    }
    warnings.push_back({settings.origin, "kind \"wrong-name\" is not available: " + why});
    return {};
}

}  // namespace

ProbeContexts load_probes(const config::Probe& settings, const config::ListenerTls& listener,
                          const tls::ListenerContext& real, const std::string& state_dir,
                          std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings) {
    ProbeContexts contexts;
    for (const ProbeKind kind : settings.kinds) {
        std::vector<tls::KeyPair> pairs;
        switch (kind) {
            case ProbeKind::untrusted: pairs = leaves(tls::new_authority(), same_names(real)); break;
            case ProbeKind::wrong_name: pairs = wrong_name_leaves(settings, real, state_dir, warnings); break;
            case ProbeKind::candidate:
                if (!settings.candidate_cert_file) break;
                pairs.push_back(tls::load_key_pair({.cert_file = settings.candidate_cert_file,
                                                    .key_file = settings.candidate_key_file,
                                                    .ssl_passphrase_command = listener.ssl_passphrase_command,
                                                    .server_names = {}},
                                                   errors, warnings));
                if (!pairs.back().leaf) pairs.clear();
                break;
        }
        if (pairs.empty()) continue;
        contexts[kind] = std::make_unique<const tls::ListenerContext>(
            listener, std::move(pairs), "probe: " + std::string(config::to_string(kind)), errors);
    }
    return contexts;
}

}  // namespace proxy
