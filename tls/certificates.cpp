#include "tls/certificates.hpp"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "protocol/utf8.hpp"
#include "tls/scram_crypto.hpp"

namespace tls {
namespace {

using TimePoint = std::chrono::system_clock::time_point;

std::string to_text(const X509_NAME* name);
std::vector<std::string> subject_alternative_names(const X509& certificate);
std::string serial_hex(const X509& certificate);
std::string fingerprint(const X509& certificate);
std::string issuer_key_id(const X509& certificate);
TimePoint to_time_point(const ASN1_TIME* time);
std::string to_hex(const unsigned char* bytes, std::size_t size);

struct FreeOpenssl {
    void operator()(unsigned char* p) const noexcept { OPENSSL_free(p); }
};

}  // namespace

CertificateFacts describe(const X509& certificate) {
    return {
        .subject = to_text(X509_get_subject_name(&certificate)),
        .issuer = to_text(X509_get_issuer_name(&certificate)),
        .sans = subject_alternative_names(certificate),
        .serial = serial_hex(certificate),
        .sha256 = fingerprint(certificate),
        .end_point = end_point_hash(certificate),
        .not_before = to_time_point(X509_get0_notBefore(&certificate)),
        .not_after = to_time_point(X509_get0_notAfter(&certificate)),
        .issuer_key_id = issuer_key_id(certificate),
    };
}

std::vector<std::string> first_names(const std::vector<std::string>& names) {
    constexpr std::size_t max_names = 20;
    constexpr std::size_t max_name = 300;  // a DNS name and what it is, whatever a certificate holds there
    std::vector<std::string> shown;
    for (const std::string& name : names) {
        if (shown.size() == max_names) {
            shown.push_back("and " + std::to_string(names.size() - max_names) + " others");
            break;
        }
        shown.push_back(name.substr(0, max_name));
    }
    return shown;
}

Validity validity_of(const X509& certificate) {
    return {to_time_point(X509_get0_notBefore(&certificate)), to_time_point(X509_get0_notAfter(&certificate))};
}

Validity validity_of(const X509_CRL& crl) {
    const ASN1_TIME* const end = X509_CRL_get0_nextUpdate(&crl);
    return {to_time_point(X509_CRL_get0_lastUpdate(&crl)), end ? to_time_point(end) : TimePoint::max()};
}

std::string digest(const X509& certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned size = 0;
    if (X509_digest(&certificate, EVP_sha256(), bytes.data(), &size) != 1)
        throw std::runtime_error(take_openssl_error("SHA-256 is not available"));
    return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string key_sha256(const X509& certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
    const std::unique_ptr<unsigned char, FreeOpenssl> owned(der);
    if (size < 0) throw std::runtime_error(take_openssl_error("unreadable public key"));
    return sha256_hex(der, static_cast<std::size_t>(size));
}

std::string sha256_hex(const void* data, std::size_t size) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned int length = 0;
    if (EVP_Digest(data, size, digest.data(), &length, EVP_sha256(), nullptr) != 1) {
        throw std::runtime_error(take_openssl_error("SHA-256 is not available"));
    }
    return to_hex(digest.data(), length);
}

std::string to_rfc3339(TimePoint time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", int(date.year()), unsigned(date.month()),
                  unsigned(date.day()), int(clock.hours().count()), int(clock.minutes().count()),
                  int(clock.seconds().count()));
    return text.data();
}

std::string take_openssl_error(std::string_view fallback) {
    const char* data = nullptr;
    int flags = 0;
    const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
    std::string text(fallback);
    if (ERR_SYSTEM_ERROR(code)) {
        text = std::generic_category().message(ERR_GET_REASON(code));
    } else if (const char* reason = ERR_reason_error_string(code)) {
        text = reason;
    }
    if (code != 0 && data != nullptr && *data != '\0' && (flags & ERR_TXT_STRING) != 0) text.append(": ").append(data);
    ERR_clear_error();  // only now: it frees `data`
    return text;
}

namespace {

std::string printable(std::string_view text);
std::optional<std::string> to_text(const GENERAL_NAME& name);
std::string dns_text(const ASN1_STRING* name);
std::optional<std::string> address_text(const ASN1_STRING* address);

std::string to_text(const X509_NAME* name) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (!bio) throw std::bad_alloc();
    if (X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) {
        return "(" + printable(take_openssl_error("unreadable name")) + ")";
    }
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    const std::size_t shown = std::min(static_cast<std::size_t>(size), protocol::max_peer_text);
    return printable({data, shown});
}

std::vector<std::string> subject_alternative_names(const X509& certificate) {
    using Names = Owned<GENERAL_NAMES>;
    const Names names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
    ERR_clear_error();  // a malformed extension: reported as no names
    std::vector<std::string> result;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        if (std::optional<std::string> text = to_text(*sk_GENERAL_NAME_value(names.get(), i)))
            result.push_back(std::move(*text));
    }
    return result;
}

std::optional<std::string> to_text(const GENERAL_NAME& name) {
    switch (name.type) {
        case GEN_DNS: return "DNS:" + dns_text(name.d.dNSName);
        case GEN_IPADD: return address_text(name.d.iPAddress);
        default: return std::nullopt;
    }
}

std::string escaped(unsigned char byte) {
    std::array<char, 4> text;
    std::snprintf(text.data(), text.size(), "\\%02X", byte);
    return text.data();
}

/// A DNS name is visible ASCII. Whatever else a certificate holds there is escaped, and so is what
/// would make a list of names ambiguous: a certificate for "a,DNS:b" must not read as one for b.
std::string dns_text(const ASN1_STRING* name) {
    const std::string_view bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name)),
                                 static_cast<std::size_t>(ASN1_STRING_length(name)));
    std::string text;
    for (const char c : bytes) {
        const bool plain = c > ' ' && c < '\x7f' && c != '\\' && c != ',' && c != '"';
        text += plain ? std::string(1, c) : escaped(static_cast<unsigned char>(c));
    }
    return text;
}

std::optional<std::string> address_text(const ASN1_STRING* address) {
    const int length = ASN1_STRING_length(address);
    if (length != 4 && length != 16) return std::nullopt;
    std::array<char, INET6_ADDRSTRLEN> text;
    ::inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text.data(), text.size());
    return std::string("IP:") + text.data();
}

/// OpenSSL passes a UTF8String on without looking at it: here malformed UTF-8 and what terminals
/// obey are escaped as well, in the manner of RFC 2253.
std::string printable(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t length = protocol::character_length(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        const bool plain = length > 0 && !protocol::is_harmful(character);
        for (const char c : character) result += plain ? std::string(1, c) : escaped(static_cast<unsigned char>(c));
        text.remove_prefix(character.size());
    }
    return result;
}

std::string serial_hex(const X509& certificate) {
    const Owned<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
    const Owned<char> hex(number ? BN_bn2hex(number.get()) : nullptr);
    if (!hex) throw std::bad_alloc();
    std::string text(hex.get());
    for (char& c : text) {
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

std::string fingerprint(const X509& certificate) {
    const std::string bytes = digest(certificate);
    return to_hex(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

/// An identifier is a hash of some 20 bytes; whoever writes more there means nobody well.
std::string issuer_key_id(const X509& certificate) {
    constexpr std::size_t max_size = 64;
    // OpenSSL has read it together with the certificate, or has not: it takes no const.
    const ASN1_OCTET_STRING* const id = X509_get0_authority_key_id(const_cast<X509*>(&certificate));
    ERR_clear_error();  // a malformed extension: reported as none
    if (!id) return {};
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(id));
    return to_hex(ASN1_STRING_get0_data(id), std::min(size, max_size));
}

/// A date that cannot be read becomes 1970, long expired. One beyond the clock's range (9999-12-31
/// means "never", RFC 5280 4.1.2.5) becomes the end of that range: the nanoseconds of system_clock
/// end in 2262.
TimePoint to_time_point(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        ERR_clear_error();
        return {};
    }
    const std::chrono::seconds seconds(::timegm(&parts));
    if (seconds >= std::chrono::floor<std::chrono::seconds>(TimePoint::max().time_since_epoch()))
        return TimePoint::max();
    if (seconds <= std::chrono::ceil<std::chrono::seconds>(TimePoint::min().time_since_epoch()))
        return TimePoint::min();
    return TimePoint(seconds);
}

std::string to_hex(const unsigned char* bytes, std::size_t size) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * size);
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[bytes[i] >> 4];
        text += digits[bytes[i] & 0xf];
    }
    return text;
}

}  // namespace
}  // namespace tls
