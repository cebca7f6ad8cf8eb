#include <openssl/ssl.h>

#include <memory>

#include "support/catch.hpp"
#include "support/certificate_files.hpp"
#include "tls/upstream_context.hpp"

namespace {

using namespace support;

/// An authority, and what can be asked of it.
struct Ca {
    KeyPtr key = new_key();
    X509Ptr certificate;
    explicit Ca(const std::string& name) : certificate(certificate_for(key, {.common_name = name, .is_ca = true})) {}
    /// Another certificate of the same name and key, as when it is renewed.
    X509Ptr renewed(const std::string& name) const {
        return certificate_for(key, {.common_name = name, .not_after = "20310101000000Z", .is_ca = true});
    }
};

/// A server whose certificate `ca` has issued; without one it signs for itself.
class Server {
   public:
    explicit Server(const Ca* ca = nullptr) : context_(SSL_CTX_new(TLS_server_method())) {
        const KeyPtr key = new_key();
        const Spec spec{.common_name = "server", .sans = {{GEN_DNS, "db.example.com"}}};
        if (ca) {
            const Issuer issuer{ca->certificate, ca->key};
            leaf_ = certificate_for(key, spec, &issuer);
        } else {
            leaf_ = certificate_for(key, spec);
        }
        REQUIRE(SSL_CTX_use_certificate(context_.get(), leaf_.get()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1);
    }

    tls::ServerTls met_by(const tls::UpstreamContext& client) const {
        const tls::SslPtr far(SSL_new(context_.get()));
        const tls::SslPtr near = client.connect("db.example.com");
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
        return client.describe(near.get());
    }

   private:
    tls::SslCtxPtr context_;
    X509Ptr leaf_;
};

/// Verifies by `anchors`, or not at all.
std::unique_ptr<const tls::UpstreamContext> upstream(const TemporaryFolder& folder, const std::string& anchors) {
    config::Upstream settings;
    settings.name = "db";
    settings.sslmode = anchors.empty() ? protocol::SslMode::require : protocol::SslMode::verify_full;
    if (!anchors.empty()) settings.sslrootcert = {folder.write("anchors.pem", anchors)};
    Errors errors, warnings;
    auto made = std::make_unique<const tls::UpstreamContext>(settings, errors, warnings);
    REQUIRE(errors.empty());
    return made;
}

}  // namespace

TEST_CASE("two authorities of one name are told apart by their keys") {
    const TemporaryFolder folder;
    const Ca before("The CA"), after("The CA");
    const tls::ServerTls of_before = Server(&before).met_by(*upstream(folder, pem(before.certificate)));
    const tls::ServerTls of_after = Server(&after).met_by(*upstream(folder, pem(after.certificate)));
    CHECK(of_before.anchor == "CN=The CA");
    CHECK(of_after.anchor == "CN=The CA");
    CHECK(of_before.anchor_key_sha256 == tls::key_sha256(*before.certificate));
    CHECK(of_after.anchor_key_sha256 == tls::key_sha256(*after.certificate));
    CHECK(of_before.anchor_key_sha256 != of_after.anchor_key_sha256);
}

TEST_CASE("an authority that is renewed under its key is the same one") {
    const TemporaryFolder folder;
    const Ca ca("The CA");
    const Server server(&ca);
    const std::string before = server.met_by(*upstream(folder, pem(ca.certificate))).anchor_key_sha256;
    const X509Ptr renewed = ca.renewed("The CA");
    CHECK(tls::digest(*renewed) != tls::digest(*ca.certificate));
    CHECK(server.met_by(*upstream(folder, pem(renewed))).anchor_key_sha256 == before);
}

TEST_CASE("a chain that is not verified has no anchor, and no key of one") {
    const TemporaryFolder folder;
    const tls::ServerTls met = Server().met_by(*upstream(folder, ""));
    CHECK(met.leaf);
    CHECK(met.anchor.empty());
    CHECK(met.anchor_key_sha256.empty());
}

TEST_CASE("one leaf more than is remembered is no reason to forget those that are in use") {
    const TemporaryFolder folder;
    const auto client = upstream(folder, "");
    const Server used;
    const auto first = used.met_by(*client).leaf;
    const Server unused;
    const auto forgotten = unused.met_by(*client).leaf;
    for (std::size_t i = 0; i < tls::UpstreamContext::max_remembered_leaves; ++i) {
        Server().met_by(*client);
        if (i % 100 == 0) CHECK(used.met_by(*client).leaf == first);
    }
    CHECK(used.met_by(*client).leaf == first);
    CHECK(unused.met_by(*client).leaf != forgotten);
}
