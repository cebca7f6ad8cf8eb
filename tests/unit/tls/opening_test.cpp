#include "tls/opening.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "protocol/messages.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using protocol::Negotiation;
using Stop = tls::Opening::Stop;

/// A client that is nothing but a socket, and the stream that leads to it.
class Connection {
   public:
    explicit Connection(protocol::NegotiationPolicy policy) : negotiation(policy) {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
        client_ = fds[0];
        const asio::generic::stream_protocol protocol(AF_UNIX, 0);
        stream = std::make_unique<tls::Stream>(tls::Socket(io_, protocol, fds[1]), tls::Leg::client);
        stream->set_deadline(std::chrono::steady_clock::now() + 10s, tls::Deadline::login);
    }
    ~Connection() { close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Connection& sends(protocol::Bytes bytes) {
        REQUIRE(::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
        return *this;
    }
    /// What has come so far.
    std::string heard() const {
        std::array<char, 16> bytes{};
        const ssize_t n = ::recv(client_, bytes.data(), bytes.size(), MSG_DONTWAIT);
        return n > 0 ? std::string(bytes.data(), static_cast<std::size_t>(n)) : "";
    }
    void close() {
        if (client_ >= 0) ::close(std::exchange(client_, -1));
    }
    /// Goes on with the opening; throws what that throws.
    tls::Opening next() {
        tls::Opening opening;
        std::exception_ptr thrown;
        bool done = false;
        asio::co_spawn(io_, tls::go_on(*stream, negotiation), [&](std::exception_ptr error, tls::Opening reached) {
            thrown = error;
            opening = std::move(reached);
            done = true;
        });
        io_.restart();
        while (!done) REQUIRE(io_.run_one_for(20s) > 0);
        if (thrown) std::rethrow_exception(thrown);
        return opening;
    }

   private:
    asio::io_context io_{1};
    int client_ = -1;

   public:
    Negotiation negotiation;
    std::unique_ptr<tls::Stream> stream;
};

const protocol::Buffer ssl_request = protocol::serialize(protocol::SSLRequest{});

protocol::Buffer startup_message() {
    return protocol::serialize(protocol::StartupMessage{.version = 3U << 16, .parameters = {{"user", "app"}}});
}

}  // namespace

TEST_CASE("an opening without TLS goes through to the StartupMessage") {
    Connection connection({.tls = true});
    connection.sends(startup_message());
    CHECK(connection.next().stop == Stop::started);
    CHECK(connection.negotiation.startup().find("user") == "app");
}

TEST_CASE("an opening stops before TLS is declined, so that it is noted before the client knows") {
    Connection connection({.tls = false});
    connection.sends(ssl_request);
    REQUIRE(connection.next().stop == Stop::declining);
    CHECK(connection.heard().empty());
    SECTION("and goes on in clear") {
        connection.stream->set_deadline(std::chrono::steady_clock::now() + 50ms, tls::Deadline::login);
        CHECK_THROWS_AS(connection.next(), tls::StreamError);
        CHECK(connection.heard() == "N");
    }
}

TEST_CASE("an opening stops for the handshake") {
    Connection connection({.tls = true});
    connection.sends(ssl_request);
    CHECK(connection.next().stop == Stop::start_tls);
    CHECK(connection.heard() == "S");
    CHECK_FALSE(connection.negotiation.hears_messages());
}

TEST_CASE("bytes behind an SSLRequest are a reason to refuse, before TLS or behind the N") {
    const bool tls = GENERATE(true, false);
    Connection connection({.tls = tls});
    connection.sends(ssl_request).sends(ssl_request);
    CHECK(connection.next().stop == Stop::reject);
    CHECK(connection.negotiation.fault() == protocol::Fault::unencrypted_after_request);
    CHECK(connection.heard() == (tls ? "" : "N"));
}

TEST_CASE("a client that closes within its opening is a value") {
    Connection connection({.tls = true});
    SECTION("at once") {}
    SECTION("within a packet") { connection.sends(protocol::Bytes(ssl_request).first(5)); }
    connection.close();
    const tls::Opening opening = connection.next();
    CHECK(opening.stop == Stop::closed);
    CHECK(opening.error.empty());
}

TEST_CASE("a client that says nothing ends its opening by the deadline, which is named") {
    Connection connection({.tls = true});
    connection.stream->set_deadline(std::chrono::steady_clock::now() + 20ms, tls::Deadline::login);
    try {
        connection.next();
        FAIL("nothing was thrown");
    } catch (const tls::StreamError& error) {
        CHECK(error.kind() == tls::StreamError::Kind::timed_out);
        CHECK(error.leg() == tls::Leg::client);
        CHECK(error.passed() == tls::Deadline::login);
    }
}
