// Certificates and keys made within a test, and files of them. For Catch2 tests.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "support/catch.hpp"
#include "tls/owned.hpp"

namespace support {

using namespace std::string_literals;
using tls::BioPtr;
using tls::KeyPtr;
using tls::X509Ptr;
using Errors = std::vector<config::Diagnostic>;

/// A folder that is gone after the test.
class TemporaryFolder {
   public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "pgairlock-certificates-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    config::File path(const std::string& name) const {
        return {.path = (path_ / name).string(), .origin = {.file = "test.toml", .line = 7, .column = 3, .key = name}};
    }
    config::File write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        const config::File file = path(name);
        std::ofstream(file.path, std::ios::binary) << text;
        REQUIRE(::chmod(file.path.c_str(), mode) == 0);
        return file;
    }

   private:
    std::filesystem::path path_;
};

inline std::string pem_of(const std::function<int(BIO*)>& write) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    REQUIRE(write(bio.get()) > 0);  // 1, or, for PEM_write_bio, bytes
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}
inline std::string pem(const X509Ptr& certificate) {
    return pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
}
inline std::string pem(const KeyPtr& key) {
    return pem_of(
        [&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}
inline std::string pem_trusted(const X509Ptr& certificate) {
    return pem_of([&](BIO* bio) { return PEM_write_bio_X509_AUX(bio, certificate.get()); });
}
inline KeyPtr new_key() { return KeyPtr(EVP_EC_gen("P-256")); }

struct Spec {
    std::string common_name = "server";
    int name_type = V_ASN1_UTF8STRING;
    std::vector<std::pair<int, std::string>> sans = {};  ///< GEN_..., bytes
    const char* not_before = "260102030405Z";
    const char* not_after = "20300101000000Z";
    bool is_ca = false;
    std::string issuer_url = {};  ///< caIssuers
};

inline void add_names(X509* certificate, const Spec& spec) {
    GENERAL_NAMES* names = GENERAL_NAMES_new();
    for (const auto& [type, bytes] : spec.sans) {
        GENERAL_NAME* name = GENERAL_NAME_new();
        ASN1_STRING* text = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
        ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size()));
        GENERAL_NAME_set0_value(name, type, text);
        sk_GENERAL_NAME_push(names, name);
    }
    REQUIRE(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1);
    GENERAL_NAMES_free(names);
}

inline void add_extension(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    const tls::Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    REQUIRE(extension);
    X509_add_ext(certificate, extension.get(), -1);
}

/// Whoever signs: a certificate and its key.
struct Issuer {
    const X509Ptr& certificate;
    const KeyPtr& key;
};

/// Self-signed without an issuer. Written with the raw interfaces, so that also what no honest
/// authority issues can be made.
inline X509Ptr certificate_for(const KeyPtr& key, const Spec& spec = {}, const Issuer* issuer = nullptr) {
    X509Ptr certificate(X509_new());
    X509* const raw = certificate.get();
    X509_set_version(raw, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(raw), 0x0abcdef123456789);
    REQUIRE(ASN1_TIME_set_string_X509(X509_getm_notBefore(raw), spec.not_before) == 1);
    REQUIRE(ASN1_TIME_set_string(X509_getm_notAfter(raw), spec.not_after) == 1);
    X509_NAME* const name = X509_get_subject_name(raw);
    const auto* text = reinterpret_cast<const unsigned char*>(spec.common_name.data());
    REQUIRE(X509_NAME_add_entry_by_txt(name, "CN", spec.name_type, text, static_cast<int>(spec.common_name.size()), -1,
                                       0) == 1);
    X509_set_issuer_name(raw, issuer ? X509_get_subject_name(issuer->certificate.get()) : name);
    X509_set_pubkey(raw, key.get());
    if (!spec.sans.empty()) add_names(raw, spec);
    if (spec.is_ca) add_extension(raw, NID_basic_constraints, "critical,CA:TRUE");
    if (!spec.issuer_url.empty()) add_extension(raw, NID_info_access, "caIssuers;URI:" + spec.issuer_url);
    EVP_PKEY* const signing = issuer ? issuer->key.get() : key.get();
    const EVP_MD* digest = EVP_PKEY_is_a(signing, "ED25519") == 1 ? nullptr : EVP_sha256();
    REQUIRE(X509_sign(raw, signing, digest) > 0);
    return certificate;
}

inline std::string content_of(const config::File& file) {
    std::ifstream stream(file.path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace support
