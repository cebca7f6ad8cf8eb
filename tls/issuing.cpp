#include "tls/issuing.hpp"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "protocol/server_name.hpp"
#include "tls/certificates.hpp"

namespace tls {
namespace {

using namespace std::chrono_literals;
using TimePoint = std::chrono::system_clock::time_point;

// The leaf's lifetime is the most that Apple's TLS accepts from a private CA.
constexpr auto authority_lifetime = std::chrono::days(3652);
constexpr auto leaf_lifetime = std::chrono::days(825);
/// For clients whose clock is behind ours.
constexpr auto backdating = 5min;
/// ub-common-name, RFC 5280 appendix A.1.
constexpr std::size_t max_common_name = 64;

void require(bool done, std::string_view what) {
    if (!done) throw std::runtime_error(std::string(what) + ": " + take_openssl_error("no reason given"));
}

X509Ptr new_certificate(EVP_PKEY& key, TimePoint not_before, TimePoint not_after);
void set_subject(X509& certificate, const char* field, const std::string& value);
void set_issuer(X509& certificate, const X509& issuer);
void add_extension(X509& certificate, X509& issuer, std::pair<int, const char*> extension);
void add_alternative_names(X509& certificate, const Names& names);
void sign(X509& certificate, EVP_PKEY& key);
std::array<unsigned char, 16> random_serial();
std::string random_suffix();
Owned<GENERAL_NAME> general_name(const std::string& name);

}  // namespace

// --- Names

std::optional<std::string> canonical_name(const std::string& host) {
    const bool has_star = host.starts_with("*.");
    const auto name = protocol::ServerName::parse(has_star ? std::string_view(host).substr(2) : host);
    if (!name || (has_star && name->is_address())) return std::nullopt;
    // A zone is an interface of whoever connects: no certificate is for one.
    if (host.find('%') != std::string::npos) return std::nullopt;
    return (has_star ? "*." : "") + name->text();
}

/// Adds localhost; drops what is there twice.
Names completed(Names names) {
    names.insert(names.end(), {"localhost", "127.0.0.1", "::1"});
    Names result;
    for (std::string& name : names) {
        if (std::find(result.begin(), result.end(), name) == result.end()) result.push_back(std::move(name));
    }
    return result;
}

Names names_for(const std::vector<std::string>& hosts) {
    Names names;
    for (const std::string& host : hosts) {
        std::optional<std::string> name = canonical_name(host);
        if (!name) {
            throw std::invalid_argument("\"" + host +
                                        "\" is neither a DNS name (as db.example.com or *.example.com; "
                                        "an international name in its xn-- form) nor an IP address");
        }
        names.push_back(std::move(*name));
    }
    return completed(std::move(names));
}

// --- Certificates

Authority new_authority() {
    Authority authority;
    authority.key.reset(EVP_EC_gen("P-256"));
    require(authority.key != nullptr, "cannot generate the authority's key");
    const TimePoint start = std::chrono::system_clock::now() - backdating;
    authority.certificate = new_certificate(*authority.key, start, start + authority_lifetime);
    X509& certificate = *authority.certificate;
    set_subject(certificate, "CN", "pgairlock CA " + random_suffix());
    set_issuer(certificate, certificate);
    add_extension(certificate, certificate, {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"});
    add_extension(certificate, certificate, {NID_key_usage, "critical,keyCertSign,cRLSign"});
    add_extension(certificate, certificate, {NID_subject_key_identifier, "hash"});
    sign(certificate, *authority.key);
    return authority;
}

KeyPair new_leaf(const Authority& authority, const Names& names, LeafKey kind) {
    KeyPair pair;
    pair.key.reset(kind == LeafKey::rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    require(pair.key != nullptr, "cannot generate a server key");
    X509& issuer = *authority.certificate;
    const TimePoint start = std::chrono::system_clock::now() - backdating;
    // The last second is part of the lifetime (RFC 5280 section 4.1.2.5).
    pair.leaf = new_certificate(*pair.key, start, std::min(start + leaf_lifetime - 1s, describe(issuer).not_after));
    X509& leaf = *pair.leaf;
    // A name too long for a CN is in the SANs, where clients look; a subject must not be empty, for
    // some of them.
    const bool fits = names.front().size() <= max_common_name;
    set_subject(leaf, fits ? "CN" : "O", fits ? names.front() : "pgairlock");
    set_issuer(leaf, issuer);
    const bool rsa = kind == LeafKey::rsa;
    add_extension(leaf, issuer, {NID_basic_constraints, "critical,CA:FALSE"});
    // keyEncipherment: for the RSA key exchange of TLS 1.2 and below, which very old clients need.
    add_extension(leaf, issuer,
                  {NID_key_usage, rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature"});
    add_extension(leaf, issuer, {NID_ext_key_usage, "serverAuth"});
    add_extension(leaf, issuer, {NID_subject_key_identifier, "hash"});
    add_extension(leaf, issuer, {NID_authority_key_identifier, "keyid:always"});
    add_alternative_names(leaf, names);
    sign(leaf, *authority.key);
    return pair;
}

namespace {

X509Ptr new_certificate(EVP_PKEY& key, TimePoint not_before, TimePoint not_after) {
    X509Ptr certificate(X509_new());
    if (!certificate) throw std::bad_alloc();
    X509* const raw = certificate.get();
    const auto bytes = random_serial();
    const Owned<BIGNUM> serial(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
    require(X509_set_version(raw, X509_VERSION_3) == 1, "cannot set the version");
    require(serial && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(raw)) != nullptr,
            "cannot set the serial number");
    require(ASN1_TIME_set(X509_getm_notBefore(raw), std::chrono::system_clock::to_time_t(not_before)) != nullptr &&
                ASN1_TIME_set(X509_getm_notAfter(raw), std::chrono::system_clock::to_time_t(not_after)) != nullptr,
            "cannot set the validity");
    require(X509_set_pubkey(raw, &key) == 1, "cannot set the public key");
    return certificate;
}

void set_subject(X509& certificate, const char* field, const std::string& value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(value.data());
    X509_NAME* const subject = X509_get_subject_name(&certificate);
    require(
        X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, bytes, static_cast<int>(value.size()), -1, 0) == 1,
        "cannot set the subject");
}

void set_issuer(X509& certificate, const X509& issuer) {
    require(X509_set_issuer_name(&certificate, X509_get_subject_name(&issuer)) == 1, "cannot set the issuer");
}

/// `extension`: NID and value, in the language of x509v3_config(5).
void add_extension(X509& certificate, X509& issuer, std::pair<int, const char*> extension) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
    const Owned<X509_EXTENSION> made(X509V3_EXT_nconf_nid(nullptr, &context, extension.first, extension.second));
    require(made && X509_add_ext(&certificate, made.get(), -1) == 1,
            std::string("cannot add the extension ") + extension.second);
}

/// Not through the language above, where a name could say more than a name.
void add_alternative_names(X509& certificate, const Names& names) {
    const Owned<GENERAL_NAMES> list(GENERAL_NAMES_new());
    if (!list) throw std::bad_alloc();
    for (const std::string& name : names) {
        Owned<GENERAL_NAME> entry = general_name(name);
        require(sk_GENERAL_NAME_push(list.get(), entry.get()) > 0, "cannot add a name");
        entry.release();  // now the list's
    }
    require(X509_add1_ext_i2d(&certificate, NID_subject_alt_name, list.get(), 0, X509V3_ADD_DEFAULT) == 1,
            "cannot add the names");
}

Owned<GENERAL_NAME> general_name(const std::string& name) {
    Owned<GENERAL_NAME> entry(GENERAL_NAME_new());
    if (!entry) throw std::bad_alloc();
    const auto parsed = protocol::ServerName::parse(name);
    if (parsed && parsed->is_address()) {
        Owned<ASN1_STRING> address(a2i_IPADDRESS(name.c_str()));
        require(address != nullptr, "cannot encode an address");
        GENERAL_NAME_set0_value(entry.get(), GEN_IPADD, address.release());
    } else {
        Owned<ASN1_STRING> text(ASN1_STRING_type_new(V_ASN1_IA5STRING));
        require(text && ASN1_STRING_set(text.get(), name.data(), static_cast<int>(name.size())) == 1,
                "cannot encode a name");
        GENERAL_NAME_set0_value(entry.get(), GEN_DNS, text.release());
    }
    return entry;
}

void sign(X509& certificate, EVP_PKEY& key) {
    require(X509_sign(&certificate, &key, EVP_sha256()) > 0, "cannot sign the certificate");
}

/// Positive, and 16 bytes long also when its first bits happen to be zero.
std::array<unsigned char, 16> random_serial() {
    std::array<unsigned char, 16> bytes;
    require(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "no random numbers");
    bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
    return bytes;
}

/// Tells apart, in trust stores and error messages, the authorities of several proxies.
std::string random_suffix() {
    std::array<unsigned char, 16> bytes;
    require(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "no random numbers");
    return sha256_hex(bytes.data(), bytes.size()).substr(0, 8);
}

}  // namespace
}  // namespace tls
