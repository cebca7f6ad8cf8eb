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
#include <sys/vfs.h>
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
#include "tls/issuing.hpp"
#include "tls/key_pair.hpp"
#include "tls/own_permissions.hpp"

namespace tls {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using TimePoint = std::chrono::system_clock::time_point;

constexpr auto renew_before = std::chrono::days(30);
/// Another process makes a few keys meanwhile, which takes seconds at most.
constexpr auto lock_timeout = 30s;
constexpr auto lock_retry = 20ms;
constexpr mode_t secret_mode = 0600;
constexpr mode_t public_mode = 0644;

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

bool exists(const std::string& path);
IssuedFiles files_in(const std::string& dir);
bool usable(const IssuedFiles& files);
void make_directory(const fs::path& dir);
Names names_of_previous(const IssuedFiles& files);
Authority load_authority(const IssuedFiles& files);
IssuedFiles issue_locked(const std::string& dir, const Names& names);
std::vector<std::string> what_was_made(const IssuedFiles& files);
bool is_volatile(const std::string& dir);

}  // namespace

IssuedFiles issue(const std::string& dir, const std::vector<std::string>& hosts) {
    const Names names = names_for(hosts);  // before anything is written
    make_directory(dir);
    const Lock lock(dir);
    return issue_locked(dir, names);
}

IssuedFiles ensure(const std::string& dir, WithoutAuthority without) {
    IssuedFiles files = files_in(dir);
    if (without == WithoutAuthority::refuse && !exists(files.ca_cert) && !exists(files.ca_key)) {
        throw std::runtime_error("the certificate authority of \"" + files.ca_cert +
                                 "\", which clients may trust, is gone. Put it back; a restart would make another one");
    }
    for (const std::string& key : {files.ca_key, files.ecdsa_key, files.rsa_key}) {
        if (std::string what = tighten(key); !what.empty()) files.tightened.push_back(std::move(what));
    }
    if (std::string what = tighten_folder(dir); !what.empty()) files.tightened.push_back(std::move(what));
    if (usable(files)) return files;  // without the lock: the folder may be read-only
    make_directory(dir);
    const Lock lock(dir);
    if (usable(files)) return files;  // another process was first
    IssuedFiles issued = issue_locked(dir, names_of_previous(files));
    issued.tightened = std::move(files.tightened);
    issued.made = what_was_made(issued);
    if (issued.ca_created && is_volatile(dir))
        issued.doubt = "the certificate authority was made in \"" + dir +
                       "\", on a file system that may not outlive this machine or container: then the next start "
                       "makes another one, which clients do not know. Keep the state directory on a volume";
    return issued;
}

bool is_renewal_due(const std::string& dir) { return !usable(files_in(dir)); }

std::string obstacle_to_ensure(const std::string& dir) {
    try {
        const IssuedFiles files = files_in(dir);
        const bool has_cert = exists(files.ca_cert), has_key = exists(files.ca_key);
        if (!has_cert && !has_key) return {};
        if (has_cert && has_key) {
            struct stat key {};
            const bool is_ours = ::stat(files.ca_key.c_str(), &key) == 0 && key.st_uid == ::geteuid();
            if (!is_ours || usable(files)) return {};
        }
        load_authority(files);
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

Authority load_authority(const std::string& dir) {
    const IssuedFiles files = files_in(dir);
    if (!exists(files.ca_cert) && !exists(files.ca_key))
        throw std::runtime_error("there is no certificate authority in \"" + dir +
                                 "\": pgairlock gen-cert makes one, and certificates of it");
    return load_authority(files);
}

// --- What is there ---

namespace {

bool good_leaf(const std::string& cert, const std::string& key, const Authority& authority);

config::File file_at(const std::string& path) { return {.path = path, .origin = {}}; }
config::Certificate own_pair(const std::string& cert, const std::string& key) {
    return {.cert_file = file_at(cert), .key_file = file_at(key), .ssl_passphrase_command = {}, .server_names = {}};
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

/// The CA's key need only exist: an operator may keep it from the proxy, which then cannot renew
/// but can serve.
bool usable(const IssuedFiles& files) {
    if (!exists(files.ca_cert) || !exists(files.ca_key)) return false;
    std::vector<config::Diagnostic> ignored;
    std::vector<X509Ptr> certificates = load_certificates(file_at(files.ca_cert), ignored, ignored);
    if (certificates.empty()) return false;
    const Authority authority{.certificate = std::move(certificates.front()), .key = nullptr};
    return good_leaf(files.ecdsa_cert, files.ecdsa_key, authority) &&
           good_leaf(files.rsa_cert, files.rsa_key, authority);
}

/// One that begins later was issued by a clock that was ahead. Where its authority does as well, it
/// is ours that is behind, as far as anybody knows.
bool is_timely(X509& leaf, X509& authority) {
    const TimePoint now = std::chrono::system_clock::now();
    const auto span = describe(leaf);
    if (span.not_before > now && describe(authority).not_before <= now) return false;
    return span.not_after >= now + renew_before;
}

bool good_leaf(const std::string& cert, const std::string& key, const Authority& authority) {
    std::vector<config::Diagnostic> ignored;
    const KeyPair pair = load_key_pair(own_pair(cert, key), ignored, ignored);
    if (!pair.leaf || !is_timely(*pair.leaf, *authority.certificate)) return false;
    const bool issued_here = X509_verify(pair.leaf.get(), X509_get0_pubkey(authority.certificate.get())) == 1;
    ERR_clear_error();
    return issued_here;
}

/// A dangling link counts as existing: it is somebody's arrangement (a secret not mounted yet), not
/// a free name.
bool exists(const std::string& path) { return fs::symlink_status(path).type() != fs::file_type::not_found; }

/// Renewing must not lose the names that clients use. Of files that cannot be read nothing is
/// known: localhost alone.
Names names_of_previous(const IssuedFiles& files) {
    Names names;
    std::vector<config::Diagnostic> ignored;
    for (const std::string& path : {files.ecdsa_cert, files.rsa_cert}) {
        const std::vector<X509Ptr> certificates = load_certificates(file_at(path), ignored, ignored);
        if (certificates.empty()) continue;
        for (const std::string& san : describe(*certificates.front()).sans) {
            if (std::optional<std::string> name = canonical_name(san.substr(san.find(':') + 1)))
                names.push_back(std::move(*name));
        }
    }
    return completed(std::move(names));
}

// --- Issuing ---

Authority load_authority(const IssuedFiles& files);
void write_pair(const std::string& cert_path, X509& certificate, const std::string& key_path, EVP_PKEY& key);

IssuedFiles issue_locked(const std::string& dir, const Names& names) {
    IssuedFiles files = files_in(dir);
    files.ca_created = !exists(files.ca_cert) && !exists(files.ca_key);
    const Authority authority = files.ca_created ? new_authority() : load_authority(files);
    if (files.ca_created) write_pair(files.ca_cert, *authority.certificate, files.ca_key, *authority.key);
    // All keys are made before the first file is replaced: making one takes long, and a reader may
    // come at any time.
    const KeyPair ecdsa = new_leaf(authority, names, LeafKey::ecdsa);
    const KeyPair rsa = new_leaf(authority, names, LeafKey::rsa);
    write_pair(files.ecdsa_cert, *ecdsa.leaf, files.ecdsa_key, *ecdsa.key);
    write_pair(files.rsa_cert, *rsa.leaf, files.rsa_key, *rsa.key);
    return files;
}

std::vector<std::string> what_was_made(const IssuedFiles& files) {
    std::vector<std::string> made;
    if (files.ca_created)
        made.push_back("made a certificate authority: clients that verify this proxy need " + files.ca_cert);
    std::vector<config::Diagnostic> ignored;
    for (const std::string& path : {files.ecdsa_cert, files.rsa_cert}) {
        const std::vector<X509Ptr> certificates = load_certificates(file_at(path), ignored, ignored);
        if (certificates.empty()) continue;
        made.push_back((files.ca_created ? "made " : "renewed ") + path + ": valid until " +
                       to_rfc3339(describe(*certificates.front()).not_after));
    }
    return made;
}

/// Memory, or the top layer of a container.
bool is_volatile(const std::string& dir) {
    struct statfs status {};
    if (::statfs(dir.c_str(), &status) != 0) return false;
    // statfs(2)
    constexpr unsigned long tmpfs = 0x01021994, ramfs = 0x858458f6, overlayfs = 0x794c7630;
    const auto type = static_cast<unsigned long>(status.f_type);
    return type == tmpfs || type == ramfs || type == overlayfs;
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
    std::vector<config::Diagnostic> ignored;  // nobody else writes these files
    KeyPair pair = load_key_pair(own_pair(files.ca_cert, files.ca_key), errors, ignored);
    Authority authority{.certificate = std::move(pair.leaf), .key = std::move(pair.key)};
    std::string faults = authority.certificate ? fault_of(authority) : "";
    for (const config::Diagnostic& error : errors) faults += (faults.empty() ? "" : "; ") + error.message;
    if (faults.empty()) return authority;
    if (faults.find("must be owned by") != std::string::npos) {
        throw std::runtime_error("the certificate authority of \"" + files.ca_key + "\" cannot be used: " + faults +
                                 ". Run this as the user who owns it");
    }
    throw std::runtime_error(
        "the certificate authority of \"" + files.ca_cert + "\" and \"" + files.ca_key + "\" cannot be used: " +
        faults + ". Correct this or restore both files from a backup; or move both away to have a new authority " +
        "made, whose ca.crt must then be given to the clients");
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

/// Both are complete on disk before either gets its name, so that a full disk leaves no key without
/// its certificate. The key first: a CA certificate without its key might already have been handed
/// out.
void write_pair(const std::string& cert_path, X509& certificate, const std::string& key_path, EVP_PKEY& key) {
    const BioPtr cert_pem = new_buffer();
    const BioPtr key_pem = new_buffer();
    const bool encoded = PEM_write_bio_X509(cert_pem.get(), &certificate) == 1 &&
                         PEM_write_bio_PrivateKey(key_pem.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
    if (!encoded)
        throw std::runtime_error("cannot encode certificate and key: " + take_openssl_error("no reason given"));
    NewFile cert_file(cert_path, public_mode);
    NewFile key_file(key_path, secret_mode);
    cert_file.write(*cert_pem);
    key_file.write(*key_pem);
    key_file.place();
    cert_file.place();
}

/// The temporary name, from which what a crash left there is removed: O_EXCL then makes sure that
/// the file is ours alone.
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

/// All missing folders are made for the owner alone; an existing one keeps the permissions that
/// somebody gave it.
void make_directory(const fs::path& dir) {
    if (fs::is_directory(dir)) return;
    if (dir.has_parent_path() && dir.parent_path() != dir) make_directory(dir.parent_path());
    if (::mkdir(dir.c_str(), 0700) == 0 || (errno == EEXIST && fs::is_directory(dir))) return;
    fail_with_errno("cannot create the folder \"" + dir.string() + "\"");
}

Descriptor::Descriptor(const std::string& path, int flags, mode_t mode)
    : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) fail_with_errno("cannot open \"" + path + "\"");
}

Lock::Lock(const std::string& dir)
    : fd_((fs::path(dir) / ".lock").string(), O_RDWR | O_CREAT | O_NOFOLLOW, secret_mode) {
    const auto deadline = std::chrono::steady_clock::now() + lock_timeout;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) fail_with_errno("cannot lock \"" + dir + "\"");
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("another process has kept \"" + dir + "\" locked for too long: end it (fuser " +
                                     dir + "/.lock names it) and try again");
        }
        std::this_thread::sleep_for(lock_retry);
    }
}

}  // namespace
}  // namespace tls
