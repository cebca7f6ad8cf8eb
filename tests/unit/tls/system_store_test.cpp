#include "tls/system_store.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <optional>
#include <set>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"
#include "tls/bundle.hpp"
#include "tls/certificates.hpp"

namespace {

using namespace support;

/// An environment variable for as long as it lives; nullopt: unset.
class Variable {
   public:
    Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
        if (const char* before = ::getenv(name)) before_ = before;
        set(value);
    }
    ~Variable() { set(before_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

   private:
    void set(const std::optional<std::string>& value) {
        value ? ::setenv(name_, value->c_str(), 1) : ::unsetenv(name_);
    }
    const char* name_;
    std::optional<std::string> before_;
};

std::string hash_of(const X509Ptr& certificate) {
    char text[16];
    std::snprintf(text, sizeof text, "%08lx", X509_subject_name_hash(certificate.get()) & 0xffffffffUL);
    return text;
}

bool is_found(const std::vector<tls::PemCertificate>& among, const X509Ptr& certificate) {
    return std::any_of(among.begin(), among.end(), [&](const tls::PemCertificate& one) {
        return X509_cmp(one.certificate.get(), certificate.get()) == 0;
    });
}

/// Whether OpenSSL, asked as libpq asks it, has it among the certificates of its name.
bool openssl_finds(const X509Ptr& certificate) {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_default_verify_paths(context);
    X509_STORE_CTX* const verification = X509_STORE_CTX_new();
    X509_STORE_CTX_init(verification, SSL_CTX_get_cert_store(context), certificate.get(), nullptr);
    STACK_OF(X509)* const found = X509_STORE_CTX_get1_certs(verification, X509_get_subject_name(certificate.get()));
    bool is = false;
    for (int i = 0; i < sk_X509_num(found); ++i) is |= X509_cmp(sk_X509_value(found, i), certificate.get()) == 0;
    sk_X509_pop_free(found, X509_free);
    X509_STORE_CTX_free(verification);
    SSL_CTX_free(context);
    ERR_clear_error();
    return is;
}

}  // namespace

TEST_CASE("system means to us what it means to OpenSSL, by SSL_CERT_FILE and SSL_CERT_DIR") {
    const TemporaryFolder folder;
    const auto made = [](const std::string& name) {
        return certificate_for(new_key(), {.common_name = name, .not_after = "20400101000000Z", .is_ca = true});
    };
    const X509Ptr in_file = made("in file"), in_first = made("in first"), in_second = made("in second"),
                  behind_gap = made("behind gap"), misnamed = made("misnamed");
    for (const char* name : {"one", "two", "none"}) std::filesystem::create_directory(folder.path(name).path);
    const config::File file = folder.write("file.pem", pem(in_file), 0644);
    folder.write("one/" + hash_of(in_first) + ".0", pem(in_first), 0644);
    folder.write("one/plain.pem", pem(made("no hash")), 0644);
    folder.write("two/" + hash_of(in_second) + ".0", pem(made("in second")), 0644);  // same name, another key
    folder.write("two/" + hash_of(in_second) + ".1", pem(in_second), 0644);
    folder.write("two/" + hash_of(behind_gap) + ".1", pem(behind_gap), 0644);
    folder.write("two/deadbeef.0", pem(misnamed), 0644);
    const std::string folders = folder.path("one").path + ":" + folder.path("two").path;
    struct Case {
        std::optional<std::string> file;
        std::optional<std::string> folders;
        std::size_t count;
    };
    for (const Case& one :
         {Case{file.path, folders, 4}, Case{file.path, folder.path("none").path, 1}, Case{"/nonexistent", folders, 3},
          Case{"/nonexistent", folder.path("one").path, 1}, Case{"", "", 0}}) {
        INFO(one.file.value_or("unset") + " " + one.folders.value_or("unset"));
        const Variable first("SSL_CERT_FILE", one.file);
        const Variable second("SSL_CERT_DIR", one.folders);
        const tls::SystemStore store = tls::load_system_store();
        CHECK(store.certificates.size() == one.count);
        CHECK(store.problems.size() == (one.file == file.path ? 0 : 1));
        for (const X509Ptr* certificate : {&in_file, &in_first, &in_second, &behind_gap, &misnamed})
            CHECK(is_found(store.certificates, *certificate) == openssl_finds(*certificate));
        CHECK(tls::system_store_files().size() == (one.file == file.path ? 1U : 0U));
    }
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("SSL_CERT_FILE narrows what is trusted: the system's own file is not read beside it") {
    const TemporaryFolder folder;
    const X509Ptr root = certificate_for(new_key(), {.common_name = "root", .is_ca = true});
    const Variable file("SSL_CERT_FILE", folder.write("file.pem", pem(root), 0644).path);
    const Variable folders("SSL_CERT_DIR", folder.path("none").path);
    CHECK(tls::load_system_store().certificates.size() == 1);
}

TEST_CASE("a system without a trusted certificate is warned of, with the places") {
    const TemporaryFolder folder;
    const Variable file("SSL_CERT_FILE", "/nonexistent/file");
    const Variable folders("SSL_CERT_DIR", "/nonexistent/folder");
    Errors errors, warnings;
    const tls::LoadedBundle loaded = tls::load_anchors({.path = "system", .origin = {}}, errors, warnings);
    CHECK(errors.empty());
    CHECK(loaded.bundle.certificates == 0);
    REQUIRE(warnings.size() == 2);
    CHECK(contains(warnings[0].message,
                   "\"system\" (SSL_CERT_FILE): certificate file \"/nonexistent/file\" cannot be opened"));
    CHECK(contains(warnings[1].message,
                   "the system has no trusted certificate, so that nothing can be verified; "
                   "looked for in /nonexistent/file, /nonexistent/folder"));
}
