#include "tls/scram_crypto.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <ctime>
#include <functional>
#include <set>

#include "protocol/base64.hpp"
#include "support/catch.hpp"
#include "tls/certificates.hpp"

namespace {

using namespace std::string_literals;
using protocol::as_bytes;
using protocol::Buffer;
using protocol::Bytes;
using protocol::ScramKey;
using protocol::ScramSalt;
using tls::KeyPtr;
using tls::salted_password;
using tls::X509Ptr;

std::string hex(Bytes bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

ScramSalt salt(const std::string& text, unsigned iterations) {
    return {.salt = Buffer(text.begin(), text.end()), .iterations = iterations};
}

/// PBKDF2 of the bytes as they are, by OpenSSL alone.
std::string pbkdf2(const std::string& raw) {
    ScramKey key;
    const auto* const salt = reinterpret_cast<const unsigned char*>("salt");
    REQUIRE(PKCS5_PBKDF2_HMAC(raw.data(), static_cast<int>(raw.size()), salt, 4, 2, EVP_sha256(), 32, key.data()) == 1);
    return hex(key);
}

void is_prepared_as(const std::string& password, const std::string& expected) {
    CAPTURE(password, expected);
    CHECK(hex(salted_password(as_bytes(password), salt("salt", 2))) == pbkdf2(expected));
}

void is_used_raw(const std::string& password) { is_prepared_as(password, password); }

KeyPtr new_key() { return KeyPtr(EVP_EC_gen("P-256")); }
KeyPtr ed25519_key() { return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }
/// Made once: RSA keys take long.
EVP_PKEY* rsa_key() {
    static const KeyPtr key(EVP_RSA_gen(2048));
    return key.get();
}

/// For `key`, signed by `sign`.
X509Ptr certificate(EVP_PKEY* key, const std::function<bool(X509*)>& sign) {
    X509Ptr made(X509_new());
    X509* const raw = made.get();
    X509_set_version(raw, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(raw), 7);
    X509_gmtime_adj(X509_getm_notBefore(raw), 0);
    X509_gmtime_adj(X509_getm_notAfter(raw), 3600);
    const auto* const name = reinterpret_cast<const unsigned char*>("db");
    REQUIRE(X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8, name, 2, -1, 0) == 1);
    X509_set_issuer_name(raw, X509_get_subject_name(raw));
    X509_set_pubkey(raw, key);
    REQUIRE(sign(raw));
    return made;
}

X509Ptr signed_by(EVP_PKEY* authority, const EVP_MD* digest, EVP_PKEY* key = nullptr) {
    return certificate(key ? key : authority, [&](X509* made) { return X509_sign(made, authority, digest) > 0; });
}

X509Ptr signed_with_pss(const EVP_MD* digest, const EVP_MD* mask_digest) {
    return certificate(rsa_key(), [&](X509* made) {
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        EVP_PKEY_CTX* parameters = nullptr;
        return EVP_DigestSignInit(context.get(), &parameters, digest, nullptr, rsa_key()) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, mask_digest) > 0 && X509_sign_ctx(made, context.get()) > 0;
    });
}

/// The certificate's hash, by OpenSSL alone.
std::string digest_of(const X509Ptr& certificate, const EVP_MD* digest) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    REQUIRE(size > 0);
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> hash{};
    unsigned hash_size = 0;
    REQUIRE(EVP_Digest(der, static_cast<std::size_t>(size), hash.data(), &hash_size, digest, nullptr) == 1);
    OPENSSL_free(der);
    return hex(Bytes(hash).first(hash_size));
}

std::string end_point(const X509Ptr& certificate) {
    const std::string hash = hex(tls::end_point_hash(*certificate));
    CHECK(ERR_peek_error() == 0);
    return hash;
}

}  // namespace

// --- Published vectors

TEST_CASE("scram crypto: SHA-256 of FIPS 180-4") {
    const auto sha256 = tls::scram_crypto().sha256;
    CHECK(hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hex(sha256(as_bytes("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("scram crypto: HMAC-SHA-256 of RFC 4231") {
    const auto hmac = tls::scram_crypto().hmac_sha256;
    CHECK(hex(hmac(Buffer(20, 0x0b), as_bytes("Hi There"))) ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(hex(hmac(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hex(hmac(Buffer(131, 0xaa), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("scram crypto: PBKDF2-HMAC-SHA-256 of RFC 7914, section 11") {
    CHECK(hex(salted_password(as_bytes("passwd"), salt("salt", 1))) ==
          "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    CHECK(hex(salted_password(as_bytes("Password"), salt("NaCl", 80'000))) ==
          "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

TEST_CASE("scram crypto: the salt may hold any byte") {
    CHECK(salted_password(as_bytes("passwd"), salt("sa\0lt"s, 1)) !=
          salted_password(as_bytes("passwd"), salt("sa", 1)));
}

// --- SASLprep

TEST_CASE("scram crypto: the examples of RFC 4013, section 3") {
    is_prepared_as("I\u00adX", "IX");  // SOFT HYPHEN mapped to nothing
    is_prepared_as("user", "user");
    is_prepared_as("USER", "USER");
    is_prepared_as("\u00aa", "a");   // FEMININE ORDINAL INDICATOR
    is_prepared_as("\u2168", "IX");  // ROMAN NUMERAL NINE
    is_used_raw("\x07");             // prohibited
    is_used_raw("\u0627\x31");       // fails the bidirectional check
}

TEST_CASE("scram crypto: what looks the same is the same password") {
    is_prepared_as("caf\u0065\u0301", "caf\u00e9");   // a combining accent
    is_prepared_as("\u212b", "\u00c5");               // ANGSTROM SIGN
    is_prepared_as("\ufb01n", "fin");                 // a ligature
    is_prepared_as("\uff41\uff42", "ab");             // full width
    is_prepared_as("\u1112\u1161\u11ab", "\ud55c");   // Hangul
    is_prepared_as("e\u0301\u0323", "\u1eb9\u0301");  // accents in another order
    is_used_raw("P\u00e4ssw\u00f6rt");
    is_used_raw("\u043f\u0430\u0440\u043e\u043b\u044c");
    is_used_raw("\u05d0\u05d1\u05d2");
}

TEST_CASE("scram crypto: every space is a space") {
    is_prepared_as("a\u00a0b", "a b");  // NO-BREAK SPACE
    is_prepared_as("a\u2003b", "a b");  // EM SPACE
    is_prepared_as("a\u3000b", "a b");  // IDEOGRAPHIC SPACE
    is_prepared_as("a\u200bb", "a b");  // ZERO WIDTH SPACE: in both tables, and PostgreSQL looks for spaces first
    is_prepared_as("\u00a0", " ");
}

TEST_CASE("scram crypto: ASCII is used as it is, control characters included") {
    for (const std::string& password :
         {""s, " "s, "a b "s, "a\tb"s, "a\nb"s, "\x01"s, "\x7f"s, "~!@#$%^&*()"s, "a\0b"s})
        is_used_raw(password);
}

TEST_CASE("scram crypto: a password with a prohibited character is used raw") {
    is_used_raw("\u00aa\x07");        // ASCII control character
    is_used_raw("\u00aa\u0080");      // other control character
    is_used_raw("\u00aa\u200e");      // LEFT-TO-RIGHT MARK
    is_used_raw("\u00aa\u202e");      // RIGHT-TO-LEFT OVERRIDE
    is_used_raw("\u00aa\ue000");      // private use
    is_used_raw("\u00aa\ufffe");      // not a character
    is_used_raw("\u00aa\ufffd");      // REPLACEMENT CHARACTER
    is_used_raw("\u00aa\u2ff0");      // ideographic description
    is_used_raw("\u00aa\U000e0041");  // language tag
}

TEST_CASE("scram crypto: a password in two directions is used raw") {
    is_used_raw("\u05d0a\u05d0");
    is_used_raw("\u05d0\u00aa");
    is_used_raw("1\u05d0\u00ad");
    is_prepared_as("\u05d0\u00ad1\u05d0", "\u05d01\u05d0");
}

TEST_CASE("scram crypto: a password with a character that Unicode 3.2 did not have is used raw") {
    is_used_raw("\u00aa\u0221");
    is_used_raw("\u00ad\U0001f600");
}

TEST_CASE("scram crypto: a password that is not UTF-8 is used raw") {
    for (const std::string& rest : {"\xff"s, "\xe9"s, "\xc3"s, "\x80"s, "\xc0\x80"s, "\xe0\x80\xaf"s, "\xed\xa0\x80"s,
                                    "\xf5\x80\x80\x80"s, "\xf4\x90\x80\x80"s, "\xf0\x9f\x98"s}) {
        is_used_raw("\u00aa" + rest);
    }
}

TEST_CASE("scram crypto: a password of which nothing would be left is used raw") {
    is_used_raw("\u00ad");
    is_used_raw("\u00ad\u2060\ufeff");
}

TEST_CASE("scram crypto: what PostgreSQL prohibits it looks for before it normalises") {
    // Each as pg_saslprep of PostgreSQL 15 (libpgcommon) has it: normalising would remove what is
    // prohibited, or add it.
    is_used_raw("a\u0340");  // COMBINING GRAVE TONE MARK, which is prohibited, normalises to U+0300
    is_used_raw("a\ufe70");  // ARABIC FATHATAN ISOLATED FORM, right-to-left, normalises to one that is not
    is_prepared_as("\ufb1d", "\u05d9\u05b4");                // a Hebrew letter normalises to a letter and a point
    is_prepared_as("\u05d0\u2122\u05d0", "\u05d0TM\u05d0");  // TRADE MARK SIGN has no direction, but TM has
}

TEST_CASE("scram crypto: a NUL does not end a password") {
    // Of users_file: none from the wire has one.
    is_used_raw("\u00e4\0rest"s);
}

TEST_CASE("scram crypto: the end of a long password counts") {
    const std::string longest(65'534, 'x');
    std::string other = longest;
    other.back() = 'y';
    is_used_raw(longest);
    is_used_raw(other);
    std::string accents;
    for (int i = 0; i < 500; ++i) accents += "\u00e4";
    is_used_raw(accents);
}

// --- The rest of what SCRAM needs

TEST_CASE("scram crypto: equal bytes are of one length") {
    const auto equal = tls::scram_crypto().equal;
    CHECK(equal(as_bytes("abc"), as_bytes("abc")));
    CHECK(equal({}, {}));
    CHECK_FALSE(equal(as_bytes("abc"), as_bytes("abd")));
    CHECK_FALSE(equal(as_bytes("abc"), as_bytes("Abc")));
    CHECK_FALSE(equal(as_bytes("abc"), as_bytes("ab")));
    CHECK_FALSE(equal(as_bytes("ab"), as_bytes("abc")));
    CHECK_FALSE(equal({}, as_bytes("a")));
}

TEST_CASE("scram crypto: a nonce is 18 random bytes in base64") {
    std::set<std::string> nonces;
    for (int i = 0; i < 100; ++i) {
        const std::string nonce = tls::scram_crypto().nonce();
        CHECK(nonce.size() == 24);
        const auto bytes = protocol::base64_decode(nonce);
        REQUIRE(bytes);
        CHECK(bytes->size() == 18);
        nonces.insert(nonce);
    }
    CHECK(nonces.size() == 100);
}

TEST_CASE("scram crypto: the end point is the certificate's hash by the hash of its signature") {
    const KeyPtr ecdsa = new_key();
    for (const EVP_MD* digest : {EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
        CAPTURE(EVP_MD_get0_name(digest));
        for (EVP_PKEY* authority : {ecdsa.get(), rsa_key()}) {
            const X509Ptr made = signed_by(authority, digest);
            CHECK(end_point(made) == digest_of(made, digest));
        }
    }
}

TEST_CASE("scram crypto: the end point is never a hash by MD5 or SHA-1") {
    for (const EVP_MD* digest : {EVP_md5(), EVP_sha1()}) {
        const X509Ptr made = signed_by(rsa_key(), digest);
        CHECK(end_point(made) == digest_of(made, EVP_sha256()));
    }
}

TEST_CASE("scram crypto: the hash of an RSA-PSS signature is in its parameters") {
    for (const EVP_MD* digest : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
        const X509Ptr made = signed_with_pss(digest, digest);
        CHECK(end_point(made) == digest_of(made, digest));
    }
}

TEST_CASE("scram crypto: a signature without a hash makes no end point") {
    const KeyPtr ed25519 = ed25519_key();
    CHECK(end_point(signed_by(ed25519.get(), nullptr)).empty());
    const KeyPtr ecdsa = new_key();
    CHECK(end_point(signed_by(ed25519.get(), nullptr, ecdsa.get())).empty());
}

TEST_CASE("scram crypto: the end point comes from the signature, not from the key that it is for") {
    const KeyPtr ecdsa = new_key();
    const KeyPtr ed25519 = ed25519_key();
    const X509Ptr made = signed_by(ecdsa.get(), EVP_sha384(), ed25519.get());
    CHECK(end_point(made) == digest_of(made, EVP_sha384()));
}

TEST_CASE("scram crypto: the end point of a certificate that is read is that of the one that was made") {
    const KeyPtr ecdsa = new_key();
    const X509Ptr made = signed_by(ecdsa.get(), EVP_sha512());
    unsigned char* der = nullptr;
    const int size = i2d_X509(made.get(), &der);
    const unsigned char* at = der;
    const X509Ptr read(d2i_X509(nullptr, &at, size));
    OPENSSL_free(der);
    CHECK(end_point(read) == end_point(made));
}
