#include "tls/bundle.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/file.hpp"
#include "tls/certificates.hpp"
#include "tls/system_store.hpp"

namespace tls {
namespace {

using config::FileKind;
using Diagnostics = std::vector<config::Diagnostic>;

bool has_expired(const X509& certificate) { return X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0; }

bool is_to_come(const X509& certificate) { return X509_cmp_current_time(X509_get0_notBefore(&certificate)) > 0; }

Bundle facts_of(const std::string& path, const std::vector<PemCertificate>& certificates) {
    Bundle bundle{.path = path, .next_expiry = {}, .next_subject = {}};
    std::set<std::string> seen;
    const X509* next = nullptr;
    for (const PemCertificate& one : certificates) {
        if (!seen.insert(digest(*one.certificate)).second) continue;
        const X509& certificate = *one.certificate;
        if (is_to_come(certificate)) ++bundle.not_yet_valid;
        if (has_expired(certificate)) {
            ++bundle.expired;
            continue;
        }
        if (!next || validity_of(certificate).not_after < validity_of(*next).not_after) next = &certificate;
    }
    bundle.certificates = seen.size();
    bundle.repeated = static_cast<unsigned>(certificates.size() - seen.size());
    if (next) {
        bundle.next_expiry = validity_of(*next).not_after;
        bundle.next_subject = describe(*next).subject;
    }
    return bundle;
}

/// Of anchors. Those that are not valid now are used for nothing.
void warn_of_untimely(const LoadedBundle& loaded, const config::Origin& origin, Diagnostics& warnings) {
    const Bundle& bundle = loaded.bundle;
    const bool none_is_left = bundle.expired + bundle.not_yet_valid >= bundle.certificates;
    const auto warn = [&](std::size_t count, const char* what) {
        if (count == 0) return;
        warnings.push_back(
            {origin, std::to_string(count) + " of " + std::to_string(bundle.certificates) + " certificates in " +
                         bundle.path + what + "; " +
                         (none_is_left ? "nothing can be verified with this file" : "the others are used")});
    };
    warn(bundle.expired, " have expired");
    warn(bundle.not_yet_valid, " are not valid yet (see this host's clock)");
}

LoadedBundle load_system(const config::File& file, Diagnostics& warnings) {
    SystemStore store = load_system_store();
    for (const std::string& problem : store.problems) warnings.push_back({file.origin, problem});
    LoadedBundle loaded{.certificates = {}, .bundle = facts_of(file.path, store.certificates)};
    loaded.certificates = std::move(store.certificates);
    if (loaded.certificates.empty()) {
        warnings.push_back({file.origin,
                            "\"system\": the system has no trusted certificate, so that nothing can be "
                            "verified; looked for in " +
                                store.places +
                                " (install ca-certificates, set SSL_CERT_FILE or "
                                "SSL_CERT_DIR, or name a file)"});
    }
    return loaded;
}

/// What is in a file of anchors and serves nobody there.
void warn_of_others(const config::File& file, const PemContents& contents, Diagnostics& warnings) {
    const std::string name = config::quoted(file, FileKind::certificate) + " line ";
    for (const PemBlock& key : contents.keys)
        warnings.push_back({file.origin, name + std::to_string(key.line) +
                                             ": a private key, which does not belong among certificates to trust"});
    for (const PemCrl& crl : contents.crls)
        warnings.push_back({file.origin, name + std::to_string(crl.line) +
                                             ": a CRL is not used from here; give the "
                                             "file as CRL file too"});
}

/// The contents refer to `bytes`.
LoadedBundle parse(const config::File& file, PemContents& contents, protocol::Bytes bytes, Diagnostics& errors,
                   Diagnostics& warnings) {
    const std::string name = config::quoted(file, FileKind::certificate);
    for (const PemFinding& finding : contents.skipped)
        warnings.push_back({file.origin, name + " " + to_string(finding)});
    if (contents.broken) {
        errors.push_back({file.origin, name + " " + to_string(*contents.broken)});
        return {};
    }
    for (const PemBlock& other : contents.others) {
        if (contents.certificates.empty() || !other.label.starts_with("PKCS")) continue;
        warnings.push_back({file.origin, name + " line " + std::to_string(other.line) + ": " + other.label +
                                             " is passed over: convert it with openssl pkcs7 -print_certs"});
    }
    if (contents.certificates.empty()) {
        const bool is_pem = !contents.keys.empty() || !contents.crls.empty() || !contents.others.empty();
        errors.push_back({file.origin, name + " " +
                                           (is_pem ? why_none(contents, file.path, PemWanted::certificate)
                                                   : why_no_pem(bytes, file.path, PemWanted::certificate))});
        return {};
    }
    LoadedBundle loaded{.certificates = {}, .bundle = facts_of(file.path, contents.certificates)};
    loaded.certificates = std::move(contents.certificates);
    return loaded;
}

}  // namespace

std::string to_string(const Bundle& bundle) {
    std::string text = bundle.path + ": " + std::to_string(bundle.certificates) +
                       (bundle.certificates == 1 ? " certificate" : " certificates");
    if (bundle.repeated > 0) text += " (and " + std::to_string(bundle.repeated) + " copies of them)";
    text += ", " + std::to_string(bundle.expired) + " expired";
    if (bundle.not_yet_valid > 0) text += ", " + std::to_string(bundle.not_yet_valid) + " not valid yet";
    if (bundle.next_expiry)
        text += "; the next to expire is " + bundle.next_subject + " on " + to_rfc3339(*bundle.next_expiry);
    return text;
}

LoadedBundle load_bundle(const config::File& file, Diagnostics& errors, Diagnostics& warnings) {
    const auto bytes = config::read_file(file, FileKind::certificate, errors);
    if (!bytes) return {};
    PemContents contents = read_pem(*bytes);
    return parse(file, contents, *bytes, errors, warnings);
}

std::vector<X509Ptr> load_certificates(const config::File& file, Diagnostics& errors, Diagnostics& warnings) {
    std::vector<X509Ptr> certificates;
    for (PemCertificate& one : load_bundle(file, errors, warnings).certificates)
        certificates.push_back(std::move(one.certificate));
    return certificates;
}

LoadedBundle load_anchors(const config::File& file, Diagnostics& errors, Diagnostics& warnings) {
    if (file.path == system_store) return load_system(file, warnings);
    const auto bytes = config::read_file(file, FileKind::certificate, errors);
    if (!bytes) return {};
    PemContents contents = read_pem(*bytes);
    LoadedBundle loaded = parse(file, contents, *bytes, errors, warnings);
    if (!loaded.certificates.empty()) {
        warn_of_others(file, contents, warnings);
        warn_of_untimely(loaded, file.origin, warnings);
    }
    return loaded;
}

std::vector<std::string> ambiguous_names(const std::vector<NamedAnchor>& anchors) {
    std::map<unsigned long, std::vector<const NamedAnchor*>> by_name;
    for (const NamedAnchor& anchor : anchors) {
        if (!has_expired(*anchor.certificate))
            by_name[X509_NAME_hash_ex(X509_get_subject_name(anchor.certificate), nullptr, nullptr, nullptr)].push_back(
                &anchor);
    }
    std::vector<std::string> sentences;
    for (const auto& [name, same_name] : by_name) {
        std::string places;
        for (const NamedAnchor* other : same_name) {
            const bool same_key = EVP_PKEY_eq(X509_get0_pubkey(same_name.front()->certificate),
                                              X509_get0_pubkey(other->certificate)) == 1;
            if (!same_key) places += " and " + other->where;
        }
        if (places.empty()) continue;
        sentences.push_back(describe(*same_name.front()->certificate).subject + " stands with different keys in " +
                            same_name.front()->where + places +
                            ": a certificate that does not name its issuer's key (authority key identifier) is held "
                            "against one of them alone, so that those of the other are refused (certificate signature "
                            "failure)");
    }
    ERR_clear_error();  // keys of different kinds
    return sentences;
}

}  // namespace tls
