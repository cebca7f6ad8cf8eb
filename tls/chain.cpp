#include "tls/chain.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <set>
#include <utility>

#include "tls/certificates.hpp"

namespace tls {
namespace {

std::string at(const PemCertificate& one) {
    return "line " + std::to_string(one.line) + ", " + describe(*one.certificate).subject;
}

bool is_self_signed(X509& certificate) { return X509_self_signed(&certificate, 0) == 1; }

bool has_issued(X509& issuer, X509& subject) {
    return X509_check_issued(&issuer, &subject) == X509_V_OK && X509_verify(&subject, X509_get0_pubkey(&issuer)) == 1;
}

/// Where the issuer's certificate can be had, for those that say so (caIssuers): public authorities
/// do.
std::string issuer_url(const X509& certificate) {
    const Owned<AUTHORITY_INFO_ACCESS> places(
        static_cast<AUTHORITY_INFO_ACCESS*>(X509_get_ext_d2i(&certificate, NID_info_access, nullptr, nullptr)));
    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(places.get()); ++i) {
        const ACCESS_DESCRIPTION& place = *sk_ACCESS_DESCRIPTION_value(places.get(), i);
        if (OBJ_obj2nid(place.method) != NID_ad_ca_issuers || place.location->type != GEN_URI) continue;
        const ASN1_STRING* const url = place.location->d.uniformResourceIdentifier;
        constexpr std::size_t enough = 200;
        std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(url)),
                         std::min(static_cast<std::size_t>(ASN1_STRING_length(url)), enough));
        std::erase_if(text, [](char c) { return c <= ' ' || c >= '\x7f'; });
        return text;
    }
    return {};
}

/// The places in `certificates` of the leaf's issuers, theirs, and so on.
std::vector<std::size_t> path_from(std::size_t leaf, const std::vector<PemCertificate>& certificates) {
    std::vector<std::size_t> path{leaf};
    std::set<std::string> seen{digest(*certificates[leaf].certificate)};
    for (std::size_t i = 0; i < path.size(); ++i) {
        X509& subject = *certificates[path[i]].certificate;
        if (is_self_signed(subject)) continue;
        for (std::size_t other = 0; other < certificates.size(); ++other) {
            X509& issuer = *certificates[other].certificate;
            if (has_issued(issuer, subject) && seen.insert(digest(issuer)).second) path.push_back(other);
        }
    }
    return path;
}

/// Of those that are not sent, and of what their presence says.
void tell_of_others(const std::vector<PemCertificate>& certificates, const std::vector<std::size_t>& path,
                    std::vector<std::string>& findings) {
    X509& last = *certificates[path.back()].certificate;
    const bool ends_open = !is_self_signed(last);
    const std::string missing = describe(last).issuer;
    std::set<std::string> sent;
    for (const std::size_t i : path) sent.insert(digest(*certificates[i].certificate));
    bool has_others = false;
    for (const PemCertificate& one : certificates) {
        if (sent.contains(digest(*one.certificate))) continue;
        has_others = true;
        findings.push_back(at(one) + ": has issued none of the certificates before it, and is not sent");
    }
    if (!ends_open) return;
    if (has_others) {
        findings.push_back("the certificate of " + missing + ", which issued " + describe(last).subject +
                           ", is not in the file: unless clients have it themselves, they refuse the chain");
    } else if (const std::string url = issuer_url(last); path.size() == 1 && !url.empty()) {
        findings.push_back("the intermediate certificate of " + missing +
                           " is missing: clients refuse a leaf alone, unless its issuer is a root that they have. "
                           "Append what is at " +
                           url);
    }
}

}  // namespace

Chain sort_chain(std::vector<PemCertificate> certificates, EVP_PKEY& key) {
    Chain chain;
    const auto own = std::find_if(certificates.begin(), certificates.end(), [&](const PemCertificate& one) {
        return X509_check_private_key(one.certificate.get(), &key) == 1;
    });
    if (own == certificates.end()) {
        ERR_clear_error();
        return chain;
    }
    const std::vector<std::size_t> path = path_from(static_cast<std::size_t>(own - certificates.begin()), certificates);
    if (own != certificates.begin()) {
        chain.findings.push_back("the key is that of " + at(*own) +
                                 ", which is sent first; PostgreSQL and libpq want it to stand first");
    } else if (!std::is_sorted(path.begin(), path.end())) {
        chain.findings.push_back("its certificates are sent in the order of who issued whom, not of the file");
    }
    tell_of_others(certificates, path, chain.findings);
    ERR_clear_error();
    chain.leaf = std::move(certificates[path.front()].certificate);
    for (std::size_t i = 1; i < path.size(); ++i) chain.issuers.push_back(std::move(certificates[path[i]].certificate));
    return chain;
}

}  // namespace tls
