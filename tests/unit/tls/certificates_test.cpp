#include "tls/certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "support/catch.hpp"

namespace {

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

std::string pem_of(const std::function<int(BIO*)>& write) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    REQUIRE(write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}
std::string pem(const X509Ptr& certificate) {
    return pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
}
std::string pem(const KeyPtr& key) {
    return pem_of(
        [&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}
KeyPtr new_key() { return KeyPtr(EVP_EC_gen("P-256")); }

struct Spec {
    std::string common_name = "server";
    int name_type = V_ASN1_UTF8STRING;
    std::vector<std::pair<int, std::string>> sans = {};  ///< GEN_..., bytes
    const char* not_after = "20300101000000Z";
};

void add_names(X509* certificate, const Spec& spec) {
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

/// Self-signed. Written with the raw interfaces, so that also what no honest authority issues can
/// be made.
X509Ptr certificate_for(const KeyPtr& key, const Spec& spec = {}) {
    X509Ptr certificate(X509_new());
    X509* const raw = certificate.get();
    X509_set_version(raw, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(raw), 0x0abcdef123456789);
    REQUIRE(ASN1_TIME_set_string_X509(X509_getm_notBefore(raw), "20260102030405Z"s.substr(2).c_str()) == 1);
    REQUIRE(ASN1_TIME_set_string(X509_getm_notAfter(raw), spec.not_after) == 1);
    X509_NAME* const name = X509_get_subject_name(raw);
    const auto* text = reinterpret_cast<const unsigned char*>(spec.common_name.data());
    REQUIRE(X509_NAME_add_entry_by_txt(name, "CN", spec.name_type, text, static_cast<int>(spec.common_name.size()), -1,
                                       0) == 1);
    X509_set_issuer_name(raw, name);
    X509_set_pubkey(raw, key.get());
    if (!spec.sans.empty()) add_names(raw, spec);
    const EVP_MD* digest = EVP_PKEY_is_a(key.get(), "ED25519") == 1 ? nullptr : EVP_sha256();
    REQUIRE(X509_sign(raw, key.get(), digest) > 0);
    return certificate;
}

tls::CertificateFacts facts(const Spec& spec) { return tls::describe(*certificate_for(new_key(), spec)); }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The single error of loading a key with a certificate that is good.
std::string key_error(const TemporaryFolder& folder, const config::File& key_file) {
    const config::File cert_file = folder.write("good.crt", pem(certificate_for(new_key())), 0644);
    Errors errors;
    const tls::KeyPair pair = tls::load_key_pair(cert_file, key_file, errors);
    CHECK(!pair.leaf);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].origin.key == key_file.origin.key);
    CHECK(errors[0].origin.line == 7);
    CHECK(ERR_peek_error() == 0);
    return errors[0].message;
}

std::string certificate_error(const config::File& file) {
    Errors errors;
    CHECK(tls::load_certificates(file, errors).empty());
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].origin.key == file.origin.key);
    CHECK(contains(errors[0].message, file.path));
    CHECK(ERR_peek_error() == 0);
    return errors[0].message;
}

}  // namespace

TEST_CASE("a certificate is loaded with its key and its issuers in order") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    const std::string chain = pem(certificate_for(key, {.common_name = "leaf"})) +
                              pem(certificate_for(new_key(), {.common_name = "intermediate"})) +
                              pem(certificate_for(new_key(), {.common_name = "root"}));
    Errors errors;
    const tls::KeyPair pair =
        tls::load_key_pair(folder.write("crt", chain, 0644), folder.write("key", pem(key)), errors);
    REQUIRE(errors.empty());
    REQUIRE(pair.leaf);
    CHECK(tls::describe(*pair.leaf).subject == "CN=leaf");
    REQUIRE(pair.chain.size() == 2);
    CHECK(tls::describe(*pair.chain[0]).subject == "CN=intermediate");
    CHECK(tls::describe(*pair.chain[1]).subject == "CN=root");
    CHECK(X509_check_private_key(pair.leaf.get(), pair.key.get()) == 1);
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("keys of every common kind are loaded") {
    const TemporaryFolder folder;
    KeyPtr key;
    std::string text;
    SECTION("RSA") { text = pem(key = KeyPtr(EVP_RSA_gen(2048))); }
    SECTION("RSA in its traditional form") {
        key = KeyPtr(EVP_RSA_gen(2048));
        text = pem_of([&](BIO* bio) {
            return PEM_write_bio_PrivateKey_traditional(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
        CHECK(contains(text, "BEGIN RSA PRIVATE KEY"));
    }
    SECTION("Ed25519") { text = pem(key = KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"))); }
    SECTION("EC as openssl ecparam -genkey writes it, parameters first") {
        key = new_key();
        text = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + pem_of([&](BIO* bio) {
                   return PEM_write_bio_PrivateKey_traditional(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
               });
    }
    SECTION("with the certificate in the same file") {
        key = new_key();
        text = pem(certificate_for(key)) + pem(key);
    }
    Errors errors;
    const auto cert_file = folder.write("crt", pem(certificate_for(key)), 0644);
    const tls::KeyPair pair = tls::load_key_pair(cert_file, folder.write("key", text), errors);
    CHECK(errors.empty());
    CHECK(pair.leaf);
}

TEST_CASE("a key that does not match is refused with both files named") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    const auto key_file = folder.write("key", pem(key));
    Errors errors;
    SECTION("a stranger's") {
        const auto cert_file = folder.write("crt", pem(certificate_for(new_key())), 0644);
        CHECK(!tls::load_key_pair(cert_file, key_file, errors).leaf);
        REQUIRE(errors.size() == 1);
        CHECK(contains(errors[0].message, key_file.path));
        CHECK(contains(errors[0].message, cert_file.path));
    }
    SECTION("the certificate's, but it is not the first") {
        const auto cert_file = folder.write("crt", pem(certificate_for(new_key())) + pem(certificate_for(key)), 0644);
        CHECK(!tls::load_key_pair(cert_file, key_file, errors).leaf);
        REQUIRE(errors.size() == 1);
        CHECK(contains(errors[0].message, "key of certificate 2"));
    }
    SECTION("of another algorithm") {
        const auto cert_file = folder.write("crt", pem(certificate_for(KeyPtr(EVP_RSA_gen(2048)))), 0644);
        CHECK(!tls::load_key_pair(cert_file, key_file, errors).leaf);
        CHECK(errors.size() == 1);
    }
    REQUIRE(!errors.empty());
    CHECK(errors[0].origin.key == "key");
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("errors of both files are reported at once") {
    const TemporaryFolder folder;
    Errors errors;
    CHECK(!tls::load_key_pair(folder.path("crt"), folder.path("key"), errors).leaf);
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].origin.key == "crt");
    CHECK(contains(errors[0].message, "No such file or directory"));
    CHECK(errors[1].origin.key == "key");
}

TEST_CASE("a key that others can read is refused, by PostgreSQL's rule") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    const auto cert_file = folder.write("crt", pem(certificate_for(key)), 0644);
    const auto key_file = folder.write("key", pem(key));
    const auto accepted = [&](mode_t mode) {
        REQUIRE(::chmod(key_file.path.c_str(), mode) == 0);
        Errors errors;
        const bool loaded = tls::load_key_pair(cert_file, key_file, errors).leaf != nullptr;
        CHECK(loaded == errors.empty());
        for (const auto& error : errors) {
            CHECK(contains(error.message, "private key file \"" + key_file.path + "\" has group or world access"));
            CHECK(contains(error.message, "0600"));
        }
        return loaded;
    };
    const bool root = ::geteuid() == 0;
    CHECK(accepted(0600));
    CHECK(accepted(0400));
    CHECK(accepted(0700));
    CHECK(accepted(0640) == root);  // a key of root may be shared through a group
    CHECK(accepted(0440) == root);
    CHECK(!accepted(0644));
    CHECK(!accepted(0660));
    CHECK(!accepted(0650));
    CHECK(!accepted(0604));
    CHECK(!accepted(0601));
    if (!root) return;
    REQUIRE(::chmod(key_file.path.c_str(), 0600) == 0);
    REQUIRE(::chown(key_file.path.c_str(), 12345, 12345) == 0);
    CHECK(contains(key_error(folder, key_file), "must be owned by the current user or root"));
}

TEST_CASE("an encrypted key is refused without asking for its password") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    unsigned char password[] = "secret";
    std::string text;
    SECTION("PKCS #8") {
        text = pem_of([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), EVP_aes_256_cbc(), password, 6, nullptr, nullptr);
        });
        CHECK(contains(text, "BEGIN ENCRYPTED PRIVATE KEY"));
    }
    SECTION("traditional") {
        text = pem_of([&](BIO* bio) {
            return PEM_write_bio_PrivateKey_traditional(bio, key.get(), EVP_aes_256_cbc(), password, 6, nullptr,
                                                        nullptr);
        });
        CHECK(contains(text, "Proc-Type: 4,ENCRYPTED"));
    }
    const std::string message = key_error(folder, folder.write("key", text));
    CHECK(contains(message, "encrypted keys are not supported: decrypt it with openssl pkey"));
}

TEST_CASE("what is not a private key is refused") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    std::string text;
    SECTION("nothing") {}
    SECTION("text") { text = "hello\n"; }
    SECTION("zeros") { text = std::string(4096, '\0'); }
    SECTION("a certificate") { text = pem(certificate_for(key)); }
    SECTION("a public key") {
        text = pem_of([&](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key.get()); });
    }
    SECTION("half a key") { text = pem(key).substr(0, 120); }
    SECTION("a key with a hole") { text = pem(key).replace(60, 8, "AAAAAAAA"); }
    CHECK(contains(key_error(folder, folder.write("key", text)), "holds no usable private key"));
}

TEST_CASE("what is not a regular file is refused, and a FIFO does not block") {
    const TemporaryFolder folder;
    const config::File fifo = folder.path("fifo");
    REQUIRE(::mkfifo(fifo.path.c_str(), 0600) == 0);
    CHECK(contains(key_error(folder, fifo), "is not a regular file"));
    CHECK(contains(certificate_error(fifo), "is not a regular file"));
    CHECK(contains(key_error(folder, folder.path("")), "is not a regular file"));
    CHECK(contains(certificate_error({.path = "/dev/zero", .origin = {}}), "is not a regular file"));
}

TEST_CASE("every certificate of a bundle is loaded, in order") {
    const TemporaryFolder folder;
    std::string bundle = "# Amazon RDS, as it is published\n\n";
    for (int i = 0; i < 120; ++i) {
        const std::string name = "Amazon RDS region-" + std::to_string(i) + " Root CA RSA2048 G1";
        std::string text = name + "\n==========\n" + pem(certificate_for(new_key(), {.common_name = name}));
        if (i % 2 == 1) {  // as a file that has been through Windows
            for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
                text.replace(at, 1, "\r\n");
        }
        bundle += text;
    }
    Errors errors;
    const std::vector<X509Ptr> certificates = tls::load_certificates(folder.write("bundle.pem", bundle, 0644), errors);
    CHECK(errors.empty());
    REQUIRE(certificates.size() == 120);
    CHECK(tls::describe(*certificates[0]).subject == "CN=Amazon RDS region-0 Root CA RSA2048 G1");
    CHECK(tls::describe(*certificates[119]).subject == "CN=Amazon RDS region-119 Root CA RSA2048 G1");
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a file without certificates, or with a broken one, is an error") {
    const TemporaryFolder folder;
    const X509Ptr good = certificate_for(new_key());
    CHECK(contains(certificate_error(folder.path("missing")), "No such file or directory"));
    CHECK(contains(certificate_error(folder.write("empty", "")), "holds no certificate"));
    CHECK(contains(certificate_error(folder.write("text", "hello\n")), "holds no certificate"));
    CHECK(contains(certificate_error(folder.write("key", pem(new_key()))), "holds no certificate"));
    CHECK(contains(certificate_error(folder.write("der", "\x30\x82\x01"s + std::string(300, '\x7f'))), "openssl x509"));
    CHECK(contains(certificate_error(folder.write("cut", pem(good) + pem(good).substr(0, 200))),
                   "certificate 2 in it is broken"));
    CHECK(contains(certificate_error(folder.write("hole", pem(good).replace(60, 4, "AAAA"))),
                   "certificate 1 in it is broken"));
}

TEST_CASE("a certificate is described") {
    const KeyPtr key = new_key();
    const X509Ptr certificate = certificate_for(key, {.common_name = "db.example.com",
                                                      .sans = {{GEN_DNS, "db.example.com"},
                                                               {GEN_EMAIL, "me@example.com"},
                                                               {GEN_IPADD, "\x0a\x00\x00\x01"s},
                                                               {GEN_IPADD, std::string(15, '\0') + "\x01"},
                                                               {GEN_DNS, "*.example.com"}}});
    const tls::CertificateFacts described = tls::describe(*certificate);
    CHECK(described.subject == "CN=db.example.com");
    CHECK(described.issuer == "CN=db.example.com");
    CHECK(described.sans ==
          std::vector<std::string>{"DNS:db.example.com", "IP:10.0.0.1", "IP:::1", "DNS:*.example.com"});
    CHECK(described.serial == "0abcdef123456789");
    CHECK(tls::to_rfc3339(described.not_before) == "2026-01-02T03:04:05Z");
    CHECK(tls::to_rfc3339(described.not_after) == "2030-01-01T00:00:00Z");
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    CHECK(described.sha256 == tls::sha256_hex(der, static_cast<std::size_t>(size)));
    OPENSSL_free(der);
    CHECK(facts({}).sans.empty());
}

TEST_CASE("names keep UTF-8 and cannot carry control characters") {
    CHECK(facts({.common_name = "Jürgen 世界 😀"}).subject == "CN=Jürgen 世界 😀");
    CHECK(facts({.common_name = "J\xfcrgen", .name_type = V_ASN1_T61STRING}).subject == "CN=Jürgen");
    CHECK(facts({.common_name = "\x4e\x16\x75\x4c", .name_type = V_ASN1_BMPSTRING}).subject == "CN=世界");
    CHECK(facts({.common_name = "a,b+c"}).subject == "CN=a\\,b\\+c");
    CHECK(facts({.common_name = "a\nb\x1b[31m\x7f"}).subject == "CN=a\\0Ab\\1B[31m\\7F");
    CHECK(facts({.common_name = "a\0b"s}).subject == "CN=a\\00b");
    CHECK(facts({.common_name = "a\xc2\x9b"
                                "31mb"})
              .subject == "CN=a\\C2\\9B31mb");
    CHECK(facts({.common_name = "a\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xe4\xb8"}).subject ==
          "CN=a\\FF\\C0\\80\\ED\\A0\\80\\F4\\90\\80\\80\\E4\\B8");
}

TEST_CASE("alternative names are rendered so that none can pass for another") {
    const auto sans = [](int type, const std::string& bytes) { return facts({.sans = {{type, bytes}}}).sans; };
    CHECK(sans(GEN_DNS, "good.example.com\0.evil.org"s) ==
          std::vector<std::string>{"DNS:good.example.com\\00.evil.org"});
    CHECK(sans(GEN_DNS, "a,DNS:b") == std::vector<std::string>{"DNS:a\\2CDNS:b"});
    CHECK(sans(GEN_DNS, "a b\r\n\"\\\xc3\xa9") == std::vector<std::string>{"DNS:a\\20b\\0D\\0A\\22\\5C\\C3\\A9"});
    CHECK(sans(GEN_DNS, "") == std::vector<std::string>{"DNS:"});
    CHECK(sans(GEN_IPADD, "12345").empty());
    CHECK(sans(GEN_URI, "https://example.com/").empty());
}

TEST_CASE("dates beyond the clock's range are its end") {
    const auto never = facts({.not_after = "99991231235959Z"}).not_after;
    CHECK(never == std::chrono::system_clock::time_point::max());
    CHECK(tls::to_rfc3339(never) == "2262-04-11T23:47:16Z");
}

TEST_CASE("times and digests have their usual spelling") {
    const auto at = [](long long seconds) {
        return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
    };
    CHECK(tls::to_rfc3339(at(0)) == "1970-01-01T00:00:00Z");
    CHECK(tls::to_rfc3339(at(-1)) == "1969-12-31T23:59:59Z");
    CHECK(tls::to_rfc3339(at(1801396800) + std::chrono::milliseconds(999)) == "2027-01-31T12:00:00Z");
    CHECK(tls::sha256_hex("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(tls::sha256_hex("", 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("the oldest OpenSSL error is told and the queue emptied") {
    ERR_clear_error();
    CHECK(tls::take_openssl_error("nothing") == "nothing");
    ERR_raise(ERR_LIB_X509, X509_R_CERT_ALREADY_IN_HASH_TABLE);
    ERR_raise_data(ERR_LIB_PEM, PEM_R_NO_START_LINE, "Expecting: CERTIFICATE");
    CHECK(tls::take_openssl_error("nothing") == "cert already in hash table");
    CHECK(ERR_peek_error() == 0);
    ERR_raise_data(ERR_LIB_PEM, PEM_R_NO_START_LINE, "Expecting: CERTIFICATE");
    CHECK(tls::take_openssl_error("nothing") == "no start line: Expecting: CERTIFICATE");
    ERR_raise(ERR_LIB_SYS, ENOENT);
    CHECK(tls::take_openssl_error("nothing") == "No such file or directory");
}
