// What a server says of our certificate after the handshake, to whoever only looks at it.
#include "proxy/upstream/leaving.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "proxy/command/check/look.hpp"
#include "proxy/http/upstream_check.hpp"
#include "support/catch.hpp"
#include "support/certificate_files.hpp"

namespace {

using namespace std::chrono_literals;
using namespace proxy;
using Tcp = asio::ip::tcp;

/// An authority and one certificate by it, in files.
struct Identity {
    explicit Identity(const std::string& name)
        : root(support::certificate_for(root_key, {.common_name = name + " CA", .is_ca = true})) {
        const support::Issuer issuer{root, root_key};
        const support::Spec spec{.common_name = name, .sans = {{GEN_DNS, "localhost"}}};
        leaf = support::certificate_for(leaf_key, spec, &issuer);
        ca_file = folder.write("ca.pem", support::pem(root));
        cert_file = folder.write("leaf.pem", support::pem(leaf));
        key_file = folder.write("leaf.key", support::pem(leaf_key));
    }

    support::TemporaryFolder folder;
    support::KeyPtr root_key = support::new_key(), leaf_key = support::new_key();
    support::X509Ptr root, leaf;
    config::File ca_file, cert_file, key_file;
};

enum class Asks { nothing, politely, firmly };
constexpr int no_tls = 0;

/// What it does once the handshake is complete on its side.
enum class Then { leaves, resets, stays };

struct Demand {
    Asks asks = Asks::nothing;
    int max_version = TLS1_3_VERSION;
    Then then = Then::leaves;
};

/// As PostgreSQL: TLS after SSLRequest, one connection after the other, and no word to whoever says
/// nothing but goodbye.
class Server {
   public:
    Server(const Identity& own, const Identity& clients, Demand demand)
        : context_(SSL_CTX_new(TLS_server_method())), has_no_tls_(demand.max_version == no_tls), then_(demand.then) {
        SSL_CTX* const context = context_.get();
        SSL_CTX_use_certificate(context, own.leaf.get());
        SSL_CTX_use_PrivateKey(context, own.leaf_key.get());
        SSL_CTX_set_max_proto_version(context, demand.max_version);
        if (demand.asks != Asks::nothing) {
            const int firmly = demand.asks == Asks::firmly ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | firmly, nullptr);
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), clients.root.get());
            SSL_CTX_add_client_CA(context, clients.root.get());
        }
        thread_ = std::thread([this] { serve(); });
    }
    ~Server() {
        over_ = true;
        ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
        thread_.join();
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::uint16_t port() const { return port_; }

   private:
    void serve() {
        for (;;) {
            const int fd = ::accept(acceptor_.native_handle(), nullptr, nullptr);
            if (fd < 0) return;
            char request[8];
            const bool has_asked = ::recv(fd, request, sizeof request, MSG_WAITALL) == sizeof request;
            if (has_asked && has_no_tls_) {
                ::send(fd, "N", 1, 0);
            } else if (has_asked && ::send(fd, "S", 1, 0) == 1) {
                const tls::SslPtr ssl(SSL_new(context_.get()));
                SSL_set_fd(ssl.get(), fd);
                char byte = 0;
                if (SSL_accept(ssl.get()) == 1) SSL_read(ssl.get(), &byte, 1);
                while (then_ == Then::stays && !over_) std::this_thread::sleep_for(10ms);
                const linger at_once{.l_onoff = 1, .l_linger = 0};
                if (then_ == Then::resets) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            }
            ::close(fd);
        }
    }

    tls::SslCtxPtr context_;
    const bool has_no_tls_;
    const Then then_;
    std::atomic<bool> over_{false};
    asio::io_context io_;
    Tcp::acceptor acceptor_{io_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    const std::uint16_t port_ = acceptor_.local_endpoint().port();
    std::thread thread_;
};

std::shared_ptr<const UpstreamRoute> route_to(const Server& server, const Identity& trusted, const Identity* own) {
    auto route = std::make_shared<UpstreamRoute>();
    config::Upstream& settings = route->settings;
    settings.name = "orders";
    settings.sslmode = protocol::SslMode::verify_ca;
    settings.sslrootcert = {trusted.ca_file};
    if (own) {
        settings.sslcert = own->cert_file;
        settings.sslkey = own->key_file;
    }
    config::Address host;
    host.kind = config::Address::Kind::tcp;
    host.host = "127.0.0.1";
    host.port = server.port();
    settings.hosts = {host};
    std::vector<config::Diagnostic> errors, warnings;
    route->tls = std::make_unique<const tls::UpstreamContext>(settings, errors, warnings);
    REQUIRE(errors.empty());
    return route;
}

UpstreamCheck::Result upstreamz(const std::shared_ptr<const UpstreamRoute>& route) {
    asio::io_context io{1};
    Resolver resolver;
    Outages outages;
    UpstreamCheck check(io.get_executor(), resolver, outages,
                        [](const UpstreamRoute&) { return UpstreamCheck::Logins{}; });
    std::vector<UpstreamCheck::Result> results;
    const std::vector<std::shared_ptr<const UpstreamRoute>> upstreams{route};
    const auto run = [&]() -> tls::Awaitable<> { results = co_await check.ask(upstreams); };
    asio::co_spawn(io, run(), asio::detached);
    io.run();
    REQUIRE(results.size() == 1);
    return results.front();
}

command::AddressResult checked(const std::shared_ptr<const UpstreamRoute>& route) {
    asio::io_context io{1};
    Resolver resolver;
    std::vector<command::Judges> judges;
    judges.emplace_back(*route);
    std::vector<command::AddressResult> results;
    const command::Progress progress = [](std::size_t, std::size_t) {};
    const auto run = [&]() -> tls::Awaitable<> { results = co_await command::look_at_all(resolver, judges, progress); };
    asio::co_spawn(io, run(), asio::detached);
    io.run();
    REQUIRE(results.size() == 1);
    return std::move(results.front());
}

struct World {
    Identity server{"server"}, person{"person"}, stranger{"stranger"};
};

}  // namespace

TEST_CASE("a server that refuses our certificate is neither OK nor verified, whatever the TLS version", "[leaving]") {
    const World world;
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const Server server(world.server, world.person, {.asks = Asks::politely, .max_version = version});
    const auto route = route_to(server, world.server, &world.stranger);
    const command::AddressResult address = checked(route);
    CHECK_FALSE(address.holds);
    CHECK(address.error.find("alert unknown_ca (48)") != std::string::npos);
    const UpstreamCheck::Result said = upstreamz(route);
    CHECK_FALSE(said.ok);
    CHECK(said.text.find("alert unknown_ca (48)") != std::string::npos);
}

TEST_CASE("a server that demands a certificate where there is none is not OK, and whose it wants is told",
          "[leaving]") {
    const World world;
    const Server server(world.server, world.person, {.asks = Asks::firmly});
    const auto route = route_to(server, world.server, nullptr);
    const command::AddressResult address = checked(route);
    CHECK_FALSE(address.holds);
    CHECK(address.error.starts_with("server refused us without a client certificate: TLS alert "));
    CHECK(address.error.ends_with("(116)"));  // certificate_required, a name that OpenSSL 3.0 does not have
    CHECK(address.advice.hint.find("\"CN=person CA\"") != std::string::npos);
    CHECK_FALSE(upstreamz(route).ok);
}

TEST_CASE("a server that takes our certificate, or does without, is OK and verified", "[leaving]") {
    const World world;
    const Asks asks = GENERATE(Asks::nothing, Asks::politely, Asks::firmly);
    const Server server(world.server, world.person, {.asks = asks});
    std::vector<const Identity*> own{&world.person};
    if (asks != Asks::firmly) own.push_back(nullptr);
    for (const Identity* const one : own) {
        const auto route = route_to(server, world.server, one);
        const command::AddressResult address = checked(route);
        CHECK(address.holds);
        CHECK(address.error.empty());
        CHECK(upstreamz(route).ok);
    }
}

TEST_CASE("a server that asks for a certificate and breaks off without a word is neither OK nor verified",
          "[leaving]") {
    const World world;
    const Server server(world.server, world.person, {.asks = Asks::politely, .then = Then::resets});
    const bool has_one = GENERATE(true, false);
    const auto route = route_to(server, world.server, has_one ? &world.person : nullptr);
    const command::AddressResult address = checked(route);
    CHECK_FALSE(address.holds);
    CHECK(address.error == std::string("it is not known whether the server takes ") +
                               (has_one ? "our client certificate (sslcert)" : "us without a client certificate") +
                               ": it asked for one, and broke the connection off without a word");
    CHECK_FALSE(upstreamz(route).ok);
}

TEST_CASE("a server that asks for a certificate and keeps the connection is OK as far as is known", "[leaving]") {
    const World world;
    {
        const Server server(world.server, world.person, {.asks = Asks::politely, .then = Then::stays});
        const command::AddressResult address = checked(route_to(server, world.server, &world.person));
        CHECK(address.holds);
        CHECK(address.doubt ==
              "it is not known whether the server takes our client certificate (sslcert): it asked for one, and said "
              "nothing for 2 s after we had left");
    }
    // Of whoever asked for none there is nothing to know.
    const Server server(world.server, world.person, {.asks = Asks::nothing, .then = Then::stays});
    CHECK(checked(route_to(server, world.server, nullptr)).doubt.empty());
}

TEST_CASE("a server without TLS is refused in the name of the sslmode that is configured", "[leaving]") {
    const World world;
    const Server server(world.server, world.person, {.max_version = no_tls});
    const command::AddressResult address = checked(route_to(server, world.server, nullptr));
    CHECK_FALSE(address.holds);
    CHECK(address.error == "server does not support TLS, but sslmode=verify-ca requires it");
}
