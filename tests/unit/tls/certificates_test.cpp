#include "tls/certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"

namespace {

using namespace support;

tls::CertificateFacts facts(const Spec& spec) { return tls::describe(*certificate_for(new_key(), spec)); }

}  // namespace

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

TEST_CASE("an authority's key has one digest, whatever else its certificates say") {
    const KeyPtr key = new_key();
    const X509Ptr one = certificate_for(key, {.common_name = "one"});
    const X509Ptr other = certificate_for(key, {.common_name = "other", .not_after = "20310101000000Z"});
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key.get(), &der);
    CHECK(tls::key_sha256(*one) == tls::sha256_hex(der, static_cast<std::size_t>(size)));
    OPENSSL_free(der);
    CHECK(tls::key_sha256(*other) == tls::key_sha256(*one));
    CHECK(tls::key_sha256(*certificate_for(new_key(), {.common_name = "one"})) != tls::key_sha256(*one));
}

TEST_CASE("which of its keys an issuer has used is said where the certificate says it") {
    const auto key_id = [](std::vector<std::uint8_t> extension) {
        const KeyPtr key = new_key();
        const X509Ptr certificate = certificate_for(key);
        const tls::Owned<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
        ASN1_OCTET_STRING_set(value.get(), extension.data(), static_cast<int>(extension.size()));
        const tls::Owned<X509_EXTENSION> made(
            X509_EXTENSION_create_by_NID(nullptr, NID_authority_key_identifier, 0, value.get()));
        REQUIRE(X509_add_ext(certificate.get(), made.get(), -1) == 1);
        REQUIRE(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
        return tls::describe(*certificate).issuer_key_id;
    };
    CHECK(key_id({0x30, 5, 0x80, 3, 0xab, 0x0c, 0xff}) == "ab0cff");
    CHECK(key_id({0x30, 2, 0x80, 0}).empty());
    CHECK(key_id({0x30, 5, 0x80, 3, 0xab}).empty());  // malformed
    CHECK(ERR_peek_error() == 0);
    std::vector<std::uint8_t> longest{0x30, 0x81, 0x83, 0x80, 0x81, 0x80};
    longest.resize(longest.size() + 0x80, 0x11);
    CHECK(key_id(longest).size() == 128);
    CHECK(facts({}).issuer_key_id.empty());
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
