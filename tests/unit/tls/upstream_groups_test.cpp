#include <openssl/ssl.h>

#include "support/catch.hpp"
#include "tls/upstream_context.hpp"

namespace {

/// A server that speaks one group alone, and counts the ClientHellos that it reads.
class Server {
   public:
    explicit Server(const char* only) : context_(SSL_CTX_new(TLS_server_method())) {
        const tls::KeyPtr key(EVP_EC_gen("P-256"));
        const tls::X509Ptr certificate(X509_new());
        X509* const raw = certificate.get();
        X509_set_version(raw, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(raw), 1);
        X509_gmtime_adj(X509_getm_notBefore(raw), -3600);
        X509_gmtime_adj(X509_getm_notAfter(raw), 3600);
        X509_set_pubkey(raw, key.get());
        REQUIRE(X509_sign(raw, key.get(), EVP_sha256()) > 0);
        REQUIRE(SSL_CTX_use_certificate(context_.get(), raw) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1);
        REQUIRE(SSL_CTX_set1_groups_list(context_.get(), only) == 1);
        SSL_CTX_set_msg_callback(context_.get(), [](int write, int, int type, const void* data, std::size_t, SSL*,
                                                    void* count) {
            const bool is_hello = type == SSL3_RT_HANDSHAKE && *static_cast<const char*>(data) == SSL3_MT_CLIENT_HELLO;
            if (!write && is_hello) ++*static_cast<int*>(count);
        });
        SSL_CTX_set_msg_callback_arg(context_.get(), &hellos_);
    }

    void at_most(int version) { REQUIRE(SSL_CTX_set_max_proto_version(context_.get(), version) == 1); }

    /// A whole connection of `client`: how many ClientHellos it took.
    int hellos(const tls::UpstreamContext& client, const std::string& address) {
        hellos_ = 0;
        const tls::SslPtr far(SSL_new(context_.get()));
        const tls::SslPtr near = client.connect("db.example.com", address);
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
        client.remember_group(address, near.get());
        group = client.describe(near.get()).group;
        return hellos_;
    }

    std::string group;  ///< of the last connection

   private:
    tls::SslCtxPtr context_;
    int hellos_ = 0;
};

tls::UpstreamContext upstream(const std::string& groups = config::Upstream{}.ssl_groups) {
    config::Upstream settings;
    settings.name = "db";
    settings.sslmode = protocol::SslMode::require;
    settings.ssl_groups = groups;
    std::vector<config::Diagnostic> errors, warnings;
    return tls::UpstreamContext(settings, errors, warnings);
}

}  // namespace

TEST_CASE("a server of P-256 alone reads one ClientHello, and nothing need be remembered") {
    const tls::UpstreamContext client = upstream();
    Server server("P-256");
    CHECK(server.hellos(client, "a") == 1);
    CHECK(server.group == "P-256");
    CHECK(server.hellos(client, "a") == 1);
}

TEST_CASE("a server that asks for another group's share is sent it at once the next time, at its address alone") {
    for (const char* const group : {"X25519", "P-384", "P-521", "X448"}) {
        CAPTURE(group);
        const tls::UpstreamContext client = upstream();
        Server server(group);
        CHECK(server.hellos(client, "a") == 2);
        CHECK(server.group == group);
        CHECK(server.hellos(client, "a") == 1);
        CHECK(server.hellos(client, "b") == 2);
        CHECK(server.hellos(client, "") == 2);
        CHECK(server.hellos(client, "") == 2);
    }
}

TEST_CASE("a server that goes back to the usual group is forgotten") {
    const tls::UpstreamContext client = upstream();
    Server before("P-384"), after("P-256");
    CHECK(before.hellos(client, "a") == 2);
    after.hellos(client, "a");
    CHECK(after.hellos(client, "a") == 1);
    CHECK(before.hellos(client, "a") == 2);
}

TEST_CASE("what is remembered of addresses is bounded") {
    const tls::UpstreamContext client = upstream("P-256:P-384");
    Server server("P-384");
    CHECK(server.hellos(client, "first") == 2);
    for (int i = 0; i < 255; ++i) CHECK(server.hellos(client, std::to_string(i)) == 2);
    CHECK(server.hellos(client, "first") == 1);
    CHECK(server.hellos(client, "one too many") == 2);
    CHECK(server.hellos(client, "first") == 1);  // it is in use
    CHECK(server.hellos(client, "one too many") == 1);
    CHECK(server.hellos(client, "0") == 2);  // it was used before all others
}

TEST_CASE("TLS 1.2 has no key shares, and nothing is remembered of it") {
    const tls::UpstreamContext client = upstream();
    Server old("P-384"), modern("P-384");
    old.at_most(TLS1_2_VERSION);
    CHECK(old.hellos(client, "a") == 1);
    CHECK(modern.hellos(client, "a") == 2);
}
