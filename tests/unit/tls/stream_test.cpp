#include "tls/stream.hpp"

#include <openssl/rand.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "support/catch.hpp"
#include "tls/authority.hpp"
#include "tls/listener_context.hpp"
#include "tls/upstream_context.hpp"

namespace {

using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using protocol::as_bytes;
using protocol::as_text;
using protocol::Buffer;
using tls::End;
using tls::Handshake;
using tls::Stream;
using tls::StreamError;

/// Two authorities in folders that are gone after the tests; making RSA keys takes time, so all
/// tests share them.
struct Authorities {
    Authorities() {
        std::string name = (std::filesystem::temp_directory_path() / "pgairlock-stream-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name;
        ours = tls::issue(name + "/ours", {"db.example.com"});
        other = tls::issue(name + "/other", {});
    }
    ~Authorities() { std::filesystem::remove_all(folder); }
    Authorities(const Authorities&) = delete;
    Authorities& operator=(const Authorities&) = delete;

    std::filesystem::path folder;
    tls::IssuedFiles ours;
    tls::IssuedFiles other;
};

const Authorities& authorities() {
    static const Authorities made;
    return made;
}

config::File file(const std::string& path) { return {.path = path, .origin = {}}; }

struct Versions {
    config::TlsVersion max = config::TlsVersion::unset;
};
constexpr Versions tls12{config::TlsVersion::v1_2};
constexpr Versions tls13{config::TlsVersion::v1_3};

std::unique_ptr<tls::ListenerContext> server_context(Versions versions = {}) {
    config::ListenerTls settings;
    settings.cert_file = file(authorities().ours.ecdsa_cert);
    settings.key_file = file(authorities().ours.ecdsa_key);
    settings.ssl_max_protocol_version = versions.max;
    std::vector<config::Diagnostic> errors, warnings;
    auto context = std::make_unique<tls::ListenerContext>(settings, errors, warnings);
    REQUIRE(errors.empty());
    return context;
}

std::unique_ptr<tls::UpstreamContext> client_context(const std::string& ca) {
    config::Upstream settings;
    settings.name = "db";
    settings.sslmode = protocol::SslMode::verify_full;
    settings.sslrootcert = {file(ca)};
    std::vector<config::Diagnostic> errors, warnings;
    auto context = std::make_unique<tls::UpstreamContext>(settings, errors, warnings);
    REQUIRE(errors.empty());
    return context;
}

/// Two streams, one of them called the server's, joined by a socketpair; and the loop that both
/// live in.
class Pair {
   public:
    Pair() {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
        const asio::generic::stream_protocol protocol(AF_UNIX, 0);
        client = std::make_unique<Stream>(tls::Socket(io_, protocol, fds[0]), tls::Leg::server);
        server = std::make_unique<Stream>(tls::Socket(io_, protocol, fds[1]), tls::Leg::client);
    }

    template <class T>
    void start(tls::Awaitable<T> work, T& result) {
        asio::co_spawn(io_, std::move(work), [this, &result](std::exception_ptr error, T value) {
            if (error) error_ = error;
            result = std::move(value);
        });
    }
    void start(tls::Awaitable<> work) {
        asio::co_spawn(io_, std::move(work), [this](std::exception_ptr error) {
            if (error) error_ = error;
        });
    }
    /// Until all that was started has ended; throws what it threw.
    void run() {
        io_.restart();
        io_.run_for(120s);
        REQUIRE(io_.stopped());
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }
    /// As far as it goes without waiting.
    void settle() {
        io_.restart();
        while (io_.poll() > 0) {
        }
    }

    template <class T>
    T result_of(tls::Awaitable<T> work) {
        T result{};
        start(std::move(work), result);
        run();
        return result;
    }
    StreamError::Kind failure_of(tls::Awaitable<bool> work) {
        bool result = false;
        start(std::move(work), result);
        try {
            run();
        } catch (const StreamError& error) {
            return error.kind();
        }
        throw std::logic_error("it did not fail");
    }

    struct Handshakes {
        Handshake server;
        Handshake client;
    };
    Handshakes handshake(tls::SslPtr server_ssl, tls::SslPtr client_ssl, bool direct = false) {
        Handshakes both;
        start(server->handshake(std::move(server_ssl), direct), both.server);
        start(client->handshake(std::move(client_ssl)), both.client);
        run();
        return both;
    }
    void encrypt(Versions versions = {}) {
        const auto server_side = server_context(versions);
        const auto client_side = client_context(authorities().ours.ca_cert);
        const Handshakes both = handshake(server_side->accept(), client_side->connect("localhost"));
        REQUIRE(both.server.end == Handshake::End::complete);
        REQUIRE(both.client.end == Handshake::End::complete);
    }
    void relay() {
        client->begin_relay();
        server->begin_relay();
    }

   private:
    asio::io_context io_;
    std::exception_ptr error_;

   public:
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
};

Buffer random_bytes(std::size_t size) {
    Buffer bytes(size);
    RAND_bytes(bytes.data(), static_cast<int>(size));
    return bytes;
}

std::string hash(const Buffer& bytes) { return tls::sha256_hex(bytes.data(), bytes.size()); }

/// Everything that receive() gives until there is no more now.
struct Drained {
    Buffer bytes;
    End end = End::open;
};
Drained drain(Stream& stream) {
    Drained all;
    for (;;) {
        const Stream::Received received = stream.receive();
        all.bytes.insert(all.bytes.end(), received.bytes.begin(), received.bytes.end());
        all.end = received.end;
        if (received.end != End::open || (received.bytes.empty() && !received.more)) return all;
    }
}

std::string text_of(const Drained& all) { return std::string(as_text(all.bytes)); }

void shrink_send_buffer(Stream& stream) {
    const int size = 4096;
    REQUIRE(::setsockopt(stream.socket().native_handle(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}

void send_raw(Stream& stream, const std::string& bytes) {
    REQUIRE(::send(stream.socket().native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

/// Clear, TLS 1.2, TLS 1.3: most of a stream behaves the same in all of them.
const std::vector<std::optional<Versions>> every_kind{std::nullopt, tls12, tls13};

void prepare(Pair& pair, const std::optional<Versions>& kind) {
    if (kind) pair.encrypt(*kind);
}

tls::Awaitable<bool> rest_ignored(Stream& stream) {
    co_await stream.ignore_rest();
    co_return true;
}

}  // namespace

TEST_CASE("both ends complete a handshake with TLS 1.2 and 1.3") {
    for (const auto& [versions, name] : {std::pair(tls12, "TLSv1.2"), std::pair(tls13, "TLSv1.3")}) {
        Pair pair;
        const auto server_side = server_context(versions);
        const auto client_side = client_context(authorities().ours.ca_cert);
        CHECK_FALSE(pair.server->encrypted());
        const auto both = pair.handshake(server_side->accept(), client_side->connect("db.example.com"));
        CHECK(both.server.end == Handshake::End::complete);
        CHECK(both.client.end == Handshake::End::complete);
        CHECK(pair.server->encrypted());
        const tls::ClientTls facts = server_side->describe(pair.server->ssl());
        CHECK(facts.version == name);
        CHECK(facts.alpn == "postgresql");
        CHECK(facts.certificate_shown == authorities().ours.ecdsa_cert);
        CHECK_FALSE(facts.resumed);
        CHECK_FALSE(facts.weak);
        REQUIRE(pair.server->notes().hello.has_value());
        CHECK(pair.server->notes().hello->sni == "db.example.com");
        CHECK(pair.server->notes().alert == -1);
        const tls::ServerTls upstream = client_side->describe(pair.client->ssl());
        CHECK(upstream.version == name);
        CHECK(upstream.anchor_file == authorities().ours.ca_cert);
    }
}

TEST_CASE("a certificate of an unknown authority is refused by alert 48") {
    for (const Versions versions : {tls12, tls13}) {
        Pair pair;
        const auto server_side = server_context(versions);
        const auto client_side = client_context(authorities().other.ca_cert);
        const auto both = pair.handshake(server_side->accept(), client_side->connect("localhost"));
        CHECK(both.server.end == Handshake::End::alert);
        CHECK(pair.server->notes().alert == 48);
        CHECK(pair.server->notes().certificate_sent);
        CHECK(both.client.end == Handshake::End::failed);
        CHECK(pair.client->notes().verify.code != X509_V_OK);
        CHECK(server_side->certificate_shown(pair.server->ssl()) == authorities().ours.ecdsa_cert);
    }
}

TEST_CASE("a certificate for another name is refused under verify-full") {
    Pair pair;
    const auto server_side = server_context();
    const auto client_side = client_context(authorities().ours.ca_cert);
    const auto both = pair.handshake(server_side->accept(), client_side->connect("elsewhere.example.com"));
    CHECK(both.server.end == Handshake::End::alert);
    CHECK(pair.client->notes().verify.code == X509_V_ERR_HOSTNAME_MISMATCH);
    CHECK(pair.client->notes().verify.depth == 0);
}

TEST_CASE("direct TLS is taken with ALPN postgresql only") {
    const auto server_side = server_context();
    const auto client_side = client_context(authorities().ours.ca_cert);
    constexpr int no_application_protocol = 120;
    const auto attempt = [&](std::string_view alpn, bool direct, Pair& pair) {
        tls::SslPtr ssl = client_side->connect("localhost");
        REQUIRE(SSL_set_alpn_protos(ssl.get(), as_bytes(alpn).data(), static_cast<unsigned>(alpn.size())) == 0);
        return pair.handshake(server_side->accept(), std::move(ssl), direct);
    };
    for (const std::string_view alpn : {"", "\x02h2", "\x08http/1.1\x02h2", "\x09postgresq", "\x0bpostgresqlX"}) {
        Pair pair;
        const auto both = attempt(alpn, true, pair);
        CHECK(both.server.end == Handshake::End::failed);
        CHECK(both.client.end == Handshake::End::alert);
        CHECK(pair.client->notes().alert == no_application_protocol);
    }
    for (const std::string_view alpn : {"\x0apostgresql", "\x02h2\x0apostgresql"}) {
        Pair pair;
        CHECK(attempt(alpn, true, pair).server.end == Handshake::End::complete);
        CHECK(server_side->describe(pair.server->ssl()).alpn == "postgresql");
    }
    for (const std::string_view alpn : {"", "\x02h2"}) {
        Pair pair;
        CHECK(attempt(alpn, false, pair).client.end == Handshake::End::complete);
        CHECK(server_side->describe(pair.server->ssl()).alpn.empty());
    }
}

TEST_CASE("a client that closes before its ClientHello is told apart from one that closes after") {
    const auto server_side = server_context();
    SECTION("before") {
        Pair pair;
        pair.client->close();
        CHECK(pair.result_of(pair.server->handshake(server_side->accept())).end == Handshake::End::closed_before_hello);
    }
    SECTION("in the middle of it") {
        Pair pair;
        send_raw(*pair.client, std::string("\x16\x03\x01\x02\x00\x01", 6));
        pair.client->close();
        CHECK(pair.result_of(pair.server->handshake(server_side->accept())).end == Handshake::End::closed_before_hello);
    }
    SECTION("after") {
        Pair pair;
        const auto client_side = client_context(authorities().ours.ca_cert);
        Handshake server, client;
        pair.start(pair.client->handshake(client_side->connect("localhost")), client);
        pair.settle();
        ::shutdown(pair.client->socket().native_handle(), SHUT_WR);
        pair.start(pair.server->handshake(server_side->accept()), server);
        pair.settle();
        pair.client->close();
        pair.run();
        CHECK((server.end == Handshake::End::closed || server.end == Handshake::End::complete));
        CHECK(pair.server->notes().client_hello_seen);
    }
}

TEST_CASE("what is no TLS fails the handshake and is told so") {
    const auto server_side = server_context();
    Pair pair;
    send_raw(*pair.client, "GET / HTTP/1.1\r\n\r\n");
    const Handshake server = pair.result_of(pair.server->handshake(server_side->accept()));
    CHECK(server.end == Handshake::End::failed);
    CHECK_FALSE(server.error.empty());
    CHECK(server.error.find("HTTP/1.1") == std::string::npos);
}

TEST_CASE("a handshake that is not answered ends at its deadline") {
    const auto server_side = server_context();
    Pair pair;
    pair.server->set_deadline(std::chrono::steady_clock::now() + 20ms, tls::Deadline::login);
    CHECK(pair.result_of(pair.server->handshake(server_side->accept())).end == Handshake::End::timed_out);
}

TEST_CASE("read_exactly waits for its last byte and takes none beyond it") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        std::array<std::uint8_t, 8> bytes{};
        bool whole = false;
        pair.start(pair.server->read_exactly(bytes), whole);
        for (const std::string_view piece : {"s", "el", "ect 1;--"}) {
            pair.settle();
            CHECK_FALSE(whole);
            pair.start(pair.client->write(as_bytes(piece)));
            pair.settle();
        }
        CHECK(whole);
        CHECK(as_text(bytes) == "select 1");
        std::array<std::uint8_t, 3> rest{};
        CHECK(pair.result_of(pair.server->read_exactly(rest)));
        CHECK(as_text(rest) == ";--");
    }
}

TEST_CASE("read_exactly is false when the peer's data ends before") {
    for (const auto& kind : every_kind) {
        for (const bool clean : {true, false}) {
            Pair pair;
            prepare(pair, kind);
            pair.start(pair.client->write(as_bytes("half")));
            pair.settle();
            pair.client->close_send(clean);
            std::array<std::uint8_t, 8> bytes{};
            CHECK_FALSE(pair.result_of(pair.server->read_exactly(bytes)));
        }
    }
}

TEST_CASE("the rest is ignored up to the peer's end, also after TLS has failed") {
    const auto server_side = server_context();
    Pair pair;
    send_raw(*pair.client, "GET / HTTP/1.1\r\n");
    REQUIRE(pair.result_of(pair.server->handshake(server_side->accept())).end == Handshake::End::failed);
    bool over = false;
    pair.start(rest_ignored(*pair.server), over);
    for (int line = 0; line < 3; ++line) {
        send_raw(*pair.client, "Host: localhost\r\n");
        pair.settle();
        CHECK_FALSE(over);
    }
    pair.client->close_send(false);
    pair.run();
    CHECK(over);
}

TEST_CASE("a flood is not ignored for ever") {
    Pair pair;
    bool over = false;
    pair.start(rest_ignored(*pair.server), over);
    const std::string much(16 * 1024, 'x');
    for (int times = 0; times < 4; ++times) {
        pair.settle();
        CHECK_FALSE(over);
        send_raw(*pair.client, much);
    }
    pair.settle();
    CHECK(over);
}

TEST_CASE("peek leaves the byte where it is, and has_unread sees it") {
    Pair pair;
    CHECK_FALSE(pair.server->has_unread());
    send_raw(*pair.client, "ab");
    const auto byte = pair.result_of(pair.server->peek());
    CHECK(byte == std::optional<std::uint8_t>('a'));
    CHECK(pair.server->has_unread());
    std::array<std::uint8_t, 2> bytes{};
    CHECK(pair.result_of(pair.server->read_exactly(bytes)));
    CHECK(as_text(bytes) == "ab");
    CHECK_FALSE(pair.server->has_unread());
    pair.client->close();
    CHECK_FALSE(pair.result_of(pair.server->peek()).has_value());
    CHECK_FALSE(pair.server->has_unread());
}

TEST_CASE("every wait ends at the deadline") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        std::array<std::uint8_t, 1> byte{};
        pair.server->set_deadline(std::chrono::steady_clock::now() + 20ms, tls::Deadline::login);
        CHECK(pair.failure_of(pair.server->read_exactly(byte)) == StreamError::Kind::timed_out);
        // It stays expired until there is a new one.
        CHECK(pair.failure_of(pair.server->read_exactly(byte)) == StreamError::Kind::timed_out);
        pair.server->set_deadline(std::chrono::steady_clock::now() + 1h, tls::Deadline::login);
        pair.start(pair.client->write(as_bytes("x")));
        bool whole = false;
        pair.start(pair.server->read_exactly(byte), whole);
        pair.settle();
        CHECK(whole);
        pair.server->clear_deadline();
        pair.run();
    }
}

TEST_CASE("bytes that are there already are read even after the deadline") {
    Pair pair;
    pair.server->set_deadline(std::chrono::steady_clock::now() - 1s, tls::Deadline::login);
    pair.settle();
    send_raw(*pair.client, "x");
    std::array<std::uint8_t, 1> byte{};
    CHECK(pair.result_of(pair.server->read_exactly(byte)));
}

TEST_CASE("a deadline that was replaced or cleared does not fire") {
    Pair pair;
    std::array<std::uint8_t, 1> byte{};
    bool whole = false;
    pair.start(pair.server->read_exactly(byte), whole);
    pair.settle();
    pair.server->set_deadline(std::chrono::steady_clock::now() + 10ms, tls::Deadline::login);
    SECTION("replaced") { pair.server->set_deadline(std::chrono::steady_clock::now() + 1h, tls::Deadline::login); }
    SECTION("cleared") { pair.server->clear_deadline(); }
    tls::Timer later(pair.client->socket().get_executor());
    later.expires_after(50ms);
    later.async_wait([&](boost::system::error_code) {
        send_raw(*pair.client, "x");
        pair.server->clear_deadline();
    });
    pair.run();
    CHECK(whole);
}

TEST_CASE("a stream may go before its deadline's handler has run") {
    Pair pair;
    pair.server->set_deadline(std::chrono::steady_clock::now() - 1s, tls::Deadline::login);
    pair.server.reset();
    pair.run();
}

TEST_CASE("a write that the peer does not take ends at the deadline") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        shrink_send_buffer(*pair.server);
        pair.server->set_deadline(std::chrono::steady_clock::now() + 20ms, tls::Deadline::login);
        const Buffer bytes(200'000);
        pair.start(pair.server->write(bytes));
        bool timed_out = false;
        try {
            pair.run();
        } catch (const StreamError& error) {
            timed_out = error.kind() == StreamError::Kind::timed_out;
        }
        CHECK(timed_out);
    }
}

TEST_CASE("a write waits for a slow reader and arrives whole") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        shrink_send_buffer(*pair.server);
        const Buffer sent = random_bytes(300'000);
        Buffer got(sent.size());
        bool whole = false;
        pair.start(pair.server->write(sent));
        pair.settle();
        pair.start(pair.client->read_exactly(got), whole);
        pair.run();
        CHECK(whole);
        CHECK(hash(got) == hash(sent));
    }
}

TEST_CASE("a peer that resets fails reads and writes with reset") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        pair.start(pair.server->write(as_bytes("unread: closing over it is a reset")));
        pair.run();
        pair.client->close();
        std::array<std::uint8_t, 1> byte{};
        CHECK(pair.failure_of(pair.server->read_exactly(byte)) == StreamError::Kind::reset);
        pair.start(pair.server->write(as_bytes("x")));
        bool reset = false;
        try {
            pair.run();
        } catch (const StreamError& error) {
            reset = error.kind() == StreamError::Kind::reset;
        }
        CHECK(reset);
    }
}

TEST_CASE("a write to a server that has gone leaves its last words to be read") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        pair.start(pair.server->write(as_bytes("last words")));
        pair.run();
        pair.server->close();
        pair.start(pair.client->write(as_bytes("x")));
        CHECK_NOTHROW(pair.run());
        std::array<std::uint8_t, 10> words{};
        CHECK(pair.result_of(pair.client->read_exactly(words)));
        CHECK(as_text(words) == "last words");
        pair.start(pair.client->write(as_bytes("x")));
        CHECK_THROWS_AS(pair.run(), StreamError);
    }
}

TEST_CASE("a write to a server that has gone fails with the alert that it sent before") {
    for (const Versions versions : {tls12, tls13}) {
        Pair pair;
        pair.encrypt(versions);
        send_raw(*pair.client, "this is no record at all");
        std::array<std::uint8_t, 1> byte{};
        CHECK(pair.failure_of(pair.server->read_exactly(byte)) == StreamError::Kind::tls);  // and sends an alert
        pair.server->close();
        pair.start(pair.client->write(as_bytes("x")));
        try {
            pair.run();
            FAIL("it did not fail");
        } catch (const StreamError& error) {
            CHECK(error.kind() == StreamError::Kind::tls);
            CHECK_THAT(error.what(), Catch::Matchers::Contains("TLS alert"));
        }
    }
}

TEST_CASE("garbage in place of a TLS record fails reads with tls") {
    Pair pair;
    pair.encrypt();
    send_raw(*pair.client, "this is no record at all");
    std::array<std::uint8_t, 1> byte{};
    CHECK(pair.failure_of(pair.server->read_exactly(byte)) == StreamError::Kind::tls);
}

TEST_CASE("the end of the peer's data is closed when it was said, and truncated when it was not") {
    for (const Versions versions : {tls12, tls13}) {
        for (const bool said : {true, false}) {
            Pair pair;
            pair.encrypt(versions);
            pair.relay();
            CHECK(pair.server->receive().end == End::open);
            REQUIRE(pair.client->send(as_bytes("last")));
            pair.client->close_send(said);
            const Drained all = drain(*pair.server);
            CHECK(text_of(all) == "last");
            CHECK(all.end == (said ? End::closed : End::truncated));
            // The other direction goes on.
            REQUIRE(pair.server->send(as_bytes("still here")));
            CHECK(text_of(drain(*pair.client)) == "still here");
        }
    }
}

TEST_CASE("FIN on a clear stream is its proper end") {
    Pair pair;
    pair.relay();
    REQUIRE(pair.client->send(as_bytes("last")));
    pair.client->close_send(false);
    const Drained all = drain(*pair.server);
    CHECK(text_of(all) == "last");
    CHECK(all.end == End::closed);
}

TEST_CASE("a peer that resets during the relay is seen as reset") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        pair.relay();
        REQUIRE(pair.server->send(as_bytes("unread")));
        pair.client->reset();
        CHECK(drain(*pair.server).end == End::reset);
        pair.server->send(as_bytes("x"));
        CHECK(pair.server->send_failed());
        CHECK(pair.server->send(as_bytes("swallowed")));
        CHECK(pair.server->flush());
    }
}

TEST_CASE("a record that does not authenticate breaks the stream, behind what came before it") {
    for (const Versions versions : {tls12, tls13}) {
        Pair pair;
        pair.encrypt(versions);
        pair.relay();
        REQUIRE(pair.client->send(as_bytes("good")));
        send_raw(*pair.client, std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
        const Drained all = drain(*pair.server);
        CHECK(text_of(all) == "good");
        CHECK(all.end == End::broken);
    }
}

TEST_CASE("what the login left inside OpenSSL is delivered by the first receive") {
    for (const Versions versions : {tls12, tls13}) {
        Pair pair;
        pair.encrypt(versions);
        pair.start(pair.client->write(as_bytes("hello world")));
        pair.start(pair.client->write(as_bytes(", and more")));
        pair.run();
        std::array<std::uint8_t, 5> bytes{};
        REQUIRE(pair.result_of(pair.server->read_exactly(bytes)));
        pair.relay();
        const Stream::Received received = pair.server->receive();
        CHECK(as_text(received.bytes) == " world, and more");
        CHECK(received.end == End::open);
    }
}

TEST_CASE("what the login left inside OpenSSL is delivered together with an end that came at once") {
    Pair pair;
    pair.encrypt();
    pair.start(pair.client->write(as_bytes("hello world")));
    pair.run();
    pair.client->close_send(true);
    std::array<std::uint8_t, 5> bytes{};
    REQUIRE(pair.result_of(pair.server->read_exactly(bytes)));
    pair.relay();
    const Drained all = drain(*pair.server);
    CHECK(text_of(all) == " world");
    CHECK(all.end == End::closed);
}

TEST_CASE("big transfers arrive whole through a socket that takes little at a time") {
    for (const auto& kind : every_kind) {
        for (const std::size_t chunk : {1u, 1000u, 16'384u, 16'385u, 131'072u}) {
            Pair pair;
            prepare(pair, kind);
            pair.relay();
            shrink_send_buffer(*pair.client);
            const Buffer sent = random_bytes(chunk == 1 ? 5'000 : 2'000'000);
            Buffer got;
            bool queued = false;
            const auto take = [&] {
                const Drained all = drain(*pair.server);
                CHECK(all.end == End::open);
                got.insert(got.end(), all.bytes.begin(), all.bytes.end());
            };
            for (std::size_t at = 0; at < sent.size(); at += chunk) {
                bool all_sent = pair.client->send(protocol::Bytes(sent).subspan(at, std::min(chunk, sent.size() - at)));
                while (!all_sent) {
                    queued = true;
                    take();
                    all_sent = pair.client->flush();
                }
            }
            take();
            pair.client->close_send(true);
            CHECK(drain(*pair.server).end == End::closed);
            CHECK(queued);
            CHECK_FALSE(pair.client->send_failed());
            CHECK(got.size() == sent.size());
            CHECK(hash(got) == hash(sent));
        }
    }
}

TEST_CASE("receive says that there may be more exactly when it was full") {
    Pair pair;
    pair.relay();
    const int big = 4 * 1024 * 1024;
    ::setsockopt(pair.client->socket().native_handle(), SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    const Buffer sent(150'000);
    REQUIRE(pair.client->send(sent));
    const Stream::Received first = pair.server->receive();
    CHECK(first.more);
    const std::size_t size = first.bytes.size();
    const Stream::Received second = pair.server->receive();
    CHECK_FALSE(second.more);
    CHECK(size + second.bytes.size() == sent.size());
}

TEST_CASE("a record that arrives in pieces is delivered when it is whole") {
    Pair ends;
    ends.encrypt();
    ends.relay();
    REQUIRE(ends.client->send(as_bytes("first")));
    REQUIRE(ends.client->send(as_bytes("second")));
    std::array<char, 512> ciphertext{};
    const ssize_t size = ::recv(ends.server->socket().native_handle(), ciphertext.data(), ciphertext.size(), 0);
    REQUIRE(size > 0);
    std::string got;
    for (ssize_t i = 0; i < size; ++i) {
        send_raw(*ends.client, std::string(1, ciphertext[static_cast<std::size_t>(i)]));
        const Stream::Received received = ends.server->receive();
        CHECK(received.end == End::open);
        CHECK((received.bytes.empty() || received.bytes.size() >= 5));
        got += as_text(received.bytes);
    }
    CHECK(got == "firstsecond");
}

TEST_CASE("new keys are agreed on during the relay when the peer asks for them") {
    Pair pair;
    pair.encrypt(tls13);
    pair.relay();
    REQUIRE(SSL_key_update(pair.client->ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
    REQUIRE(pair.client->send(as_bytes("under new keys")));
    CHECK(text_of(drain(*pair.server)) == "under new keys");
    const Drained nothing = drain(*pair.client);
    CHECK(nothing.end == End::open);
    CHECK(nothing.bytes.empty());
    REQUIRE(pair.server->send(as_bytes("likewise")));
    CHECK(text_of(drain(*pair.client)) == "likewise");
}

TEST_CASE("a stream that was closed receives and sends nothing") {
    for (const auto& kind : every_kind) {
        Pair pair;
        prepare(pair, kind);
        pair.relay();
        pair.server->close();
        CHECK(pair.server->receive().end == End::reset);
        CHECK(pair.server->send_failed());
        CHECK(pair.server->send(as_bytes("swallowed")));
        CHECK(pair.server->flush());
        pair.server->close_send(true);
        pair.server->close();
    }
}

// --- What a tap is told

namespace {

/// Everything that one stream tells, which goes before this.
struct Heard {
    using What = tls::Tap::What;
    void watch(Stream& stream, bool keys = false) { stream.set_tap({.tell = tell, .to = this, .keys = keys}); }

    static void tell(void* to, Stream& stream, What what, protocol::Bytes bytes) noexcept {
        Heard& heard = *static_cast<Heard*>(to);
        heard.leg = stream.leg();
        heard.order.push_back(what);
        heard.text[what] += as_text(bytes);
        if (what == What::key) heard.text[what] += '\n';
    }
    bool has(What what) const { return std::find(order.begin(), order.end(), what) != order.end(); }

    std::map<What, std::string> text;
    std::vector<What> order;
    std::optional<tls::Leg> leg;
};

tls::Awaitable<bool> said(Stream& stream, std::string text) {
    co_await stream.write(as_bytes(text));
    co_return true;
}

tls::Awaitable<bool> heard_exactly(Stream& stream, std::size_t size) {
    Buffer bytes(size);
    const bool whole = co_await stream.read_exactly(bytes);
    co_return whole;
}

using What = tls::Tap::What;

}  // namespace

TEST_CASE("a tap is told what passes during the login and during the relay, in clear and as it was inside TLS") {
    for (const auto& kind : every_kind) {
        Heard heard;
        Pair pair;
        heard.watch(*pair.server);
        prepare(pair, kind);
        REQUIRE(pair.result_of(said(*pair.client, "question")));
        REQUIRE(pair.result_of(heard_exactly(*pair.server, 8)));
        REQUIRE(pair.result_of(said(*pair.server, "answer")));
        REQUIRE(pair.result_of(heard_exactly(*pair.client, 6)));
        pair.relay();
        pair.client->send(as_bytes("more"));
        CHECK(text_of(drain(*pair.server)) == "more");
        pair.server->send(as_bytes("and more"));
        CHECK(heard.text[What::received] == "questionmore");
        CHECK(heard.text[What::sent] == "answerand more");
        CHECK(heard.order.front() == What::opened);
        CHECK(heard.leg == tls::Leg::client);
        CHECK(heard.has(What::record_received) == kind.has_value());
        CHECK(heard.has(What::record_sent) == kind.has_value());
        for (const What raw : {What::record_received, What::record_sent})
            CHECK(heard.text[raw].find("question") == std::string::npos);
    }
}

TEST_CASE("a tap is told the records of a handshake that fails, the alert among them") {
    for (const Versions versions : {tls12, tls13}) {
        Heard heard;
        Pair pair;
        heard.watch(*pair.server);
        const auto server_side = server_context(versions);
        const auto client_side = client_context(authorities().other.ca_cert);
        pair.handshake(server_side->accept(), client_side->connect("localhost"));
        CHECK(heard.text[What::record_received].starts_with("\x16\x03"));  // handshake
        CHECK(heard.text[What::record_sent].starts_with("\x16\x03"));
        if (versions.max == tls12.max) CHECK(heard.text[What::record_received].ends_with("\x02\x30"));  // fatal, 48
        CHECK_FALSE(heard.has(What::received));
        CHECK_FALSE(heard.has(What::sent));
    }
}

TEST_CASE("a tap gets a key log only when it asks for one, and no connection gets another's") {
    for (const Versions versions : {tls12, tls13}) {
        const auto server_side = server_context(versions);
        const auto client_side = client_context(authorities().ours.ca_cert);
        Heard log, no_log;
        Pair with, without, none;
        log.watch(*with.server, true);
        no_log.watch(*without.server);
        with.handshake(server_side->accept(), client_side->connect("db.example.com"));
        without.handshake(server_side->accept(), client_side->connect("db.example.com"));
        none.handshake(server_side->accept(), client_side->connect("db.example.com"));
        const std::string& lines = log.text[What::key];
        CHECK(lines.find(versions.max == tls12.max ? "CLIENT_RANDOM " : "SERVER_TRAFFIC_SECRET_0 ") !=
              std::string::npos);
        CHECK(lines.find("\n\n") == std::string::npos);
        CHECK_FALSE(no_log.has(What::key));
        std::string random(2 * SSL3_RANDOM_SIZE, '\0');
        std::array<unsigned char, SSL3_RANDOM_SIZE> bytes{};
        REQUIRE(SSL_get_client_random(with.server->ssl(), bytes.data(), bytes.size()) == bytes.size());
        for (std::size_t i = 0; i < bytes.size(); ++i) std::snprintf(&random[2 * i], 3, "%02x", bytes[i]);
        random.resize(2 * SSL3_RANDOM_SIZE);
        for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1)
            CHECK(lines.substr(lines.find(' ', at) + 1, random.size()) == random);
    }
}

TEST_CASE("a tap is told who ended a stream, and how") {
    for (const auto& kind : every_kind) {
        Heard server, client;
        Pair pair;
        server.watch(*pair.server);
        client.watch(*pair.client);
        prepare(pair, kind);
        pair.relay();
        pair.client->close_send(true);
        drain(*pair.server);
        CHECK(client.order.back() == What::closed);
        CHECK(server.has(What::peer_closed));
        CHECK_FALSE(server.has(What::closed));
        pair.server->reset();
        CHECK(server.order.back() == What::reset);
        drain(*pair.client);
        CHECK((client.has(What::peer_reset) || client.has(What::peer_closed)));
    }
}

TEST_CASE("a tap that is taken off hears no more") {
    Heard heard;
    Pair pair;
    heard.watch(*pair.server);
    pair.server->set_tap({});
    REQUIRE(pair.result_of(said(*pair.server, "unheard")));
    pair.server->close();
    CHECK(heard.order == std::vector{What::opened});
}
