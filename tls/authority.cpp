#include "tls/authority.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "tls/certificates.hpp"

namespace tls {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using TimePoint = std::chrono::system_clock::time_point;

// The leaf's lifetime is the most that Apple's TLS accepts from a private CA.
constexpr auto authority_lifetime = std::chrono::days(3652);
constexpr auto leaf_lifetime = std::chrono::days(825);
constexpr auto renew_before = std::chrono::days(30);
/// For clients whose clock is behind ours.
constexpr auto backdating = 5min;
/// Another process makes a few keys meanwhile, which takes seconds at most.
constexpr auto lock_timeout = 30s;
constexpr auto lock_retry = 20ms;
/// ub-common-name, RFC 5280 appendix A.1.
constexpr std::size_t max_common_name = 64;
/// RFC 1035 section 2.3.4, in text form.
constexpr std::size_t max_dns_name = 253;
constexpr std::size_t max_dns_label = 63;
constexpr mode_t secret_mode = 0600;
constexpr mode_t public_mode = 0644;

/// The names of a leaf: valid, in canonical spelling, each once, with localhost and its addresses. The first becomes the CN.
using Names = std::vector<std::string>;

struct Authority {
    X509Ptr certificate;
    KeyPtr key;
};

class Descriptor {
 public:
    Descriptor(const std::string& path, int flags, mode_t mode);
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { ::close(fd_); }
    int get() const noexcept { return fd_; }

 private:
    int fd_;
};

/// Keeps other processes out of the folder for as long as it lives.
class Lock {
 public:
    explicit Lock(const std::string& dir);

 private:
    Descriptor fd_;  // closing it unlocks
};

IssuedFiles files_in(const std::string& dir);
bool usable(const IssuedFiles& files);
void make_directory(const fs::path& dir);
Names names_for(const std::vector<std::string>& hosts);
Names names_of_previous(const IssuedFiles& files);
IssuedFiles issue_locked(const std::string& dir, const Names& names);

}  // namespace

IssuedFiles issue(const std::string& dir, const std::vector<std::string>& hosts) {
    const Names names = names_for(hosts);  // before anything is written
    make_directory(dir);
    const Lock lock(dir);
    return issue_locked(dir, names);
}

IssuedFiles ensure(const std::string& dir) {
    const IssuedFiles files = files_in(dir);
    if (usable(files)) return files;  // without the lock: the folder may be read-only
    make_directory(dir);
    const Lock lock(dir);
    if (usable(files)) return files;  // another process was first
    return issue_locked(dir, names_of_previous(files));
}

// --- What is there ---

namespace {

bool exists(const std::string& path);
bool good_leaf(const std::string& cert, const std::string& key, const Authority& authority);

config::File file_at(const std::string& path) {
    return {.path = path, .origin = {}};
}

IssuedFiles files_in(const std::string& dir) {
    const auto path = [&](const char* name) { return (fs::path(dir) / name).string(); };
    return {.ca_cert = path("ca.crt"),
            .ca_key = path("ca.key"),
            .ecdsa_cert = path("server-ecdsa.crt"),
            .ecdsa_key = path("server-ecdsa.key"),
            .rsa_cert = path("server-rsa.crt"),
            .rsa_key = path("server-rsa.key")};
}

/// The CA's key need only exist: an operator may keep it from the proxy, which then cannot renew but can serve.
bool usable(const IssuedFiles& files) {
    if (!exists(files.ca_cert) || !exists(files.ca_key)) return false;
    std::vector<config::Diagnostic> ignored;
    std::vector<X509Ptr> certificates = load_certificates(file_at(files.ca_cert), ignored);
    if (certificates.empty()) return false;
    const Authority authority{.certificate = std::move(certificates.front()), .key = nullptr};
    return good_leaf(files.ecdsa_cert, files.ecdsa_key, authority) && good_leaf(files.rsa_cert, files.rsa_key, authority);
}

bool good_leaf(const std::string& cert, const std::string& key, const Authority& authority) {
    std::vector<config::Diagnostic> ignored;
    const KeyPair pair = load_key_pair(file_at(cert), file_at(key), ignored);
    if (!pair.leaf || describe(*pair.leaf).not_after < std::chrono::system_clock::now() + renew_before) return false;
    const bool issued_here = X509_verify(pair.leaf.get(), X509_get0_pubkey(authority.certificate.get())) == 1;
    ERR_clear_error();
    return issued_here;
}

/// A dangling link counts as existing: it is somebody's arrangement (a secret not mounted yet), not a free name.
bool exists(const std::string& path) {
    return fs::symlink_status(path).type() != fs::file_type::not_found;
}

// --- Names ---

std::optional<std::string> canonical_name(const std::string& host);
std::optional<std::string> canonical_address(const std::string& host);
bool is_dns_name(std::string_view name);

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

/// Renewing must not lose the names that clients use. Of files that cannot be read nothing is known: localhost alone.
Names names_of_previous(const IssuedFiles& files) {
    Names names;
    std::vector<config::Diagnostic> ignored;
    for (const std::string& path : {files.ecdsa_cert, files.rsa_cert}) {
        const std::vector<X509Ptr> certificates = load_certificates(file_at(path), ignored);
        if (certificates.empty()) continue;
        for (const std::string& san : describe(*certificates.front()).sans) {
            if (std::optional<std::string> name = canonical_name(san.substr(san.find(':') + 1)))
                names.push_back(std::move(*name));
        }
    }
    return completed(std::move(names));
}

std::optional<std::string> canonical_name(const std::string& host) {
    if (std::optional<std::string> address = canonical_address(host)) return address;
    std::string name = host;
    for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (!name.empty() && name.back() == '.') name.pop_back();  // certificates hold the name without the root's dot
    if (!is_dns_name(name)) return std::nullopt;
    return name;
}

/// An address has many spellings ("::1", "0:0::1"), of which certificates know one.
std::optional<std::string> canonical_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> bytes;
    std::array<char, INET6_ADDRSTRLEN> text;
    for (const int family : {AF_INET, AF_INET6}) {
        if (host.find('\0') == std::string::npos && ::inet_pton(family, host.c_str(), bytes.data()) == 1) {
            return ::inet_ntop(family, bytes.data(), text.data(), text.size());
        }
    }
    return std::nullopt;
}

bool is_label(std::string_view label) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    return !label.empty() && label.size() <= max_dns_label && std::all_of(label.begin(), label.end(), fits) &&
           label.front() != '-' && label.back() != '-';
}

/// In lower case. The underscore is for the service names of Docker Compose. A last label of digits only would be an IPv4 address
/// with a mistake in it, which no client looks up.
bool is_dns_name(std::string_view name) {
    if (name.size() > max_dns_name) return false;
    if (name.substr(0, 2) == "*.") name.remove_prefix(2);
    for (;;) {
        const std::size_t dot = name.find('.');
        const std::string_view label = name.substr(0, dot);
        if (!is_label(label)) return false;
        if (dot == std::string_view::npos) return label.find_first_not_of("0123456789") != std::string_view::npos;
        name.remove_prefix(dot + 1);
    }
}

// --- Issuing ---

Authority create_authority(const IssuedFiles& files);
Authority load_authority(const IssuedFiles& files);
KeyPair new_leaf(const Authority& authority, const Names& names, KeyPtr key);
void write_pair(const std::string& cert_path, X509& certificate, const std::string& key_path, EVP_PKEY& key);

void require(bool done, std::string_view what) {
    if (!done) throw std::runtime_error(std::string(what) + ": " + take_openssl_error("no reason given"));
}

IssuedFiles issue_locked(const std::string& dir, const Names& names) {
    IssuedFiles files = files_in(dir);
    files.ca_created = !exists(files.ca_cert) && !exists(files.ca_key);
    const Authority authority = files.ca_created ? create_authority(files) : load_authority(files);
    // All keys are made before the first file is replaced: making one takes long, and a reader may come at any time.
    const KeyPair ecdsa = new_leaf(authority, names, KeyPtr(EVP_EC_gen("P-256")));
    const KeyPair rsa = new_leaf(authority, names, KeyPtr(EVP_RSA_gen(2048)));
    write_pair(files.ecdsa_cert, *ecdsa.leaf, files.ecdsa_key, *ecdsa.key);
    write_pair(files.rsa_cert, *rsa.leaf, files.rsa_key, *rsa.key);
    return files;
}

/// Why an existing authority cannot issue; empty when it can.
std::string fault_of(const Authority& authority) {
    if (X509_check_ca(authority.certificate.get()) != 1) return "the certificate is not one of a certificate authority";
    const TimePoint end = describe(*authority.certificate).not_after;
    if (end <= std::chrono::system_clock::now()) return "the certificate expired on " + to_rfc3339(end);
    return {};
}

/// Never replaces an authority, however broken: clients may have been told to trust it.
Authority load_authority(const IssuedFiles& files) {
    std::vector<config::Diagnostic> errors;
    KeyPair pair = load_key_pair(file_at(files.ca_cert), file_at(files.ca_key), errors);
    Authority authority{.certificate = std::move(pair.leaf), .key = std::move(pair.key)};
    std::string faults = authority.certificate ? fault_of(authority) : "";
    for (const config::Diagnostic& error : errors) faults += (faults.empty() ? "" : "; ") + error.message;
    if (faults.empty()) return authority;
    throw std::runtime_error("the certificate authority of \"" + files.ca_cert + "\" and \"" + files.ca_key +
                             "\" cannot be used: " + faults +
                             ". Correct this or restore both files from a backup; or move both away to have a new authority " +
                             "made, whose ca.crt must then be given to the clients");
}

// --- Certificates ---

struct FreeAsn1 {
    void operator()(GENERAL_NAMES* p) const noexcept { GENERAL_NAMES_free(p); }
    void operator()(GENERAL_NAME* p) const noexcept { GENERAL_NAME_free(p); }
    void operator()(X509_EXTENSION* p) const noexcept { X509_EXTENSION_free(p); }
    void operator()(ASN1_STRING* p) const noexcept { ASN1_STRING_free(p); }
    void operator()(BIGNUM* p) const noexcept { BN_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, FreeAsn1>;

X509Ptr new_certificate(EVP_PKEY& key, TimePoint not_before, TimePoint not_after);
void set_subject(X509& certificate, const char* field, const std::string& value);
void set_issuer(X509& certificate, const X509& issuer);
void add_extension(X509& certificate, X509& issuer, std::pair<int, const char*> extension);
void add_alternative_names(X509& certificate, const Names& names);
void sign(X509& certificate, EVP_PKEY& key);
std::array<unsigned char, 16> random_serial();
std::string random_suffix();
Owned<GENERAL_NAME> general_name(const std::string& name);

Authority create_authority(const IssuedFiles& files) {
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
    write_pair(files.ca_cert, certificate, files.ca_key, *authority.key);
    return authority;
}

KeyPair new_leaf(const Authority& authority, const Names& names, KeyPtr key) {
    require(key != nullptr, "cannot generate a server key");
    KeyPair pair;
    pair.key = std::move(key);
    X509& issuer = *authority.certificate;
    const TimePoint start = std::chrono::system_clock::now() - backdating;
    // The last second is part of the lifetime (RFC 5280 section 4.1.2.5).
    pair.leaf = new_certificate(*pair.key, start, std::min(start + leaf_lifetime - 1s, describe(issuer).not_after));
    X509& leaf = *pair.leaf;
    // A name too long for a CN is in the SANs, where clients look; a subject must not be empty, for some of them.
    const bool fits = names.front().size() <= max_common_name;
    set_subject(leaf, fits ? "CN" : "O", fits ? names.front() : "pgairlock");
    set_issuer(leaf, issuer);
    const bool rsa = EVP_PKEY_is_a(pair.key.get(), "RSA") == 1;
    add_extension(leaf, issuer, {NID_basic_constraints, "critical,CA:FALSE"});
    // keyEncipherment: for the RSA key exchange of TLS 1.2 and below, which very old clients need.
    add_extension(leaf, issuer, {NID_key_usage, rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature"});
    add_extension(leaf, issuer, {NID_ext_key_usage, "serverAuth"});
    add_extension(leaf, issuer, {NID_subject_key_identifier, "hash"});
    add_extension(leaf, issuer, {NID_authority_key_identifier, "keyid:always"});
    add_alternative_names(leaf, names);
    sign(leaf, *authority.key);
    return pair;
}

X509Ptr new_certificate(EVP_PKEY& key, TimePoint not_before, TimePoint not_after) {
    X509Ptr certificate(X509_new());
    if (!certificate) throw std::bad_alloc();
    X509* const raw = certificate.get();
    const auto bytes = random_serial();
    const Owned<BIGNUM> serial(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
    require(X509_set_version(raw, X509_VERSION_3) == 1, "cannot set the version");
    require(serial && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(raw)) != nullptr, "cannot set the serial number");
    require(ASN1_TIME_set(X509_getm_notBefore(raw), std::chrono::system_clock::to_time_t(not_before)) != nullptr &&
                ASN1_TIME_set(X509_getm_notAfter(raw), std::chrono::system_clock::to_time_t(not_after)) != nullptr,
            "cannot set the validity");
    require(X509_set_pubkey(raw, &key) == 1, "cannot set the public key");
    return certificate;
}

void set_subject(X509& certificate, const char* field, const std::string& value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(value.data());
    X509_NAME* const subject = X509_get_subject_name(&certificate);
    require(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, bytes, static_cast<int>(value.size()), -1, 0) == 1,
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
    require(made && X509_add_ext(&certificate, made.get(), -1) == 1, std::string("cannot add the extension ") + extension.second);
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
    if (canonical_address(name)) {
        Owned<ASN1_STRING> address(a2i_IPADDRESS(name.c_str()));
        require(address != nullptr, "cannot encode an address");
        GENERAL_NAME_set0_value(entry.get(), GEN_IPADD, address.release());
    } else {
        Owned<ASN1_STRING> text(ASN1_STRING_type_new(V_ASN1_IA5STRING));
        require(text && ASN1_STRING_set(text.get(), name.data(), static_cast<int>(name.size())) == 1, "cannot encode a name");
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

// --- Files ---

/// A file that appears under its name whole, or not at all. For the holder of the Lock.
class NewFile {
 public:
    NewFile(const std::string& path, mode_t mode);
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile();
    void write(BIO& pem);
    void place();

 private:
    std::string path_;
    std::string temporary_;
    Descriptor fd_;
    bool placed_ = false;
};

[[noreturn]] void fail_with_errno(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

BioPtr new_buffer() {
    BioPtr bio(BIO_new(BIO_s_mem()));  // wipes its memory when it grows and when it is freed
    if (!bio) throw std::bad_alloc();
    return bio;
}

/// Both are complete on disk before either gets its name, so that a full disk leaves no key without its certificate. The key
/// first: a CA certificate without its key might already have been handed out.
void write_pair(const std::string& cert_path, X509& certificate, const std::string& key_path, EVP_PKEY& key) {
    const BioPtr cert_pem = new_buffer();
    const BioPtr key_pem = new_buffer();
    require(PEM_write_bio_X509(cert_pem.get(), &certificate) == 1, "cannot encode the certificate");
    require(PEM_write_bio_PrivateKey(key_pem.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1, "cannot encode the key");
    NewFile cert_file(cert_path, public_mode);
    NewFile key_file(key_path, secret_mode);
    cert_file.write(*cert_pem);
    key_file.write(*key_pem);
    key_file.place();
    cert_file.place();
}

/// The temporary name, from which what a crash left there is removed: O_EXCL then makes sure that the file is ours alone.
std::string free_name(const std::string& path) {
    std::string name = path + ".new";
    if (::unlink(name.c_str()) != 0 && errno != ENOENT) fail_with_errno("cannot remove \"" + name + "\"");
    return name;
}

NewFile::NewFile(const std::string& path, mode_t mode)
    : path_(path), temporary_(free_name(path)), fd_(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode) {
    // The umask has taken bits away, never added any.
    if (::fchmod(fd_.get(), mode) != 0) fail_with_errno("cannot set the permissions of \"" + temporary_ + "\"");
}

NewFile::~NewFile() {
    if (!placed_) ::unlink(temporary_.c_str());
}

void NewFile::write(BIO& pem) {
    char* data = nullptr;
    auto left = static_cast<std::size_t>(BIO_get_mem_data(&pem, &data));
    while (left > 0) {
        const ssize_t n = ::write(fd_.get(), data, left);
        if (n < 0 && errno != EINTR) fail_with_errno("cannot write \"" + temporary_ + "\"");
        if (n <= 0) continue;
        data += n;
        left -= static_cast<std::size_t>(n);
    }
    if (::fsync(fd_.get()) != 0) fail_with_errno("cannot write \"" + temporary_ + "\" to disk");
}

void NewFile::place() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno("cannot create \"" + path_ + "\"");
    placed_ = true;
    const Descriptor dir(fs::path(path_).parent_path().string(), O_RDONLY | O_DIRECTORY, 0);
    ::fsync(dir.get());  // some file systems cannot; the file is in place anyway
}

/// All missing folders are made for the owner alone; an existing one keeps the permissions that somebody gave it.
void make_directory(const fs::path& dir) {
    if (fs::is_directory(dir)) return;
    if (dir.has_parent_path() && dir.parent_path() != dir) make_directory(dir.parent_path());
    if (::mkdir(dir.c_str(), 0700) == 0 || (errno == EEXIST && fs::is_directory(dir))) return;
    fail_with_errno("cannot create the folder \"" + dir.string() + "\"");
}

Descriptor::Descriptor(const std::string& path, int flags, mode_t mode) : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) fail_with_errno("cannot open \"" + path + "\"");
}

Lock::Lock(const std::string& dir) : fd_((fs::path(dir) / ".lock").string(), O_RDWR | O_CREAT | O_NOFOLLOW, secret_mode) {
    const auto deadline = std::chrono::steady_clock::now() + lock_timeout;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) fail_with_errno("cannot lock \"" + dir + "\"");
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("another process has kept \"" + dir + "\" locked for too long: end it (fuser " + dir +
                                     "/.lock names it) and try again");
        }
        std::this_thread::sleep_for(lock_retry);
    }
}

}  // namespace
}  // namespace tls
