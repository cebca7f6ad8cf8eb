#include "tls/judgement.hpp"

#include <openssl/ssl.h>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "tls/authority.hpp"
#include "tls/upstream_context.hpp"

namespace {

using Naming = tls::UpstreamContext::Naming;
using protocol::SslMode;

/// A server's certificate and the authority that issued it.
class Issuer {
   public:
    explicit Issuer(const std::string& name) : files_(tls::issue(folder_.file("ca"), {name})) {}
    const std::string& ca() const { return files_.ca_cert; }
    tls::SslCtxPtr server() const {
        tls::SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
        REQUIRE(SSL_CTX_use_certificate_chain_file(context.get(), files_.ecdsa_cert.c_str()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey_file(context.get(), files_.ecdsa_key.c_str(), SSL_FILETYPE_PEM) == 1);
        return context;
    }

   private:
    support::Folder folder_;
    tls::IssuedFiles files_;
};

std::unique_ptr<tls::UpstreamContext> upstream(SslMode mode, const std::vector<std::string>& anchors) {
    config::Upstream settings;
    settings.name = "db";
    settings.sslmode = mode;
    for (const std::string& file : anchors) settings.sslrootcert.push_back({.path = file, .origin = {}});
    std::vector<config::Diagnostic> errors, warnings;
    auto context = std::make_unique<tls::UpstreamContext>(settings, errors, warnings);
    REQUIRE(errors.empty());
    return context;
}

/// Our end of a connection, and what its own handshake noted.
struct Connection {
    tls::SslCtxPtr server;
    tls::SslPtr far;
    tls::SslPtr near;
    tls::HandshakeNotes notes;
    ~Connection() { tls::HandshakeNotes::detach(near.get()); }
};

std::unique_ptr<Connection> connect(const tls::UpstreamContext& ours, const Issuer& issuer, const std::string& host) {
    auto made = std::make_unique<Connection>();
    made->server = issuer.server();
    made->far.reset(SSL_new(made->server.get()));
    made->near = ours.connect(host);
    made->notes.attach(made->near.get());
    BIO* near_end = nullptr;
    BIO* far_end = nullptr;
    REQUIRE(BIO_new_bio_pair(&near_end, 0, &far_end, 0) == 1);
    SSL_set_bio(made->near.get(), near_end, near_end);
    SSL_set_bio(made->far.get(), far_end, far_end);
    SSL_set_accept_state(made->far.get());
    for (int i = 0; i < 10; ++i) {
        SSL_do_handshake(made->near.get());
        SSL_do_handshake(made->far.get());
    }
    return made;
}

}  // namespace

TEST_CASE("judgement: what was seen comes to what a handshake of its own would have come to") {
    const Issuer good("db.example.com"), other("db.example.com");
    const auto looking = upstream(SslMode::require, {});
    for (const char* host : {"db.example.com", "elsewhere.example.com"}) {
        const auto seen = connect(*looking, good, host);
        REQUIRE(SSL_is_init_finished(seen->near.get()));
        for (const SslMode mode : {SslMode::require, SslMode::verify_ca, SslMode::verify_full}) {
            for (const auto& anchors :
                 {std::vector{good.ca()}, std::vector{other.ca()}, std::vector{other.ca(), good.ca()}}) {
                CAPTURE(host, static_cast<int>(mode), anchors);
                const auto judging = upstream(mode, anchors);
                const auto own = connect(*judging, good, host);
                const tls::Judgement judgement = judging->judge(seen->near.get(), host, judging->naming());
                CHECK(judgement.ok() == (SSL_is_init_finished(own->near.get()) != 0));
                CHECK(judgement.failure.code == own->notes.verify.code);
                CHECK(judgement.failure.depth == own->notes.verify.depth);
                CHECK(judgement.failure.certificate == own->notes.verify.certificate);
                CHECK(judgement.anchor.empty() == !judgement.ok());
            }
        }
    }
}

TEST_CASE("judgement: names are demanded only when they are asked for, whatever sslmode says") {
    const Issuer issuer("db.example.com");
    const auto looking = upstream(SslMode::require, {});
    const auto seen = connect(*looking, issuer, "elsewhere.example.com");
    const auto judging = upstream(SslMode::verify_ca, {issuer.ca()});
    CHECK(judging->judge(seen->near.get(), "elsewhere.example.com", Naming::left_out).ok());
    CHECK(judging->judge(seen->near.get(), "elsewhere.example.com", Naming::demanded).failure.code ==
          X509_V_ERR_HOSTNAME_MISMATCH);
    CHECK(judging->judge(seen->near.get(), "db.example.com", Naming::demanded).ok());
}

TEST_CASE("judgement: the chain has the anchor and its file where it verifies, and what was sent where not") {
    const Issuer issuer("db.example.com"), other("db.example.com");
    const auto looking = upstream(SslMode::require, {});
    const auto seen = connect(*looking, issuer, "db.example.com");
    const auto verified = upstream(SslMode::verify_full, {other.ca(), issuer.ca()})
                              ->judge(seen->near.get(), "db.example.com", Naming::demanded);
    REQUIRE(verified.chain.size() == 2);
    CHECK((verified.chain[0].sent && verified.chain[0].anchor_file.empty()));
    CHECK((!verified.chain[1].sent && verified.chain[1].anchor_file == issuer.ca()));
    CHECK((verified.anchor == verified.chain[1].certificate.subject && verified.anchor_file == issuer.ca()));
    const auto refused =
        upstream(SslMode::verify_full, {other.ca()})->judge(seen->near.get(), "db.example.com", Naming::demanded);
    REQUIRE(refused.chain.size() == 1);
    CHECK((refused.chain[0].sent && refused.chain[0].used && refused.anchor.empty()));
}

TEST_CASE("judgement: a server that showed no certificate is not accepted") {
    const Issuer issuer("db.example.com");
    const auto judging = upstream(SslMode::verify_ca, {issuer.ca()});
    const auto unused = judging->connect("db.example.com");
    CHECK(!judging->judge(unused.get(), "db.example.com", Naming::left_out).ok());
}
