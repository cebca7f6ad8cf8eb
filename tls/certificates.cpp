#include "tls/certificates.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace tls {
namespace {

using Errors = std::vector<config::Diagnostic>;
using TimePoint = std::chrono::system_clock::time_point;

/// A file's bytes, wiped when no longer needed: they may be a private key.
struct Wipe {
    void operator()(std::string* text) const noexcept {
        OPENSSL_cleanse(text->data(), text->size());
        delete text;
    }
};
using Contents = std::unique_ptr<std::string, Wipe>;

enum class Content { certificates, private_key };

Contents read_file(const config::File& file, Content content, Errors& errors);
std::vector<X509Ptr> parse_certificates(const Contents& pem, const config::File& file, Errors& errors);
KeyPtr parse_private_key(const Contents& pem, const config::File& file, Errors& errors);
std::string mismatch(const std::vector<X509Ptr>& certificates, EVP_PKEY& key);
std::string to_text(const X509_NAME* name);
std::vector<std::string> subject_alternative_names(const X509& certificate);
std::string serial_hex(const X509& certificate);
std::string fingerprint(const X509& certificate);
TimePoint to_time_point(const ASN1_TIME* time);
std::string to_hex(const unsigned char* bytes, std::size_t size);
std::string quoted(const config::File& file, Content content);

}  // namespace

CertificateFacts describe(const X509& certificate) {
    return {
        .subject = to_text(X509_get_subject_name(&certificate)),
        .issuer = to_text(X509_get_issuer_name(&certificate)),
        .sans = subject_alternative_names(certificate),
        .serial = serial_hex(certificate),
        .sha256 = fingerprint(certificate),
        .not_before = to_time_point(X509_get0_notBefore(&certificate)),
        .not_after = to_time_point(X509_get0_notAfter(&certificate)),
    };
}

KeyPair load_key_pair(const config::File& cert_file, const config::File& key_file, Errors& errors) {
    // Both files are read before any verdict, so that the operator sees everything that is wrong at once.
    std::vector<X509Ptr> certificates = load_certificates(cert_file, errors);
    const Contents pem = read_file(key_file, Content::private_key, errors);
    KeyPtr key = pem ? parse_private_key(pem, key_file, errors) : nullptr;
    if (certificates.empty() || !key) return {};

    if (const std::string fault = mismatch(certificates, *key); !fault.empty()) {
        errors.push_back({key_file.origin, quoted(key_file, Content::private_key) + " does not match " +
                                               quoted(cert_file, Content::certificates) + ": " + fault});
        return {};
    }
    KeyPair pair;
    pair.leaf = std::move(certificates.front());
    pair.chain.assign(std::make_move_iterator(certificates.begin() + 1), std::make_move_iterator(certificates.end()));
    pair.key = std::move(key);
    return pair;
}

std::vector<X509Ptr> load_certificates(const config::File& file, Errors& errors) {
    const Contents pem = read_file(file, Content::certificates, errors);
    if (!pem) return {};
    return parse_certificates(pem, file, errors);
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
                  unsigned(date.day()), int(clock.hours().count()), int(clock.minutes().count()), int(clock.seconds().count()));
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

// --- Files ---

namespace {

/// Certificate bundles are a few hundred KiB; more is a mistake in the path.
constexpr off_t max_file_size = 16 * 1024 * 1024;

class Descriptor {
 public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }

 private:
    int fd_;
};

std::string permission_fault(const struct stat& status);
Contents read_all(int fd, std::size_t size);

std::string last_error() {
    return std::generic_category().message(errno);
}

/// What is wrong with an opened file, before a byte of it is read; empty when nothing is.
std::string fault_of(const struct stat& status, Content content) {
    if (!S_ISREG(status.st_mode)) return "is not a regular file";
    if (status.st_size > max_file_size) return "is larger than 16 MiB, which no PEM file needs";
    return content == Content::private_key ? permission_fault(status) : std::string();
}

/// PostgreSQL's rule and words: check_ssl_key_file_permissions() in src/backend/libpq/be-secure-common.c.
std::string permission_fault(const struct stat& status) {
    if (status.st_uid != ::geteuid() && status.st_uid != 0) return "must be owned by the current user or root";
    // Group read is for system-wide keys of root that are shared with services through a group.
    const mode_t forbidden = status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if ((status.st_mode & forbidden) == 0) return {};
    return "has group or world access: file must have permissions u=rw (0600) or less if owned by the current user, "
           "or permissions u=rw,g=r (0640) or less if owned by root";
}

Contents read_file(const config::File& file, Content content, Errors& errors) {
    const auto refuse = [&](const std::string& why) -> Contents {
        errors.push_back({file.origin, quoted(file, content) + " " + why});
        return nullptr;
    };
    // Checked and read through one descriptor, so that the file judged is the file used. O_NONBLOCK: opening a FIFO must not wait
    // for a writer.
    const Descriptor fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (fd.get() < 0) return refuse("cannot be opened: " + last_error());
    if (::fstat(fd.get(), &status) != 0) return refuse("cannot be examined: " + last_error());
    if (const std::string fault = fault_of(status, content); !fault.empty()) return refuse(fault);
    Contents contents = read_all(fd.get(), static_cast<std::size_t>(status.st_size));
    return contents ? std::move(contents) : refuse("cannot be read: " + last_error());
}

/// Null, with errno set, on a read error. The size is fixed beforehand: a growing buffer would leave copies of a key behind.
Contents read_all(int fd, std::size_t size) {
    Contents contents(new std::string(size, '\0'));
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = ::read(fd, contents->data() + done, size - done);
        if (n == 0) break;
        if (n < 0 && errno != EINTR) return nullptr;
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    contents->resize(done);
    return contents;
}

std::string quoted(const config::File& file, Content content) {
    return (content == Content::private_key ? "private key file \"" : "certificate file \"") + file.path + "\"";
}

// --- PEM ---

BioPtr open_memory(const Contents& contents) {
    BioPtr bio(BIO_new_mem_buf(contents->data(), static_cast<int>(contents->size())));
    if (!bio) throw std::bad_alloc();
    return bio;
}

/// In place of OpenSSL's default, which asks on the terminal and would stop the program there. `asked` may be null.
int refuse_password(char*, int, int, void* asked) {
    if (asked != nullptr) *static_cast<bool*>(asked) = true;
    return -1;
}

std::vector<X509Ptr> parse_certificates(const Contents& pem, const config::File& file, Errors& errors) {
    const BioPtr bio = open_memory(pem);
    std::vector<X509Ptr> certificates;
    ERR_clear_error();
    while (X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, refuse_password, nullptr)}) {
        certificates.push_back(std::move(certificate));
    }
    // The end of the file is reported as an error as well; anything else is a broken certificate, which must not go unnoticed.
    const unsigned long last = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    const std::string reason = take_openssl_error("not a certificate");
    if (at_end && !certificates.empty()) return certificates;

    std::string message = quoted(file, Content::certificates);
    if (at_end) {
        message += " holds no certificate in PEM format (-----BEGIN CERTIFICATE-----); convert a DER file with openssl x509";
    } else {
        message += ": certificate " + std::to_string(certificates.size() + 1) + " in it is broken: " + reason;
    }
    errors.push_back({file.origin, message});
    return {};
}

KeyPtr parse_private_key(const Contents& pem, const config::File& file, Errors& errors) {
    const BioPtr bio = open_memory(pem);
    bool asked_for_password = false;
    ERR_clear_error();
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, &asked_for_password));
    const std::string reason = take_openssl_error("not a private key");
    if (key) return key;

    const std::string name = quoted(file, Content::private_key);
    if (asked_for_password) {
        errors.push_back({file.origin, name + ": encrypted keys are not supported: decrypt it with openssl pkey"});
    } else {
        errors.push_back(
            {file.origin, name + " holds no usable private key in PEM format (-----BEGIN PRIVATE KEY-----): " + reason});
    }
    return nullptr;
}

/// Why `key` is not the key of the first certificate; empty when it is.
std::string mismatch(const std::vector<X509Ptr>& certificates, EVP_PKEY& key) {
    std::size_t index = 0;
    while (index < certificates.size() && X509_check_private_key(certificates[index].get(), &key) != 1) ++index;
    ERR_clear_error();
    if (index == 0) return {};
    if (index == certificates.size()) return "the first certificate of the file must have been issued for this key";
    return "it is the key of certificate " + std::to_string(index + 1) +
           " of the file, which must come first, before its issuers";
}

// --- Facts ---

struct FreeAsn1 {
    void operator()(GENERAL_NAMES* p) const noexcept { GENERAL_NAMES_free(p); }
    void operator()(BIGNUM* p) const noexcept { BN_free(p); }
    void operator()(char* p) const noexcept { OPENSSL_free(p); }
};

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
    return printable({data, static_cast<std::size_t>(size)});
}

std::vector<std::string> subject_alternative_names(const X509& certificate) {
    using Names = std::unique_ptr<GENERAL_NAMES, FreeAsn1>;
    const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
    ERR_clear_error();  // a malformed extension: reported as no names
    std::vector<std::string> result;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        if (std::optional<std::string> text = to_text(*sk_GENERAL_NAME_value(names.get(), i))) result.push_back(std::move(*text));
    }
    return result;
}

std::optional<std::string> to_text(const GENERAL_NAME& name) {
    switch (name.type) {
        case GEN_DNS:
            return "DNS:" + dns_text(name.d.dNSName);
        case GEN_IPADD:
            return address_text(name.d.iPAddress);
        default:
            return std::nullopt;
    }
}

std::string escaped(unsigned char byte) {
    std::array<char, 4> text;
    std::snprintf(text.data(), text.size(), "\\%02X", byte);
    return text.data();
}

/// A DNS name is visible ASCII. Whatever else a certificate holds there is escaped, and so is what would make a list of names
/// ambiguous: a certificate for "a,DNS:b" must not read as one for b.
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

/// The length of the well-formed UTF-8 sequence (RFC 3629) that `text` begins with; 0 when there is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const unsigned lead = byte(0);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
    const bool beyond_unicode = lead == 0xf4 && byte(1) >= 0x90;
    return overlong || surrogate || beyond_unicode ? 0 : length;
}

/// OpenSSL passes a UTF8String on without looking at it: here malformed UTF-8 and the control characters beyond ASCII (U+0080 to
/// U+009F, which terminals obey) are escaped as well, in the manner of RFC 2253.
std::string printable(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const auto lead = static_cast<unsigned char>(text[0]);
        const bool control =
            lead < 0x20 || lead == 0x7f || (lead == 0xc2 && length == 2 && static_cast<unsigned char>(text[1]) < 0xa0);
        const std::size_t taken = length == 0 ? 1 : length;
        for (const char c : text.substr(0, taken)) {
            result += length == 0 || control ? escaped(static_cast<unsigned char>(c)) : std::string(1, c);
        }
        text.remove_prefix(taken);
    }
    return result;
}

std::string serial_hex(const X509& certificate) {
    const std::unique_ptr<BIGNUM, FreeAsn1> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
    const std::unique_ptr<char, FreeAsn1> hex(number ? BN_bn2hex(number.get()) : nullptr);
    if (!hex) throw std::bad_alloc();
    std::string text(hex.get());
    for (char& c : text) {
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

std::string fingerprint(const X509& certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned int length = 0;
    if (X509_digest(&certificate, EVP_sha256(), digest.data(), &length) != 1) {
        throw std::runtime_error(take_openssl_error("SHA-256 is not available"));
    }
    return to_hex(digest.data(), length);
}

/// A date that cannot be read becomes 1970, long expired. One beyond the clock's range (9999-12-31 means "never", RFC
/// 5280 4.1.2.5) becomes the end of that range: the nanoseconds of system_clock end in 2262.
TimePoint to_time_point(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        ERR_clear_error();
        return {};
    }
    const std::chrono::seconds seconds(::timegm(&parts));
    if (seconds >= std::chrono::floor<std::chrono::seconds>(TimePoint::max().time_since_epoch())) return TimePoint::max();
    if (seconds <= std::chrono::ceil<std::chrono::seconds>(TimePoint::min().time_since_epoch())) return TimePoint::min();
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
