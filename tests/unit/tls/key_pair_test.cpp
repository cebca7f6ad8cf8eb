#include "tls/key_pair.hpp"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include <algorithm>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"
#include "tls/certificates.hpp"

namespace {

using namespace support;

/// Without a word beyond `errors`: warnings count as such.
tls::KeyPair load(const config::File& cert_file, const config::File& key_file, Errors& errors,
                  const std::string& command = {}) {
    return tls::load_key_pair(
        {.cert_file = cert_file, .key_file = key_file, .ssl_passphrase_command = command, .server_names = {}}, errors,
        errors);
}

/// The single error of loading a key with a certificate that is good.
std::string key_error(const TemporaryFolder& folder, const config::File& key_file) {
    const config::File cert_file = folder.write("good.crt", pem(certificate_for(new_key())), 0644);
    Errors errors;
    const tls::KeyPair pair = load(cert_file, key_file, errors);
    CHECK(!pair.leaf);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].origin.key == key_file.origin.key);
    CHECK(errors[0].origin.line == 7);
    CHECK(ERR_peek_error() == 0);
    return errors[0].message;
}

std::string certificate_error(const config::File& file) {
    Errors errors, warnings;
    CHECK(tls::load_certificates(file, errors, warnings).empty());
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
    const KeyPtr root_key = new_key(), intermediate_key = new_key();
    const X509Ptr root = certificate_for(root_key, {.common_name = "root", .is_ca = true});
    const support::Issuer by_root{root, root_key};
    const X509Ptr intermediate =
        certificate_for(intermediate_key, {.common_name = "intermediate", .is_ca = true}, &by_root);
    const support::Issuer by_intermediate{intermediate, intermediate_key};
    const std::string chain =
        pem(certificate_for(key, {.common_name = "leaf"}, &by_intermediate)) + pem(intermediate) + pem(root);
    Errors errors;
    const tls::KeyPair pair = load(folder.write("crt", chain, 0644), folder.write("key", pem(key)), errors);
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
    SECTION("in DER form, as libpq takes it") {
        key = new_key();
        text = pem_of([&](BIO* bio) { return i2d_PrivateKey_bio(bio, key.get()); });
    }
    SECTION("with the certificate in the same file") {
        key = new_key();
        text = pem(certificate_for(key)) + pem(key);
    }
    Errors errors;
    const auto cert_file = folder.write("crt", pem(certificate_for(key)), 0644);
    const tls::KeyPair pair = load(cert_file, folder.write("key", text), errors);
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
        CHECK(!load(cert_file, key_file, errors).leaf);
        REQUIRE(errors.size() == 1);
        CHECK(contains(errors[0].message, key_file.path));
        CHECK(contains(errors[0].message, cert_file.path));
    }
    SECTION("of another algorithm") {
        const auto cert_file = folder.write("crt", pem(certificate_for(KeyPtr(EVP_RSA_gen(2048)))), 0644);
        CHECK(!load(cert_file, key_file, errors).leaf);
        CHECK(errors.size() == 1);
    }
    REQUIRE(!errors.empty());
    CHECK(errors[0].origin.key == "key");
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("errors of both files are reported at once") {
    const TemporaryFolder folder;
    Errors errors;
    CHECK(!load(folder.path("crt"), folder.path("key"), errors).leaf);
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
        const bool loaded = load(cert_file, key_file, errors).leaf != nullptr;
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

TEST_CASE("the certificate of the key is sent first wherever it stands, and that is said") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    Errors errors, warnings;
    const std::string other = pem(certificate_for(new_key(), {.common_name = "other"}));
    const std::string line = "line " + std::to_string(1 + std::count(other.begin(), other.end(), '\n'));
    const auto cert_file = folder.write("crt", other + pem(certificate_for(key)), 0644);
    const tls::KeyPair pair = tls::load_key_pair(
        {.cert_file = cert_file, .key_file = folder.write("key", pem(key)), .server_names = {}}, errors, warnings);
    CHECK(errors.empty());
    REQUIRE(pair.leaf);
    CHECK(tls::describe(*pair.leaf).subject == "CN=server");
    CHECK(pair.chain.empty());
    REQUIRE(warnings.size() == 2);
    CHECK(contains(warnings[0].message, "the key is that of " + line + ", CN=server, which is sent first"));
    CHECK(contains(warnings[1].message, "line 1, CN=other: has issued none of the certificates before it"));
}

TEST_CASE("an encrypted key is opened by the pass phrase of ssl_passphrase_command, and by nothing else") {
    const TemporaryFolder folder;
    const KeyPtr key = KeyPtr(EVP_RSA_gen(2048));
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
    const auto key_file = folder.write("key", text);
    CHECK(contains(key_error(folder, key_file),
                   "is encrypted, and there is no ssl_passphrase_command that gives its pass phrase; or decrypt it "
                   "with openssl pkey"));
    const auto cert_file = folder.write("crt", pem(certificate_for(key)), 0644);
    const auto opened = [&](const std::string& command) {
        Errors errors;
        const bool is = load(cert_file, key_file, errors, command).leaf != nullptr;
        CHECK(is == errors.empty());
        CHECK(ERR_peek_error() == 0);
        const std::string message = errors.empty() ? "" : errors[0].message;
        CHECK(!contains(message, "secre"));  // neither the command nor what it wrote
        return is ? "" : message;
    };
    CHECK(opened("echo secret") == "");
    CHECK(opened("printf 'secret\r\nand more\n'") == "");
    CHECK(opened("printf secret") == "");
    CHECK(contains(opened("echo secreT"),
                   "cannot be opened with the output of ssl_passphrase_command: the pass phrase "
                   "does not open it"));
    CHECK(contains(opened("true"), "ssl_passphrase_command gives no pass phrase: it wrote no line"));
    CHECK(contains(opened("echo secret; exit 3"), "it exited with code 3"));
}

TEST_CASE("the command is not asked for a key that is not encrypted") {
    const TemporaryFolder folder;
    const KeyPtr key = new_key();
    const std::string trace = folder.path("trace").path;
    Errors errors;
    const auto cert_file = folder.write("crt", pem(certificate_for(key)), 0644);
    CHECK(load(cert_file, folder.write("key", pem(key)), errors, "touch " + trace).leaf);
    CHECK(!std::filesystem::exists(trace));
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
    const std::vector<X509Ptr> certificates =
        tls::load_certificates(folder.write("bundle.pem", bundle, 0644), errors, errors);
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
    CHECK(contains(certificate_error(folder.write("noise", "\x30\x82\x01"s + std::string(300, '\x7f'))),
                   "holds no certificate"));
    CHECK(contains(certificate_error(folder.write("cut", pem(good) + pem(good).substr(0, 200))),
                   ": the file ends within it: it was cut off"));
    CHECK(contains(certificate_error(folder.write("hole", pem(good).replace(60, 4, "AAAA"))),
                   "line 1: certificate 1 of the file is broken"));
}

TEST_CASE("a certificate of ours that nobody will accept now is warned of, on either leg by the same words") {
    const KeyPtr key = new_key();
    const tls::X509Ptr leaf = certificate_for(key);
    const config::File file{.path = "app.crt", .origin = {}};
    const auto said = [&] {
        Errors warnings;
        tls::warn_of_dates(*leaf, file, warnings);
        REQUIRE(warnings.size() < 2);
        return warnings.empty() ? std::string() : warnings[0].message;
    };
    CHECK(said().empty());
    X509_gmtime_adj(X509_getm_notBefore(leaf.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(leaf.get()), -3600);
    CHECK(said() == "certificate app.crt has expired");
    X509_gmtime_adj(X509_getm_notBefore(leaf.get()), 3600);
    X509_gmtime_adj(X509_getm_notAfter(leaf.get()), 7200);
    CHECK(said() == "certificate app.crt is not valid yet: see this host's clock");
}
