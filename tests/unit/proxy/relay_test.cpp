#include "proxy/session/relay.hpp"

#include <dlfcn.h>
#include <openssl/rand.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>

#include "support/catch.hpp"
#include "tls/authority.hpp"
#include "tls/listener_context.hpp"

// Every allocation of this thread is counted, C's and Asio's as well as C++'s: malloc itself is
// replaced, as glibc allows ("Replacing malloc" in its manual). Sanitizers replace it themselves,
// so there nothing is counted.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PGAIRLOCK_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PGAIRLOCK_COUNTS_ALLOCATIONS 0
#endif
#endif
#if !defined(PGAIRLOCK_COUNTS_ALLOCATIONS) && defined(__GLIBC__)
#define PGAIRLOCK_COUNTS_ALLOCATIONS 1
#endif

#if PGAIRLOCK_COUNTS_ALLOCATIONS

namespace {

/// Who allocated while counting was on: return addresses, looked up afterwards.
thread_local bool counting = false;  // by one thread at a time
std::size_t allocations = 0;
std::array<void*, 100'000> callers;

/// Larger ones fail.
thread_local std::size_t largest_allocation = SIZE_MAX;

void count(void* caller) noexcept {
    if (counting && allocations < callers.size()) callers[allocations++] = caller;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
    count(__builtin_return_address(0));
    return size > largest_allocation ? nullptr : __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
    count(__builtin_return_address(0));
    return __libc_calloc(n, size);
}
void* realloc(void* old, std::size_t size) noexcept {
    count(__builtin_return_address(0));
    return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
    count(__builtin_return_address(0));
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
}

#endif

namespace {

using namespace std::chrono_literals;
using protocol::as_bytes;
using protocol::as_text;
using protocol::Buffer;
using proxy::Reason;
using proxy::RelayResult;
using tls::End;
using tls::Stream;

void shrink_send_buffer(Stream& stream) {
    const int size = 4096;
    REQUIRE(::setsockopt(stream.socket().native_handle(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}

/// A relay between two socketpairs: `client` and `server` are the far ends, which a test speaks
/// for.
class Relayed {
   public:
    Relayed() {
        client = connect(near_client_);
        server = connect(near_server_);
    }

    void start(std::chrono::milliseconds idle_timeout = 0ms) {
        client->begin_relay();
        server->begin_relay();
        relay_.emplace(*near_client_, *near_server_);
        relay_->start(idle_timeout, [this] { result_ = relay_->result(); });
        settle();
    }

    /// As far as it goes without waiting.
    void settle() {
        io_.restart();
        while (io_.poll() > 0) {
        }
    }

    void wait_for_end() { wait(120s); }
    void wait(std::chrono::milliseconds time) {
        io_.restart();
        io_.run_for(time);
    }

    bool over() const { return result_.has_value(); }
    RelayResult result() const {
        REQUIRE(over());
        return *result_;
    }

    /// Both ends of the client leg become TLS.
    void encrypt_client_leg() {
        tls::Handshake near_end, far_end;
        asio::co_spawn(io_, near_client_->handshake(context().accept()),
                       [&](std::exception_ptr, tls::Handshake h) { near_end = h; });
        const tls::SslCtxPtr client_context(SSL_CTX_new(TLS_client_method()));
        tls::prepare(client_context.get());
        tls::SslPtr ssl(SSL_new(client_context.get()));
        SSL_set_connect_state(ssl.get());
        asio::co_spawn(io_, client->handshake(std::move(ssl)),
                       [&](std::exception_ptr, tls::Handshake h) { far_end = h; });
        settle();
        REQUIRE(near_end.end == tls::Handshake::End::complete);
        REQUIRE(far_end.end == tls::Handshake::End::complete);
    }

    void says(Stream& far_end, std::string_view text) {
        REQUIRE(far_end.send(as_bytes(text)));
        settle();
    }

    struct Heard {
        Buffer bytes;
        End end = End::open;
        std::string text() const { return std::string(as_text(bytes)); }
    };
    /// Everything that reaches a far end, which lets the relay go on sending.
    Heard hears(Stream& far_end) {
        Heard heard;
        for (;;) {
            const Stream::Received received = far_end.receive();
            heard.bytes.insert(heard.bytes.end(), received.bytes.begin(), received.bytes.end());
            heard.end = received.end;
            if (received.end != End::open) return heard;
            if (received.bytes.empty()) {
                settle();
                if (!has_input(far_end)) return heard;
            }
        }
    }

    proxy::Relay& near() { return *relay_; }
    Stream& near_client() { return *near_client_; }
    Stream& near_server() { return *near_server_; }

   private:
    static bool has_input(Stream& stream) {
        pollfd fd{.fd = stream.socket().native_handle(), .events = POLLIN, .revents = 0};
        return ::poll(&fd, 1, 0) == 1;
    }

    std::unique_ptr<Stream> connect(std::unique_ptr<Stream>& near_end) {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
        const asio::generic::stream_protocol protocol(AF_UNIX, 0);
        near_end = std::make_unique<Stream>(tls::Socket(io_, protocol, fds[0]), tls::Leg::server);
        return std::make_unique<Stream>(tls::Socket(io_, protocol, fds[1]), tls::Leg::client);
    }

    static const tls::ListenerContext& context() {
        static const std::unique_ptr<tls::ListenerContext> made = [] {
            std::string folder = (std::filesystem::temp_directory_path() / "pgairlock-relay-XXXXXX").string();
            REQUIRE(::mkdtemp(folder.data()) != nullptr);
            const tls::IssuedFiles files = tls::issue(folder, {});
            config::ListenerTls settings;
            settings.cert_file.path = files.ecdsa_cert;
            settings.key_file.path = files.ecdsa_key;
            std::vector<config::Diagnostic> errors, warnings;
            auto loaded = std::make_unique<tls::ListenerContext>(settings, errors, warnings);
            std::filesystem::remove_all(folder);
            REQUIRE(errors.empty());
            return loaded;
        }();
        return *made;
    }

    asio::io_context io_;
    std::unique_ptr<Stream> near_client_;
    std::unique_ptr<Stream> near_server_;
    std::optional<RelayResult> result_;
    std::optional<proxy::Relay> relay_;

   public:
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
};

Buffer random_bytes(std::size_t size) {
    Buffer bytes(size);
    RAND_bytes(bytes.data(), static_cast<int>(size));
    return bytes;
}

}  // namespace

TEST_CASE("bytes pass both ways and are counted") {
    for (const bool encrypted : {false, true}) {
        Relayed relay;
        if (encrypted) relay.encrypt_client_leg();
        relay.start();
        relay.says(*relay.client, "select 1");
        CHECK(relay.hears(*relay.server).text() == "select 1");
        relay.says(*relay.server, "1");
        relay.says(*relay.server, " row");
        CHECK(relay.hears(*relay.client).text() == "1 row");
        CHECK_FALSE(relay.over());
        relay.client->close_send(true);
        relay.settle();
        relay.server->close_send(true);
        relay.settle();
        CHECK(relay.result().end == Reason::client_closed);
        CHECK(relay.result().bytes_from_client == 8);
        CHECK(relay.result().bytes_from_server == 5);
    }
}

TEST_CASE("bytes that came before the relay are the first to pass") {
    Relayed relay;
    relay.encrypt_client_leg();
    relay.client->begin_relay();
    REQUIRE(relay.client->send(as_bytes("Pselect 1")));
    REQUIRE(relay.server->send(as_bytes("NOTICE")));
    relay.start();
    CHECK(relay.hears(*relay.server).text() == "Pselect 1");
    CHECK(relay.hears(*relay.client).text() == "NOTICE");
}

TEST_CASE("a client that said all it had to still hears the answer") {
    for (const bool encrypted : {false, true}) {
        Relayed relay;
        if (encrypted) relay.encrypt_client_leg();
        relay.start();
        relay.says(*relay.client, "last question");
        relay.client->close_send(true);
        relay.settle();
        const auto asked = relay.hears(*relay.server);
        CHECK(asked.text() == "last question");
        CHECK(asked.end == End::closed);
        CHECK_FALSE(relay.over());
        relay.says(*relay.server, "last answer");
        relay.server->close_send(true);
        relay.settle();
        const auto answered = relay.hears(*relay.client);
        CHECK(answered.text() == "last answer");
        CHECK(answered.end == End::closed);
        CHECK(relay.result().end == Reason::client_closed);
    }
}

TEST_CASE("a server that closes ends the session once the client has closed as well") {
    Relayed relay;
    relay.start();
    relay.says(*relay.server, "FATAL");
    relay.server->close();
    relay.settle();
    const auto heard = relay.hears(*relay.client);
    CHECK(heard.text() == "FATAL");
    CHECK(heard.end == End::closed);
    relay.client->close();
    relay.settle();
    CHECK(relay.result().end == Reason::server_closed);
}

TEST_CASE("a client that holds its end after the server closed is let go after five seconds") {
    Relayed relay;
    relay.start();
    relay.server->close();
    const auto start = std::chrono::steady_clock::now();
    relay.wait_for_end();
    CHECK(relay.result().end == Reason::server_closed);
    CHECK(std::chrono::steady_clock::now() - start >= 4900ms);
}

TEST_CASE("a client that takes nothing of what it is owed is let go after five seconds as well") {
    Relayed relay;
    shrink_send_buffer(relay.near_client());
    relay.start();
    const bool unread = GENERATE(false, true);
    // Fits into what the relay receives at once, or not: then the server's end is behind it.
    relay.server->send(random_bytes(unread ? 500'000 : 50'000));
    relay.settle();
    relay.server->close();
    const auto start = std::chrono::steady_clock::now();
    relay.wait_for_end();
    CHECK(relay.result().end == Reason::server_closed);
    CHECK(std::chrono::steady_clock::now() - start >= 4900ms);
}

TEST_CASE("a client that is slow gets all that a server said before it closed") {
    Relayed relay;
    shrink_send_buffer(relay.near_client());
    relay.start();
    const Buffer said = random_bytes(60'000);
    relay.says(*relay.server, as_text(said));
    relay.server->close();
    Buffer heard;
    const int fd = relay.client->socket().native_handle();
    for (int i = 0; i < 14 && !relay.over(); ++i) {
        relay.wait(500ms);
        std::array<std::uint8_t, 1024> some{};
        const ssize_t n = ::recv(fd, some.data(), some.size(), 0);
        if (n > 0) heard.insert(heard.end(), some.begin(), some.begin() + n);
    }
    CHECK_FALSE(relay.over());
    const Buffer rest = relay.hears(*relay.client).bytes;
    heard.insert(heard.end(), rest.begin(), rest.end());
    CHECK(heard == said);
}

TEST_CASE("an end without close_notify is passed on without one") {
    Relayed relay;
    relay.encrypt_client_leg();
    relay.start();
    relay.client->close_send(false);
    relay.settle();
    CHECK(relay.hears(*relay.server).end == End::closed);
    relay.server->close();
    relay.settle();
    CHECK(relay.result().end == Reason::client_closed);
}

TEST_CASE("a reset of one side ends both at once") {
    SECTION("the client's") {
        Relayed relay;
        relay.start();
        relay.says(*relay.server, "never read: closing over it is a reset");
        relay.client->reset();
        relay.settle();
        CHECK(relay.result().end == Reason::client_reset);
        CHECK(relay.hears(*relay.server).end != End::open);
    }
    SECTION("the server's") {
        Relayed relay;
        relay.start();
        relay.says(*relay.client, "never read");
        relay.server->reset();
        relay.settle();
        CHECK(relay.result().end == Reason::server_reset);
        CHECK(relay.hears(*relay.client).end != End::open);
    }
}

TEST_CASE("a side that is gone when it is sent something ends both") {
    Relayed relay;
    shrink_send_buffer(relay.near_server());
    relay.start();
    const Buffer much(100'000);
    relay.client->send(much);
    relay.settle();
    CHECK_FALSE(relay.over());
    relay.server->reset();
    relay.settle();
    CHECK(relay.result().end == Reason::server_reset);
}

TEST_CASE("broken TLS ends both and is blamed on its sender") {
    Relayed relay;
    relay.encrypt_client_leg();
    relay.start();
    const std::string garbage = "this is no record";
    REQUIRE(::send(relay.client->socket().native_handle(), garbage.data(), garbage.size(), 0) > 0);
    relay.settle();
    CHECK(relay.result().end == Reason::client_tls_error);
    CHECK(relay.hears(*relay.server).end != End::open);
}

TEST_CASE("a session in which nothing moves ends at its idle timeout") {
    Relayed relay;
    relay.start(30ms);
    const auto start = std::chrono::steady_clock::now();
    relay.wait_for_end();
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
    CHECK(relay.result().end == Reason::idle_timeout);
    CHECK(relay.result().told);
    const auto told = relay.hears(*relay.client);
    CHECK(told.text().find("57P05") != std::string::npos);
    CHECK(told.end != End::open);
    CHECK(relay.hears(*relay.server).end != End::open);
}

TEST_CASE("a session whose client has asked is told nothing at its idle timeout") {
    Relayed relay;
    relay.start(30ms);
    relay.says(*relay.client, "Q");
    relay.wait_for_end();
    CHECK(relay.result().end == Reason::idle_timeout);
    CHECK_FALSE(relay.result().told);
    CHECK(relay.hears(*relay.client).text().empty());
}

TEST_CASE("a session that only looks idle is told why it ends once its server has left") {
    Relayed relay;
    relay.start();
    const std::string row("D\0\0\0\5x", 6);
    std::string answer;
    for (int i = 0; i < 1000; ++i) answer += row;
    answer += std::string("Z\0\0\0\5I", 6);
    relay.says(*relay.client, std::string("Q\0\0\0\5", 6));
    relay.says(*relay.server, answer);
    CHECK(relay.hears(*relay.client).text() == answer);
    CHECK_FALSE(relay.near().farewell(Reason::idle_timeout, true));
    CHECK(relay.near().dismiss(Reason::idle_timeout, true));
    CHECK(relay.hears(*relay.server).text() == std::string("Q\0\0\0\5\0X\0\0\0\4", 11));
    CHECK(relay.hears(*relay.client).text().empty());

    SECTION("that it was is said by its close") {
        relay.says(*relay.client, std::string("Q\0\0\0\5", 6));  // too late: nobody reads it
        relay.server->close();
        relay.settle();
        const auto told = relay.hears(*relay.client);
        CHECK(told.text().find("57P05") != std::string::npos);
        CHECK(told.end != End::open);
        relay.client->close();
        relay.wait_for_end();
        CHECK(relay.result().told);
    }
    SECTION("it was not, and its answer ends before it leaves") {
        relay.says(*relay.server, row + std::string("Z\0\0\0\5I", 6));
        CHECK(relay.hears(*relay.client).text() == row + std::string("Z\0\0\0\5I", 6));
        relay.server->close();
        relay.settle();
        CHECK(relay.hears(*relay.client).text().find("57P05") != std::string::npos);
        relay.client->close();
        relay.wait_for_end();
    }
    SECTION("nothing is said within a row that was cut off") {
        relay.says(*relay.server, row.substr(0, 4));
        relay.server->close();
        relay.settle();
        CHECK(relay.hears(*relay.client).text() == row.substr(0, 4));
        relay.client->close();
        relay.wait_for_end();
        CHECK_FALSE(relay.result().told);
    }
    CHECK(relay.result().end != Reason::failed);
}

TEST_CASE("bytes of either side put off the idle timeout") {
    Relayed relay;
    relay.start(100ms);
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t said = 0;
    // The relay's time passes in settle() alone, so that no period is without a byte.
    for (; std::chrono::steady_clock::now() < start + 350ms; ++said) {
        relay.says(*relay.client, "x");
        relay.says(*relay.server, "x");
        REQUIRE(relay.hears(*relay.server).text() == "x");
        REQUIRE(relay.hears(*relay.client).text() == "x");
        REQUIRE_FALSE(relay.over());
    }
    relay.wait_for_end();
    CHECK(relay.result().end == Reason::idle_timeout);
    CHECK(relay.result().bytes_from_client == said);
    CHECK(relay.result().bytes_from_server == said);
}

TEST_CASE("big transfers both ways at once arrive whole at readers that are slow") {
    for (const bool encrypted : {false, true}) {
        Relayed relay;
        if (encrypted) relay.encrypt_client_leg();
        shrink_send_buffer(relay.near_client());
        shrink_send_buffer(relay.near_server());
        relay.start();
        const Buffer up = random_bytes(3'000'000);
        const Buffer down = random_bytes(2'000'000);
        Buffer up_got, down_got;
        std::size_t up_at = 0, down_at = 0;
        bool up_clear = true, down_clear = true;
        const auto push = [](Stream& far_end, const Buffer& bytes, std::size_t& at, bool& clear) {
            if (!clear) clear = far_end.flush();
            while (clear && at < bytes.size()) {
                const std::size_t size = std::min<std::size_t>(50'000, bytes.size() - at);
                clear = far_end.send(protocol::Bytes(bytes).subspan(at, size));
                at += size;
            }
        };
        for (int round = 0; round < 100'000 && (up_got.size() < up.size() || down_got.size() < down.size()); ++round) {
            push(*relay.client, up, up_at, up_clear);
            push(*relay.server, down, down_at, down_clear);
            relay.settle();
            for (const auto& [far_end, got] :
                 {std::pair(relay.server.get(), &up_got), std::pair(relay.client.get(), &down_got)}) {
                const Stream::Received received = far_end->receive();
                got->insert(got->end(), received.bytes.begin(), received.bytes.end());
            }
        }
        CHECK(up_got.size() == up.size());
        CHECK(down_got.size() == down.size());
        CHECK((up_got == up));
        CHECK((down_got == down));
        relay.client->close();
        relay.server->close();
        relay.settle();
        CHECK(relay.result().bytes_from_client == up.size());
        CHECK(relay.result().bytes_from_server == down.size());
    }
}

TEST_CASE("close_notify reaches a client that is behind") {
    // Whatever room the last bytes leave in the socket.
    for (std::size_t size = 20'000; size < 40'000; size += 211) {
        Relayed relay;
        relay.encrypt_client_leg();
        shrink_send_buffer(relay.near_client());
        relay.start();
        const Buffer sent = random_bytes(size);
        bool all_sent = relay.server->send(sent);
        Buffer got;
        while (!all_sent) {
            const auto heard = relay.client->receive();
            got.insert(got.end(), heard.bytes.begin(), heard.bytes.end());
            relay.settle();
            all_sent = relay.server->flush();
        }
        relay.server->close_send(false);
        const auto last = relay.hears(*relay.client);
        got.insert(got.end(), last.bytes.begin(), last.bytes.end());
        CHECK(got.size() == size);
        CHECK((got == sent));
        CHECK(last.end == End::closed);
    }
}

TEST_CASE("every end of a relay has a label of its own") {
    CHECK(proxy::label(Reason::client_closed) == "client_closed");
    CHECK(proxy::label(Reason::server_closed) == "server_closed");
    CHECK(proxy::label(Reason::client_reset) == "client_reset");
    CHECK(proxy::label(Reason::server_reset) == "server_reset");
    CHECK(proxy::label(Reason::client_tls_error) == "client_tls_error");
    CHECK(proxy::label(Reason::server_tls_error) == "server_tls_error");
    CHECK(proxy::label(Reason::failed) == "failed");
    CHECK(proxy::label(Reason::idle_timeout) == "idle_timeout");
}

#if PGAIRLOCK_COUNTS_ALLOCATIONS

namespace {

bool in_openssl(void* address) {
    Dl_info info{};
    if (::dladdr(address, &info) == 0 || !info.dli_fname) return false;
    const std::string_view object = info.dli_fname;
    return object.find("libcrypto") != object.npos || object.find("libssl") != object.npos;
}

struct Allocations {
    std::ptrdiff_t ours = 0;  ///< with Asio's
    std::ptrdiff_t openssl = 0;
};

/// What the relay's loop allocates while `rounds` questions and answers pass; the far ends are not
/// counted.
Allocations allocations_of(Relayed& relay, int rounds) {
    const std::string text = "select 1";
    allocations = 0;
    for (int i = 0; i < rounds; ++i) {
        for (Stream* from : {relay.client.get(), relay.server.get()}) {
            Stream& to = from == relay.client.get() ? *relay.server : *relay.client;
            from->send(as_bytes(text));
            counting = true;
            relay.settle();
            counting = false;
            if (as_text(to.receive().bytes) != text) throw std::runtime_error("the relay lost a message");
        }
    }
    const auto end = callers.begin() + static_cast<std::ptrdiff_t>(allocations);
    const auto openssl = std::count_if(callers.begin(), end, in_openssl);
    return {.ours = end - callers.begin() - openssl, .openssl = openssl};
}

}  // namespace

TEST_CASE("allocations are counted at all") {
    allocations = 0;
    counting = true;
    Buffer* volatile made = new Buffer(100);  // volatile: not optimised away
    counting = false;
    delete made;
    CHECK(allocations == 2);
}

TEST_CASE("a session that finds no memory for its queue ends alone, and says so") {
    Relayed relay;
    shrink_send_buffer(relay.near_client());
    relay.start();
    relay.says(*relay.server, "warms up");
    relay.server->send(random_bytes(200'000));
    largest_allocation = 16 * 1024;
    relay.settle();
    largest_allocation = SIZE_MAX;
    CHECK(relay.result().end == Reason::failed);
    CHECK(relay.hears(*relay.client).end != End::open);
    CHECK(relay.hears(*relay.server).end != End::open);
}

TEST_CASE("relaying small messages allocates nothing once it has warmed up") {
    Relayed relay;
    relay.start();
    allocations_of(relay, 100);
    CHECK(allocations_of(relay, 1000).ours == 0);
}

TEST_CASE("an idle timeout costs no allocation a message") {
    Relayed relay;
    relay.start(1h);
    allocations_of(relay, 100);
    CHECK(allocations_of(relay, 1000).ours == 0);
}

TEST_CASE("relaying small messages through TLS allocates only what OpenSSL itself does") {
    Relayed relay;
    relay.encrypt_client_leg();
    relay.start();
    allocations_of(relay, 100);
    const Allocations made = allocations_of(relay, 1000);
    CHECK(made.ours == 0);
    // Measured with OpenSSL 3.0: seven a round trip, its record buffers among them, which an idle
    // session does not hold.
    CHECK(made.openssl <= 20 * 1000);
}

#endif
