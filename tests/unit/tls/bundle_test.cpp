#include "tls/bundle.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"
#include "tls/certificates.hpp"
#include "tls/revocation.hpp"

namespace {

using namespace support;

struct Loaded {
    tls::LoadedBundle file;
    Errors errors;
    Errors warnings;
    std::string said() const {
        std::string text;
        for (const auto& error : errors) text += "error: " + error.message + "|";
        for (const auto& warning : warnings) text += warning.message + "|";
        return text;
    }
};

Loaded load(const config::File& file) {
    Loaded loaded;
    loaded.file = tls::load_anchors(file, loaded.errors, loaded.warnings);
    return loaded;
}

X509Ptr root(const std::string& name, const char* not_after = "20400101000000Z", const KeyPtr& key = new_key()) {
    return certificate_for(key, {.common_name = name, .not_after = not_after, .is_ca = true});
}

}  // namespace

TEST_CASE("of a file it is told how many certificates, how many have expired, and which is next") {
    const TemporaryFolder folder;
    const std::string late = pem(root("late", "20410101000000Z"));
    const std::string text = late + pem(root("gone", "20260103000000Z")) + pem(root("next", "20400101000000Z")) + late;
    const config::File file = folder.write("ca.pem", text, 0644);
    const Loaded loaded = load(file);
    CHECK(to_string(loaded.file.bundle) ==
          file.path +
              ": 3 certificates (and 1 copies of them), 1 expired; the next to expire is CN=next on "
              "2040-01-01T00:00:00Z");
    CHECK(loaded.said() == "1 of 3 certificates in " + file.path + " have expired; the others are used|");
    const config::File old = folder.write("old.pem", pem(root("gone", "20260103000000Z")), 0644);
    CHECK(to_string(load(old).file.bundle) == old.path + ": 1 certificate, 1 expired");
    CHECK(load(old).said() ==
          "1 of 1 certificates in " + old.path + " have expired; nothing can be verified with this file|");
}

TEST_CASE("certificates that are not valid yet are counted, and serve for nothing") {
    const TemporaryFolder folder;
    const auto to_come = certificate_for(
        new_key(),
        {.common_name = "to come", .not_before = "400101000000Z", .not_after = "20410101000000Z", .is_ca = true});
    const config::File file = folder.write("ca.pem", pem(root("now")) + pem(to_come), 0644);
    CHECK(to_string(load(file).file.bundle) ==
          file.path +
              ": 2 certificates, 0 expired, 1 not valid yet; the next to expire is CN=now on 2040-01-01T00:00:00Z");
    CHECK(load(file).said() ==
          "1 of 2 certificates in " + file.path + " are not valid yet (see this host's clock); the others are used|");
    const config::File none = folder.write("none.pem", pem(root("gone", "20260103000000Z")) + pem(to_come), 0644);
    CHECK(contains(load(none).said(), "have expired; nothing can be verified with this file|"));
    CHECK(contains(load(none).said(), "(see this host's clock); nothing can be verified with this file|"));
}

TEST_CASE("what is passed over in a file of anchors is a warning with its line") {
    const TemporaryFolder folder;
    const config::File file = folder.write("ca.pem", pem(root("one")) + " " + pem(root("two")), 0644);
    const Loaded loaded = load(file);
    CHECK(loaded.file.certificates.size() == 1);
    CHECK(contains(loaded.said(), "certificate file \"" + file.path + "\" line "));
    CHECK(contains(loaded.said(), ": is passed over: the line is indented|"));
    const Loaded with_key = load(folder.write("key.pem", pem(root("one")) + pem(new_key()), 0644));
    CHECK(with_key.file.certificates.size() == 1);
    CHECK(contains(with_key.said(), ": a private key, which does not belong among certificates to trust|"));
}

TEST_CASE("a file that holds something else says what") {
    const TemporaryFolder folder;
    CHECK(contains(load(folder.write("key", pem(new_key()))).said(), "-----), but a private key|"));
    PKCS7* const raw = PKCS7_new();
    PKCS7_set_type(raw, NID_pkcs7_signed);
    PKCS7_content_new(raw, NID_pkcs7_data);
    PKCS7_add_certificate(raw, root("one").get());
    const tls::Owned<PKCS7> pkcs7(raw);
    const config::File p7b = folder.write("p7b", pem_of([&](BIO* bio) { return PEM_write_bio_PKCS7(bio, raw); }));
    CHECK(contains(load(p7b).said(), "it is PKCS #7; convert it with openssl pkcs7 -print_certs -in '" + p7b.path +
                                         "' -out '" + p7b.path + ".pem'"));
    const config::File der = folder.write("der", pem_of([&](BIO* bio) { return i2d_PKCS7_bio(bio, raw); }));
    CHECK(contains(load(der).said(),
                   "it is PKCS #7 in DER form: convert it with openssl pkcs7 -inform DER "
                   "-print_certs -in '" +
                       der.path));
    const config::File behind = folder.write("behind", pem(root("two")) + support::content_of(p7b), 0644);
    CHECK(contains(load(behind).said(), ": PKCS7 is passed over: convert it with openssl pkcs7 -print_certs|"));
}

TEST_CASE("two anchors of one name with different keys are warned of, unless one has expired") {
    const KeyPtr key = new_key();
    const auto sentences = [](const std::vector<X509Ptr>& anchors) {
        std::vector<tls::NamedAnchor> named;
        for (const X509Ptr& one : anchors)
            named.push_back({one.get(), "ca.pem line " + std::to_string(1 + 10 * named.size())});
        return tls::ambiguous_names(named);
    };
    std::vector<X509Ptr> anchors;
    anchors.push_back(root("same"));
    anchors.push_back(root("other"));
    anchors.push_back(root("same"));
    anchors.push_back(root("same"));
    const auto warned = sentences(anchors);
    REQUIRE(warned.size() == 1);
    CHECK(contains(warned[0],
                   "CN=same stands with different keys in ca.pem line 1 and ca.pem line 21 and ca.pem line 31:"));
    CHECK(contains(warned[0], "authority key identifier"));
    std::vector<X509Ptr> renewed;  // the key stays
    renewed.push_back(root("same", "20300101000000Z", key));
    renewed.push_back(root("same", "20400101000000Z", key));
    renewed.push_back(root("same", "20260103000000Z"));
    CHECK(sentences(renewed).empty());
}

TEST_CASE("a file of CRLs is read in the same way") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    const X509Ptr ca = root("ca", "20400101000000Z", key);
    const tls::CrlPtr crl(X509_CRL_new());
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(ca.get()));
    X509_CRL_set1_lastUpdate(crl.get(), X509_get0_notBefore(ca.get()));
    X509_CRL_set1_nextUpdate(crl.get(), X509_get0_notAfter(ca.get()));
    REQUIRE(X509_CRL_sign(crl.get(), key.get(), EVP_sha256()) > 0);
    const std::string text = pem_of([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, crl.get()); });
    const auto said = [&](const std::string& content) {
        const tls::StorePtr store(X509_STORE_new());
        Errors errors, warnings;
        tls::add_revocations(store.get(), folder.write("crl", content, 0644), errors, warnings);
        std::string all;
        for (const auto& error : errors) all += "error: " + error.message + "|";
        for (const auto& warning : warnings) all += warning.message + "|";
        CHECK(ERR_peek_error() == 0);
        return all;
    };
    CHECK(said(text).empty());
    CHECK(said("# comment\r\n" + text + text).empty());
    CHECK(contains(said(text + " " + text), ": is passed over: the line is indented|"));
    CHECK(contains(said(text + pem(ca)), ": certificates are not trusted from here"));
    CHECK(contains(said(pem(ca)), "error: CRL file \"" + folder.path("crl").path +
                                      "\" holds no CRL in PEM format (-----BEGIN X509 CRL-----), but 1 certificates|"));
    CHECK(contains(said(text.substr(0, 100)), "error: CRL file \"" + folder.path("crl").path +
                                                  "\" line 1: the file ends within it: it was cut off|"));
    CHECK(contains(said(pem_of([&](BIO* bio) { return i2d_X509_CRL_bio(bio, crl.get()); })),
                   "it is a CRL in DER form: convert it with openssl crl -inform DER -in '"));
    CHECK(contains(load(folder.write("both", pem(ca) + text, 0644)).said(), ": a CRL is not used from here"));
}
