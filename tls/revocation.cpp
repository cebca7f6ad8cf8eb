#include "tls/revocation.hpp"

#include <openssl/err.h>

#include <new>

#include "config/file.hpp"
#include "tls/pem.hpp"

namespace tls {
namespace {

std::string issuer_of(const X509_CRL& crl) {
    const BioPtr text(BIO_new(BIO_s_mem()));
    if (!text) throw std::bad_alloc();
    X509_NAME_print_ex(text.get(), X509_CRL_get_issuer(&crl), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

bool has_expired(const X509_CRL& crl) {
    const ASN1_TIME* const next = X509_CRL_get0_nextUpdate(&crl);
    return next && X509_cmp_current_time(next) < 0;
}

}  // namespace

void add_revocations(X509_STORE* store, const config::File& file, std::vector<config::Diagnostic>& errors,
                     std::vector<config::Diagnostic>& warnings) {
    if (!file) return;
    const auto text = config::read_file(file, config::FileKind::revocation_list, errors);
    if (!text) return;
    const std::string name = config::quoted(file, config::FileKind::revocation_list) + " ";
    const PemContents contents = read_pem(*text);
    for (const PemFinding& finding : contents.skipped) warnings.push_back({file.origin, name + to_string(finding)});
    for (const PemCrl& one : contents.crls) {
        X509_STORE_add_crl(store, one.crl.get());
        if (has_expired(*one.crl)) {
            warnings.push_back({file.origin, name + "line " + std::to_string(one.line) + ": the CRL of " +
                                                 issuer_of(*one.crl) +
                                                 " has expired: every certificate of that CA is refused"});
        }
    }
    if (contents.broken) {
        errors.push_back({file.origin, name + to_string(*contents.broken)});
    } else if (contents.crls.empty()) {
        const bool is_pem = !contents.certificates.empty() || !contents.keys.empty() || !contents.others.empty();
        errors.push_back({file.origin, name + (is_pem ? why_none(contents, file.path, PemWanted::revocation_list)
                                                      : why_no_pem(*text, file.path, PemWanted::revocation_list))});
    } else if (!contents.certificates.empty()) {
        // libpq would trust them.
        warnings.push_back({file.origin, name + "line " + std::to_string(contents.certificates.front().line) +
                                             ": certificates are not trusted from here, only from files of "
                                             "certificates"});
    }
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

}  // namespace tls
