#include "tls/revocation.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <new>

#include "config/file.hpp"

namespace tls {
namespace {

struct FreeCrl {
    void operator()(X509_CRL* p) const noexcept { X509_CRL_free(p); }
};
using CrlPtr = std::unique_ptr<X509_CRL, FreeCrl>;

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
    const std::string name = config::quoted(file, config::FileKind::revocation_list);
    const std::string_view bytes = protocol::as_text(*text);
    const BioPtr pem(BIO_new_mem_buf(bytes.empty() ? "" : bytes.data(), static_cast<int>(bytes.size())));
    if (!pem) throw std::bad_alloc();
    int found = 0;
    while (const CrlPtr crl{PEM_read_bio_X509_CRL(pem.get(), nullptr, nullptr, nullptr)}) {
        ++found;
        X509_STORE_add_crl(store, crl.get());
        if (has_expired(*crl)) {
            warnings.push_back({file.origin, name + ": the CRL of " + issuer_of(*crl) +
                                                 " has expired: every certificate of that CA is refused"});
        }
    }
    // What ends the loop is the end of the file, or something in it that is broken.
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (!at_end) errors.push_back({file.origin, name + ": CRL number " + std::to_string(found + 1) + " is broken"});
    if (at_end && found == 0)
        errors.push_back({file.origin, name + " holds no CRL in PEM format (-----BEGIN X509 CRL-----); convert a DER "
                                              "file with openssl crl"});
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

}  // namespace tls
