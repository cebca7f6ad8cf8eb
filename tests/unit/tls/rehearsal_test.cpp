#include "tls/rehearsal.hpp"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <array>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "tls/upstream_context.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::system_clock;
using tls::KeyPtr;
using tls::X509Ptr;

/// A certificate and its key.
struct Identity {
    X509Ptr certificate;
    KeyPtr key;
};

struct Spec {
    std::string name;
    bool is_ca = true;
    const EVP_MD* digest = EVP_sha256();
    Clock::time_point not_before = Clock::now() - 24h;
    Clock::time_point not_after = Clock::now() + 24h * 365;
};

/// `issuer`: nullptr: self-signed.
X509Ptr certify(const Spec& spec, const KeyPtr& key, const Identity* issuer) {
    X509Ptr certificate(X509_new());
    X509* const raw = certificate.get();
    static std::uint64_t serial = 0;
    X509_set_version(raw, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(raw), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(raw), Clock::to_time_t(spec.not_before));
    ASN1_TIME_set(X509_getm_notAfter(raw), Clock::to_time_t(spec.not_after));
    const auto* name = reinterpret_cast<const unsigned char*>(spec.name.c_str());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8, name, -1, -1, 0);
    X509_set_issuer_name(raw, X509_get_subject_name(issuer ? issuer->certificate.get() : raw));
    X509_set_pubkey(raw, key.get());
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    const std::string constraints = spec.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE";
    const tls::Owned<X509_EXTENSION> extension(
        X509V3_EXT_conf_nid(nullptr, &context, NID_basic_constraints, constraints.c_str()));
    X509_add_ext(raw, extension.get(), -1);
    REQUIRE(X509_sign(raw, (issuer ? issuer->key : key).get(), spec.digest) > 0);
    return certificate;
}

Identity make(const Spec& spec, const Identity* issuer = nullptr, KeyPtr key = KeyPtr(EVP_EC_gen("P-256"))) {
    Identity identity{.certificate = certify(spec, key, issuer), .key = std::move(key)};
    return identity;
}

/// Of `issuer`, revoking nothing.
tls::CrlPtr revocations(const Identity& issuer, Clock::time_point this_update,
                        std::optional<Clock::time_point> next_update) {
    tls::CrlPtr crl(X509_CRL_new());
    X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.certificate.get()));
    const auto at = [](Clock::time_point time) {
        return tls::Owned<ASN1_STRING>(ASN1_TIME_set(nullptr, Clock::to_time_t(time)));
    };
    X509_CRL_set1_lastUpdate(crl.get(), at(this_update).get());
    if (next_update) X509_CRL_set1_nextUpdate(crl.get(), at(*next_update).get());
    REQUIRE(X509_CRL_sign(crl.get(), issuer.key.get(), EVP_sha256()) > 0);
    return crl;
}

/// What a proxy with the candidates that it was made with hears from a server.
class Rehearsing {
   public:
    explicit Rehearsing(const std::vector<const Identity*>& candidates, const std::vector<const X509_CRL*>& crls = {}) {
        const std::string path = folder_.file("candidate.crt");
        const tls::BioPtr file(BIO_new_file(path.c_str(), "w"));
        for (const Identity* candidate : candidates) PEM_write_bio_X509(file.get(), candidate->certificate.get());
        BIO_flush(file.get());
        config::Upstream settings;
        settings.name = "db";
        settings.sslmode = protocol::SslMode::require;
        settings.sslrootcert_candidate = {{.path = path, .origin = {}}};
        if (!crls.empty()) {
            settings.sslcrl = {.path = folder_.file("candidate.crl"), .origin = {}};
            const tls::BioPtr list(BIO_new_file(settings.sslcrl.path.c_str(), "w"));
            for (const X509_CRL* crl : crls) PEM_write_bio_X509_CRL(list.get(), crl);
        }
        std::vector<config::Diagnostic> errors, warnings;
        context_.emplace(settings, errors, warnings);
        REQUIRE(errors.empty());
    }

    /// A whole connection to a server that shows `server` and sends `issuers` with it.
    std::optional<bool> candidate_ok(const Identity& server, const std::vector<const Identity*>& issuers,
                                     Clock::time_point now = Clock::now()) const {
        return heard(server, issuers, now).candidate_ok;
    }

    tls::ServerTls heard(const Identity& server, const std::vector<const Identity*>& issuers,
                         Clock::time_point now = Clock::now()) const {
        const tls::SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
        SSL_CTX_set_security_level(context.get(), 0);  // it is the proxy that has to object
        REQUIRE(SSL_CTX_use_certificate(context.get(), server.certificate.get()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey(context.get(), server.key.get()) == 1);
        for (const Identity* issuer : issuers) SSL_CTX_add1_chain_cert(context.get(), issuer->certificate.get());
        const tls::SslPtr far(SSL_new(context.get()));
        const tls::SslPtr near = context_->connect("db.example.com");
        BIO* near_end = nullptr;
        BIO* far_end = nullptr;
        REQUIRE(BIO_new_bio_pair(&near_end, 0, &far_end, 0) == 1);
        SSL_set_bio(near.get(), near_end, near_end);
        SSL_set_bio(far.get(), far_end, far_end);
        SSL_set_accept_state(far.get());
        for (int i = 0; i < 10 && !SSL_is_init_finished(near.get()); ++i) {
            SSL_do_handshake(near.get());
            SSL_do_handshake(far.get());
        }
        REQUIRE(SSL_is_init_finished(near.get()));
        return context_->describe(near.get(), now);
    }

    /// Subjects of candidates that a chain has ended in.
    std::vector<std::string> used() const {
        std::vector<std::string> subjects;
        for (const tls::CertificateInUse& one : context_->in_use()) {
            if (one.used) subjects.push_back(one.certificate->subject);
        }
        return subjects;
    }

   private:
    support::Folder folder_;
    std::optional<tls::UpstreamContext> context_;
};

}  // namespace

TEST_CASE("what a server sends behind its certificate is described, once for as long as it is the same") {
    const Identity root = make({.name = "root"});
    const Identity middle = make({.name = "middle"}, &root);
    const Identity crossed = make({.name = "middle", .not_after = Clock::now() + 24h}, &root);
    const Identity server = make({.name = "server", .is_ca = false}, &middle);
    const Rehearsing proxy({&root});
    CHECK(proxy.heard(server, {}).intermediates == nullptr);
    const auto first = proxy.heard(server, {&middle});
    REQUIRE(first.intermediates);
    REQUIRE(first.intermediates->size() == 1);
    CHECK(first.intermediates->front()->subject == "CN=middle");
    CHECK(proxy.heard(server, {&middle}).intermediates == first.intermediates);
    const auto other = proxy.heard(server, {&crossed});
    CHECK(other.leaf == first.leaf);
    REQUIRE(other.intermediates);
    CHECK(other.intermediates != first.intermediates);
    CHECK(other.intermediates->front()->not_after < first.intermediates->front()->not_after);
}

TEST_CASE("a candidate is used once a server's chain ends in it") {
    const Identity root = make({.name = "root"}), unused = make({.name = "unused"});
    const Identity server = make({.name = "server", .is_ca = false}, &root);
    const Rehearsing proxy({&unused, &root});
    CHECK(proxy.used().empty());
    CHECK(proxy.candidate_ok(make({.name = "stranger", .is_ca = false}), {}) == false);
    CHECK(proxy.used().empty());
    CHECK(proxy.candidate_ok(server, {}) == true);
    CHECK(proxy.used() == std::vector<std::string>{"CN=root"});
}

TEST_CASE("a rehearsal says yes to what the candidate has issued, and no to the rest") {
    const Identity ca = make({.name = "new CA"});
    const Identity other = make({.name = "old CA"});
    const Rehearsing proxy({&ca});
    CHECK(proxy.candidate_ok(make({.name = "server", .is_ca = false}, &ca), {}) == true);
    CHECK(proxy.candidate_ok(make({.name = "server", .is_ca = false}, &other), {}) == false);
}

TEST_CASE("a rehearsal is no laxer than a handshake: keys and digests have to be strong enough") {
    const Identity weak_key = make({.name = "RSA-1024 CA"}, nullptr, KeyPtr(EVP_RSA_gen(1024)));
    const Identity ca = make({.name = "CA"}, nullptr, KeyPtr(EVP_RSA_gen(2048)));
    const Identity sha1 = make({.name = "SHA-1 issuer", .digest = EVP_sha1()}, &ca);
    const Rehearsing proxy({&weak_key, &ca});
    CHECK(proxy.candidate_ok(make({.name = "server", .is_ca = false}, &weak_key), {}) == false);
    CHECK(proxy.candidate_ok(make({.name = "server", .is_ca = false}, &sha1), {&sha1}) == false);
    CHECK(proxy.candidate_ok(make({.name = "server", .is_ca = false}, &ca), {}) == true);
}

TEST_CASE("the same leaf with other issuers is judged anew") {
    const Identity ca = make({.name = "CA"});
    const Identity intermediate = make({.name = "intermediate"}, &ca);
    const Identity server = make({.name = "server", .is_ca = false}, &intermediate);
    const Rehearsing proxy({&ca});
    CHECK(proxy.candidate_ok(server, {&intermediate}) == true);
    CHECK(proxy.candidate_ok(server, {}) == false);
    CHECK(proxy.candidate_ok(server, {&intermediate}) == true);
}

TEST_CASE("a rehearsal's answer ends with the validity of what it is about") {
    const auto now = Clock::now();
    const Identity soon_over = make({.name = "CA", .not_after = now + 10min});
    const Identity not_yet = make({.name = "CA to come", .not_before = now + 20min});
    const Rehearsing proxy({&soon_over, &not_yet});

    const Identity first = make({.name = "first", .is_ca = false}, &soon_over);
    CHECK(proxy.candidate_ok(first, {}, now) == true);
    CHECK(proxy.candidate_ok(first, {}, now + 9min) == true);
    CHECK(proxy.candidate_ok(first, {}, now + 11min) == false);
    CHECK(proxy.candidate_ok(first, {}, now) == true);  // a clock that was wrong and set back

    const Identity second = make({.name = "second", .is_ca = false}, &not_yet);
    CHECK(proxy.candidate_ok(second, {}, now) == false);
    CHECK(proxy.candidate_ok(second, {}, now + 19min) == false);
    CHECK(proxy.candidate_ok(second, {}, now + 21min) == true);

    const Identity intermediate = make({.name = "intermediate", .not_after = now + 30min}, &not_yet);
    const Identity third = make({.name = "third", .is_ca = false}, &intermediate);
    CHECK(proxy.candidate_ok(third, {&intermediate}, now + 25min) == true);
    CHECK(proxy.candidate_ok(third, {&intermediate}, now + 31min) == false);
}

TEST_CASE("a rehearsal's answer ends where a CRL that it is by begins or ceases to hold") {
    const auto now = Clock::now();
    const Identity ca = make({.name = "CA"});
    const Identity server = make({.name = "server", .is_ca = false}, &ca);

    const tls::CrlPtr soon_over = revocations(ca, now - 1h, now + 10min);
    const Rehearsing until({&ca}, {soon_over.get()});
    CHECK(until.candidate_ok(server, {}, now) == true);
    CHECK(until.candidate_ok(server, {}, now + 9min) == true);
    CHECK(until.candidate_ok(server, {}, now + 11min) == false);

    const tls::CrlPtr not_yet = revocations(ca, now + 20min, std::nullopt);
    const Rehearsing from({&ca}, {not_yet.get()});
    CHECK(from.candidate_ok(server, {}, now) == false);
    CHECK(from.candidate_ok(server, {}, now + 19min) == false);
    CHECK(from.candidate_ok(server, {}, now + 21min) == true);
    CHECK(from.candidate_ok(server, {}, now + 80min) == true);  // it names no end
}
