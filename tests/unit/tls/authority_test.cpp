#include "tls/authority.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "support/catch.hpp"
#include "tls/bundle.hpp"
#include "tls/certificates.hpp"
#include "tls/key_pair.hpp"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Sans = std::vector<std::string>;

/// A folder that is gone after the test; `path` is not made yet.
struct TemporaryFolder {
    TemporaryFolder() {
        std::string name = (fs::temp_directory_path() / "pgairlock-authority-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        outer = name;
        path = (outer / "state" / "tls").string();
    }
    ~TemporaryFolder() { fs::remove_all(outer); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    fs::path outer;
    std::string path;
};

/// A folder with certificates for db.example.com in it. They are made once and copied: RSA keys
/// take long.
struct IssuedFolder : TemporaryFolder {
    IssuedFolder() {
        static const TemporaryFolder original;
        static const tls::IssuedFiles issued = tls::issue(original.path, {"db.example.com"});
        fs::create_directory(fs::path(path).parent_path());
        fs::copy(original.path, path);
        files = tls::ensure(path);
    }
    tls::IssuedFiles files;
};

/// The umask, back as it was afterwards.
struct Umask {
    explicit Umask(mode_t mask) : before(::umask(mask)) {}
    ~Umask() { ::umask(before); }
    Umask(const Umask&) = delete;
    Umask& operator=(const Umask&) = delete;
    mode_t before;
};

std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

void overwrite(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

mode_t mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

tls::KeyPair load(const std::string& cert, const std::string& key) {
    std::vector<config::Diagnostic> errors;
    tls::KeyPair pair = tls::load_key_pair(
        {.cert_file = {.path = cert, .origin = {}}, .key_file = {.path = key, .origin = {}}, .server_names = {}},
        errors, errors);
    for (const auto& error : errors) FAIL_CHECK(error.message);
    REQUIRE(pair.leaf);
    return pair;
}

tls::CertificateFacts facts(const std::string& cert) {
    std::vector<config::Diagnostic> errors;
    const auto certificates = tls::load_certificates({.path = cert, .origin = {}}, errors, errors);
    REQUIRE(certificates.size() == 1);
    return tls::describe(*certificates[0]);
}

/// X509_V_OK or why a client that trusts `ca` refuses `leaf`, by OpenSSL's strictest reading of the
/// standard.
int verdict(const std::string& leaf, const std::string& ca) {
    std::vector<config::Diagnostic> errors;
    const auto leaves = tls::load_certificates({.path = leaf, .origin = {}}, errors, errors);
    const auto anchors = tls::load_certificates({.path = ca, .origin = {}}, errors, errors);
    REQUIRE(leaves.size() == 1);
    REQUIRE(anchors.size() == 1);
    X509_STORE* const store = X509_STORE_new();
    X509_STORE_add_cert(store, anchors[0].get());
    X509_STORE_CTX* const context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store, leaves[0].get(), nullptr);
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    const int result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return result;
}

bool is_for_host(const tls::KeyPair& pair, const std::string& host) {
    return X509_check_host(pair.leaf.get(), host.data(), host.size(), 0, nullptr) == 1;
}

/// Rewrites a leaf of `files` with another end, signed by the authority there.
enum class Bound { begin, end };

void set_bound(const tls::IssuedFiles& files, const std::string& cert, Bound bound, std::chrono::hours from_now) {
    const tls::KeyPair authority = load(files.ca_cert, files.ca_key);
    std::vector<config::Diagnostic> errors;
    const auto certificates = tls::load_certificates({.path = cert, .origin = {}}, errors, errors);
    X509* const leaf = certificates.at(0).get();
    ASN1_TIME* const time = bound == Bound::begin ? X509_getm_notBefore(leaf) : X509_getm_notAfter(leaf);
    X509_gmtime_adj(time, std::chrono::duration_cast<std::chrono::seconds>(from_now).count());
    REQUIRE(X509_sign(leaf, authority.key.get(), EVP_sha256()) > 0);
    const tls::BioPtr bio(BIO_new_file(cert.c_str(), "w"));
    REQUIRE(PEM_write_bio_X509(bio.get(), leaf) == 1);
}

void set_end(const tls::IssuedFiles& files, const std::string& cert, std::chrono::hours from_now) {
    set_bound(files, cert, Bound::end, from_now);
}

std::string failure(const std::string& dir) {
    try {
        tls::issue(dir, {});
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    FAIL("issue() did not fail");
    return {};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an authority that was there is not replaced") {
    const TemporaryFolder folder;
    CHECK_THROWS_WITH(tls::ensure(folder.path, tls::WithoutAuthority::refuse),
                      Catch::Matchers::EndsWith("is gone. Put it back; a restart would make another one"));
    CHECK_FALSE(std::filesystem::exists(folder.path));
    const std::string before = content(tls::ensure(folder.path).ca_cert);
    CHECK(content(tls::ensure(folder.path, tls::WithoutAuthority::refuse).ca_cert) == before);
}

TEST_CASE("the first start gets certificates for localhost that verify") {
    const TemporaryFolder folder;
    const tls::IssuedFiles files = tls::ensure(folder.path);
    CHECK(files.ca_created);
    CHECK(verdict(files.ecdsa_cert, files.ca_cert) == X509_V_OK);
    CHECK(verdict(files.rsa_cert, files.ca_cert) == X509_V_OK);
    const tls::KeyPair ecdsa = load(files.ecdsa_cert, files.ecdsa_key);
    const tls::KeyPair rsa = load(files.rsa_cert, files.rsa_key);
    CHECK(EVP_PKEY_is_a(ecdsa.key.get(), "EC") == 1);
    CHECK(EVP_PKEY_get_bits(ecdsa.key.get()) == 256);
    CHECK(EVP_PKEY_is_a(rsa.key.get(), "RSA") == 1);
    CHECK(EVP_PKEY_get_bits(rsa.key.get()) == 2048);
    for (const tls::KeyPair* pair : {&ecdsa, &rsa}) {
        CHECK(is_for_host(*pair, "localhost"));
        CHECK(!is_for_host(*pair, "db.example.com"));
        CHECK(X509_check_ip_asc(pair->leaf.get(), "127.0.0.1", 0) == 1);
        CHECK(X509_check_ip_asc(pair->leaf.get(), "::1", 0) == 1);
        CHECK(tls::describe(*pair->leaf).subject == "CN=localhost");
        CHECK(tls::describe(*pair->leaf).sans == Sans{"DNS:localhost", "IP:127.0.0.1", "IP:::1"});
    }
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("the next start uses the same files") {
    const IssuedFolder folder;
    const std::string leaf = content(folder.files.ecdsa_cert);
    const tls::IssuedFiles next = tls::ensure(folder.path);
    CHECK(!next.ca_created);
    CHECK(next.ecdsa_cert == folder.files.ecdsa_cert);
    CHECK(content(next.ecdsa_cert) == leaf);
}

TEST_CASE("keys and folders are the owner's alone, whatever the umask") {
    const TemporaryFolder folder;
    const Umask umask(GENERATE(as<mode_t>(), 0, 077));
    const tls::IssuedFiles files = tls::issue(folder.path, {});
    for (const auto& key : {files.ca_key, files.ecdsa_key, files.rsa_key}) CHECK(mode_of(key) == 0600);
    for (const auto& cert : {files.ca_cert, files.ecdsa_cert, files.rsa_cert}) CHECK(mode_of(cert) == 0644);
    CHECK(mode_of(folder.path) == 0700);
    CHECK(mode_of(fs::path(folder.path).parent_path().string()) == 0700);
    for (const auto& entry : fs::directory_iterator(folder.path)) CHECK(entry.path().extension() != ".new");
}

TEST_CASE("the authority is marked as one that issues leaves only") {
    const IssuedFolder folder;
    const tls::IssuedFiles& files = folder.files;
    const tls::KeyPair authority = load(files.ca_cert, files.ca_key);
    X509* const ca = authority.leaf.get();
    CHECK(X509_check_ca(ca) == 1);
    CHECK(X509_get_pathlen(ca) == 0);
    CHECK(X509_get_key_usage(ca) == (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
    CHECK(X509_get0_subject_key_id(ca) != nullptr);
    CHECK(EVP_PKEY_get_bits(authority.key.get()) == 256);
    const tls::CertificateFacts described = tls::describe(*ca);
    CHECK(described.subject.substr(0, 16) == "CN=pgairlock CA ");
    CHECK(described.subject.size() == 24);
    CHECK(described.issuer == described.subject);
    CHECK(described.not_after > std::chrono::system_clock::now() + std::chrono::days(3650));

    const TemporaryFolder other;
    CHECK(facts(tls::issue(other.path, {}).ca_cert).subject != described.subject);
}

TEST_CASE("leaves are marked as servers and live 825 days at most") {
    const IssuedFolder folder;
    const tls::IssuedFiles& files = folder.files;
    const tls::KeyPair authority = load(files.ca_cert, files.ca_key);
    const tls::KeyPair ecdsa = load(files.ecdsa_cert, files.ecdsa_key);
    const tls::KeyPair rsa = load(files.rsa_cert, files.rsa_key);
    CHECK(X509_get_key_usage(ecdsa.leaf.get()) == KU_DIGITAL_SIGNATURE);
    CHECK(X509_get_key_usage(rsa.leaf.get()) == (KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT));
    for (const tls::KeyPair* pair : {&ecdsa, &rsa}) {
        X509* const leaf = pair->leaf.get();
        CHECK(X509_check_ca(leaf) == 0);
        CHECK(X509_get_extended_key_usage(leaf) == XKU_SSL_SERVER);
        CHECK(X509_get_signature_nid(leaf) == NID_ecdsa_with_SHA256);
        REQUIRE(X509_get0_authority_key_id(leaf) != nullptr);
        const auto* issuer_key = X509_get0_subject_key_id(authority.leaf.get());
        CHECK(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf), issuer_key) == 0);
        const tls::CertificateFacts described = tls::describe(*leaf);
        CHECK(described.not_after - described.not_before < std::chrono::days(825));
        CHECK(described.not_after - described.not_before > std::chrono::days(824));
        CHECK(described.not_before < std::chrono::system_clock::now() - 4min);
        CHECK(described.not_before > std::chrono::system_clock::now() - 7min);
        CHECK(described.serial.size() == 32);
    }
    CHECK(tls::describe(*ecdsa.leaf).serial != tls::describe(*rsa.leaf).serial);
}

TEST_CASE("leaves end with their authority") {
    const IssuedFolder folder;
    const tls::IssuedFiles& files = folder.files;
    set_end(files, files.ca_cert, 24h * 100);
    tls::issue(folder.path, {});
    CHECK(facts(files.ecdsa_cert).not_after == facts(files.ca_cert).not_after);
    CHECK(verdict(files.ecdsa_cert, files.ca_cert) == X509_V_OK);
}

TEST_CASE("new leaves come from the same authority") {
    const TemporaryFolder folder;
    const tls::IssuedFiles first = tls::issue(folder.path, {});
    const std::string ca_cert = content(first.ca_cert);
    const std::string ca_key = content(first.ca_key);
    const std::string key = content(first.ecdsa_key);
    const tls::IssuedFiles second = tls::issue(folder.path, {"db.example.com"});
    CHECK(first.ca_created);
    CHECK(!second.ca_created);
    CHECK(content(second.ca_cert) == ca_cert);
    CHECK(content(second.ca_key) == ca_key);
    CHECK(content(second.ecdsa_key) != key);
    CHECK(verdict(second.ecdsa_cert, first.ca_cert) == X509_V_OK);
    CHECK(is_for_host(load(second.rsa_cert, second.rsa_key), "db.example.com"));

    const TemporaryFolder other;
    CHECK(verdict(second.ecdsa_cert, tls::issue(other.path, {}).ca_cert) != X509_V_OK);
}

TEST_CASE("names are put into one spelling and used once") {
    const TemporaryFolder folder;
    const auto files = tls::issue(folder.path, {"DB.Example.com.", "10.0.0.1", "*.svc.local", "0:0::1",
                                                "db.example.com", "my_db", "LOCALHOST", "2001:DB8:0:0::5"});
    CHECK(facts(files.rsa_cert).subject == "CN=db.example.com");
    CHECK(facts(files.rsa_cert).sans == Sans{"DNS:db.example.com", "IP:10.0.0.1", "DNS:*.svc.local", "IP:::1",
                                             "DNS:my_db", "DNS:localhost", "IP:2001:db8::5", "IP:127.0.0.1"});
    const tls::KeyPair pair = load(files.ecdsa_cert, files.ecdsa_key);
    CHECK(is_for_host(pair, "a.svc.local"));
    CHECK(!is_for_host(pair, "svc.local"));
    CHECK(!is_for_host(pair, "a.b.svc.local"));
}

TEST_CASE("a name too long for a CN is an alternative name only") {
    const TemporaryFolder folder;
    const std::string longest_cn = std::string(40, 'a') + "." + std::string(23, 'b');
    CHECK(facts(tls::issue(folder.path, {longest_cn}).ecdsa_cert).subject == "CN=" + longest_cn);
    const tls::IssuedFiles files = tls::issue(folder.path, {"x" + longest_cn});
    CHECK(facts(files.ecdsa_cert).subject == "O=pgairlock");
    CHECK(is_for_host(load(files.ecdsa_cert, files.ecdsa_key), "x" + longest_cn));
    CHECK(verdict(files.ecdsa_cert, files.ca_cert) == X509_V_OK);
}

TEST_CASE("what is neither a name nor an address is refused before anything is written") {
    const TemporaryFolder folder;
    const std::vector<std::string> hosts = {"",
                                            ".",
                                            "a..b",
                                            "-a",
                                            "a-",
                                            "a b",
                                            "a,DNS:b",
                                            "a/b",
                                            "*",
                                            "*.",
                                            "a.*.b",
                                            "f*.b",
                                            "**.b",
                                            "1.2.3",
                                            "1.2.3.256",
                                            "[::1]",
                                            ":::",
                                            "host:5432",
                                            "fe80::1%lo",
                                            "a\nb",
                                            "bücher.de",
                                            "a.b..",
                                            std::string("a\0b", 3),
                                            std::string("::1\0", 4),
                                            std::string(64, 'a'),
                                            std::string(300, 'a')};
    for (const std::string& host : hosts) {
        INFO(host);
        CHECK_THROWS_AS(tls::issue(folder.path, {"good.example.com", host}), std::invalid_argument);
    }
    CHECK(!fs::exists(folder.path));
}

TEST_CASE("leaves about to expire are renewed by the same authority for the same names") {
    const TemporaryFolder folder;
    const tls::IssuedFiles files = tls::issue(folder.path, {"db.example.com", "10.0.0.1"});
    const std::string ca = content(files.ca_cert);
    const Sans names = facts(files.ecdsa_cert).sans;

    set_end(files, files.ecdsa_cert, 24h * 31);
    const std::string still_good = content(files.ecdsa_cert);
    tls::ensure(folder.path);
    CHECK(content(files.ecdsa_cert) == still_good);

    set_end(files, files.ecdsa_cert, 24h * 29);
    CHECK(!tls::ensure(folder.path).ca_created);
    CHECK(facts(files.ecdsa_cert).not_after > std::chrono::system_clock::now() + std::chrono::days(800));
    CHECK(facts(files.ecdsa_cert).sans == names);
    CHECK(facts(files.rsa_cert).sans == names);
    CHECK(content(files.ca_cert) == ca);
}

TEST_CASE("what is made is said, and whether a renewal is due") {
    const TemporaryFolder folder;
    const tls::IssuedFiles first = tls::ensure(folder.path);
    REQUIRE(first.made.size() == 3);
    CHECK(first.made[0] == "made a certificate authority: clients that verify this proxy need " + first.ca_cert);
    CHECK(contains(first.made[1], "made " + first.ecdsa_cert + ": valid until 20"));
    CHECK(contains(first.made[2], "made " + first.rsa_cert + ": valid until 20"));
    CHECK_FALSE(tls::is_renewal_due(folder.path));
    CHECK(tls::ensure(folder.path).made.empty());

    set_end(first, first.rsa_cert, 24h * 29);
    CHECK(tls::is_renewal_due(folder.path));
    const tls::IssuedFiles renewed = tls::ensure(folder.path);
    REQUIRE(renewed.made.size() == 2);
    CHECK(contains(renewed.made[1], "renewed " + first.rsa_cert + ": valid until 20"));
    CHECK_FALSE(tls::is_renewal_due(folder.path));
}

TEST_CASE("leaves of a clock that was ahead are renewed once it is right") {
    const TemporaryFolder folder;
    const tls::IssuedFiles files = tls::issue(folder.path, {"db.example.com"});
    set_bound(files, files.rsa_cert, Bound::begin, 24h * 100);
    tls::ensure(folder.path);
    CHECK(facts(files.rsa_cert).not_before < std::chrono::system_clock::now());
    CHECK(facts(files.rsa_cert).sans == facts(files.ecdsa_cert).sans);

    // Where even the authority is still to come, it may be this clock that is wrong.
    set_bound(files, files.ca_cert, Bound::begin, 24h * 100);
    set_bound(files, files.rsa_cert, Bound::begin, 24h * 100);
    const std::string leaf = content(files.rsa_cert);
    tls::ensure(folder.path);
    CHECK(content(files.rsa_cert) == leaf);
}

TEST_CASE("leaves that cannot be used are replaced at the next start") {
    const IssuedFolder folder;
    const tls::IssuedFiles& files = folder.files;
    const std::string ca = content(files.ca_cert);
    SECTION("garbage for a certificate") { overwrite(files.rsa_cert, "garbage"); }
    SECTION("garbage for a key") { overwrite(files.rsa_key, "garbage"); }
    SECTION("a missing key") { fs::remove(files.ecdsa_key); }
    SECTION("a missing certificate") { fs::remove(files.ecdsa_cert); }
    SECTION("another key") { overwrite(files.ecdsa_key, content(files.rsa_key)); }
    SECTION("a key that the world can read") { fs::permissions(files.ecdsa_key, fs::perms(0644)); }
    SECTION("leaves of another authority") {
        const TemporaryFolder other;
        const tls::IssuedFiles others = tls::issue(other.path, {"db.example.com"});
        overwrite(files.rsa_key, content(others.rsa_key));
        overwrite(files.rsa_cert, content(others.rsa_cert));
    }
    CHECK(!tls::ensure(folder.path).ca_created);
    CHECK(content(files.ca_cert) == ca);
    CHECK(verdict(files.ecdsa_cert, files.ca_cert) == X509_V_OK);
    CHECK(verdict(files.rsa_cert, files.ca_cert) == X509_V_OK);
    CHECK(is_for_host(load(files.ecdsa_cert, files.ecdsa_key), "db.example.com"));
    CHECK(is_for_host(load(files.rsa_cert, files.rsa_key), "db.example.com"));
    CHECK(mode_of(files.ecdsa_key) == 0600);
}

TEST_CASE("keys that others got access to, as the group of a Kubernetes volume does, are closed again and used") {
    const IssuedFolder folder;
    const tls::IssuedFiles& files = folder.files;
    const std::string ca_key = content(files.ca_key);
    const std::string leaf = content(files.ecdsa_cert);
    for (const std::string& key : {files.ca_key, files.ecdsa_key, files.rsa_key}) fs::permissions(key, fs::perms(0664));
    const tls::IssuedFiles again = tls::ensure(folder.path);
    REQUIRE(again.tightened.size() == 3);
    CHECK(again.tightened.front() ==
          files.ca_key + " was open to group or others: its permissions are u=rw (0600) again");
    for (const std::string& key : {files.ca_key, files.ecdsa_key, files.rsa_key}) CHECK(mode_of(key) == 0600);
    CHECK(content(files.ca_key) == ca_key);
    CHECK(content(files.ecdsa_cert) == leaf);
    CHECK(tls::ensure(folder.path).tightened.empty());
}

TEST_CASE("a folder of keys where others could put theirs is closed to them again") {
    const IssuedFolder folder;
    fs::permissions(folder.path, fs::perms(0777));
    const tls::IssuedFiles again = tls::ensure(folder.path);
    REQUIRE(again.tightened.size() == 1);
    CHECK(again.tightened.front().find(folder.path) != std::string::npos);
    CHECK(mode_of(folder.path) == 0755);
    CHECK(tls::ensure(folder.path).tightened.empty());
}

TEST_CASE("an authority that cannot be used is reported and never overwritten") {
    const IssuedFolder folder;
    const tls::IssuedFiles& files = folder.files;
    SECTION("its key is missing") { fs::remove(files.ca_key); }
    SECTION("its certificate is missing") { fs::remove(files.ca_cert); }
    SECTION("its key is another's") { overwrite(files.ca_key, content(files.ecdsa_key)); }
    SECTION("its key is garbage") { overwrite(files.ca_key, "garbage"); }
    SECTION("its certificate is garbage") { overwrite(files.ca_cert, "garbage"); }
    SECTION("it is a leaf") {
        overwrite(files.ca_cert, content(files.ecdsa_cert));
        overwrite(files.ca_key, content(files.ecdsa_key));
    }
    SECTION("it has expired") { set_end(files, files.ca_cert, -1h); }
    SECTION("its files are links to nowhere") {
        for (const auto& path : {files.ca_cert, files.ca_key}) {
            fs::remove(path);
            fs::create_symlink("/nonexistent/mount", path);
        }
    }
    const std::string ca_cert = content(files.ca_cert);
    const std::string ca_key = content(files.ca_key);
    const std::string leaf = content(files.ecdsa_cert);
    const std::string message = failure(folder.path);
    CHECK(contains(message, files.ca_cert));
    CHECK(contains(message, "restore both files from a backup"));
    CHECK(content(files.ca_cert) == ca_cert);
    CHECK(content(files.ca_key) == ca_key);
    CHECK(content(files.ecdsa_cert) == leaf);

    fs::remove(files.ecdsa_cert);
    CHECK_THROWS_AS(tls::ensure(folder.path), std::runtime_error);
    CHECK(content(files.ca_cert) == ca_cert);
    CHECK(content(files.ca_key) == ca_key);
}

TEST_CASE("where an authority has never been, what makes one is named, and nothing is to be restored") {
    const TemporaryFolder folder;
    std::string said;
    try {
        tls::load_authority(folder.path);
    } catch (const std::runtime_error& error) {
        said = error.what();
    }
    CHECK(said.find("pgairlock gen-cert") != std::string::npos);
    CHECK(said.find("restore") == std::string::npos);
}

TEST_CASE("what a crash left under a temporary name is no obstacle") {
    const TemporaryFolder folder;
    fs::create_directories(folder.path);
    overwrite(folder.path + "/ca.key.new", "half a k");
    fs::create_symlink("/nonexistent/target", folder.path + "/server-rsa.key.new");
    const tls::IssuedFiles files = tls::issue(folder.path, {});
    CHECK(mode_of(files.ca_key) == 0600);
    CHECK(fs::is_regular_file(fs::symlink_status(files.rsa_key)));
    CHECK(!fs::exists(files.ca_key + ".new"));
}

TEST_CASE("a folder that cannot be made or written is named") {
    const TemporaryFolder folder;
    overwrite((folder.outer / "file").string(), "");
    const std::string dir = (folder.outer / "file").string();
    CHECK(contains(failure(dir), dir));
    CHECK_THROWS_AS(tls::ensure(dir + "/tls"), std::runtime_error);
    CHECK_THROWS_AS(tls::ensure(""), std::runtime_error);
}

TEST_CASE("of several first starts at once one makes the files and all use them") {
    const TemporaryFolder folder;
    std::vector<tls::IssuedFiles> results(4);
    std::vector<std::thread> starts;
    for (tls::IssuedFiles& result : results) {
        starts.emplace_back([&] { result = tls::ensure(folder.path); });
    }
    for (std::thread& start : starts) start.join();
    CHECK(std::count_if(results.begin(), results.end(), [](const auto& files) { return files.ca_created; }) == 1);
    CHECK(verdict(results[0].ecdsa_cert, results[0].ca_cert) == X509_V_OK);
    CHECK(verdict(results[0].rsa_cert, results[0].ca_cert) == X509_V_OK);
    load(results[0].rsa_cert, results[0].rsa_key);
}

TEST_CASE("issuing waits for another process that does") {
    const TemporaryFolder folder;
    tls::issue(folder.path, {});
    std::FILE* const lock = std::fopen((folder.path + "/.lock").c_str(), "r");
    REQUIRE(lock != nullptr);
    REQUIRE(::flock(::fileno(lock), LOCK_EX) == 0);
    std::atomic<bool> done = false;
    std::thread other([&] {
        tls::issue(folder.path, {});
        done = true;
    });
    std::this_thread::sleep_for(100ms);
    const bool done_too_early = done;
    std::fclose(lock);
    other.join();
    CHECK(!done_too_early);
    CHECK(done);
}
