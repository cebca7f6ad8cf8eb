// Files of certificates, keys and CRLs with any contents: read as OpenSSL reads them for libpq,
// with findings that point into the file.
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tls/pem.hpp"

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

int no_pass_phrase(char*, int, int, void*) { return -1; }

struct Counts {
    int certificates = 0;
    int crls = 0;
    bool refused = false;
};

/// As X509_load_cert_crl_file does it.
Counts read_by_openssl(protocol::Bytes file) {
    Counts counts;
    const tls::BioPtr bio(file.empty() ? BIO_new(BIO_s_mem())
                                       : BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
    STACK_OF(X509_INFO)* const all = PEM_X509_INFO_read_bio(bio.get(), nullptr, no_pass_phrase, nullptr);
    counts.refused = all == nullptr;
    for (int i = 0; i < sk_X509_INFO_num(all); ++i) {
        const X509_INFO* const one = sk_X509_INFO_value(all, i);
        if (one->x509) ++counts.certificates;
        if (one->crl) ++counts.crls;
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    ERR_clear_error();
    return counts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const protocol::Bytes file{data, size};
    const auto lines = std::count(data, data + size, '\n') + 1;
    const tls::PemBlocks blocks = tls::divide(file);
    const std::uint8_t* behind = data;
    int last = 0;
    for (const tls::PemBlock& block : blocks.blocks) {
        check(block.line >= last && block.line >= 1 && block.line <= lines);
        check(block.text.data() >= behind && block.text.data() + block.text.size() <= data + size);
        behind = block.text.data() + block.text.size();
        last = block.line;
    }
    last = 0;
    for (const tls::PemFinding& finding : blocks.skipped) {
        check(finding.line >= std::max(last, 1) && finding.line <= lines && !finding.what.empty());
        last = finding.line;
    }
    const tls::PemContents contents = tls::read_pem(file);
    check(ERR_peek_error() == 0);
    if (contents.broken) check(contents.broken->line >= 1 && contents.broken->line <= lines);
    const Counts expected = read_by_openssl(file);
    if (!expected.refused) {
        check(!contents.broken);
        check(contents.certificates.size() == static_cast<std::size_t>(expected.certificates));
        check(contents.crls.size() == static_cast<std::size_t>(expected.crls));
    } else {
        check(contents.broken || !contents.keys.empty());  // OpenSSL opens keys there too
    }
    for (const tls::PemBlock& key : contents.keys) {
        if (tls::is_encrypted(key)) continue;  // its iterations are the writer's choice
        std::string why;
        check(tls::open_key(key, {}, why) != nullptr || !why.empty());
    }
    // One of them: OpenSSL takes its time to find that something is no key.
    const auto wanted = static_cast<tls::PemWanted>(size % 3);
    check(!tls::why_none(contents, "file", wanted).empty());
    if (blocks.blocks.empty()) check(!tls::why_no_pem(file, "file", wanted).empty());
    check(ERR_peek_error() == 0);
    return 0;
}
