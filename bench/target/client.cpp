#include "bench/target/client.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "bench/target/authentication.hpp"
#include "protocol/startup.hpp"

namespace bench {
namespace {

using protocol::Message;

/// MaxAllocSize of PostgreSQL (src/include/utils/memutils.h): no message is longer.
constexpr std::size_t max_message = 0x3fffffff;
constexpr std::size_t chunk_size = 8192;
constexpr std::array<std::uint8_t, 5> terminate{'X', 0, 0, 0, 4};

/// The server's ErrorResponse instead of what was asked for.
struct ServerError : std::runtime_error {
    ServerError(const std::string& what, std::string code) : std::runtime_error(what), sqlstate(std::move(code)) {}
    std::string sqlstate;
};

/// We do not trust the server.
struct CertificateRefused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What the server asks for cannot be answered.
struct CannotLogIn : std::runtime_error {
    using std::runtime_error::runtime_error;
};

protocol::Buffer answer_to(Authentication& authentication, protocol::Bytes message) {
    try {
        return authentication.answer(message);
    } catch (const std::exception& error) {
        throw CannotLogIn(error.what());
    }
}

ServerError server_error(const Message& message) {
    const protocol::ErrorResponse error = protocol::parse_error_response(message.body);
    return {error.severity + " " + error.sqlstate + ": " + error.message, error.sqlstate};
}

/// As an SSL object is told; 0: OpenSSL does not know it.
int version_number(std::string_view version) {
    if (version == "TLSv1") return TLS1_VERSION;
    if (version == "TLSv1.1") return TLS1_1_VERSION;
    if (version == "TLSv1.2") return TLS1_2_VERSION;
    return version == "TLSv1.3" ? TLS1_3_VERSION : 0;
}

void offer_as(const Opening& opening, SSL* ssl) {
    if (const int version = version_number(opening.tls_version)) {
        SSL_set_min_proto_version(ssl, version);
        SSL_set_max_proto_version(ssl, version);
    } else {
        if (opening.tls_lowest != 0) SSL_set_min_proto_version(ssl, opening.tls_lowest);
        if (opening.tls_highest != 0) SSL_set_max_proto_version(ssl, opening.tls_highest);
    }
    if (!opening.groups.empty() && SSL_set1_groups_list(ssl, opening.groups.c_str()) != 1)
        throw std::runtime_error("OpenSSL refuses the groups " + opening.groups);
    constexpr std::string_view postgresql = "\x0apostgresql";
    if (opening.alpn) {
        const std::string_view offered = *opening.alpn ? postgresql : std::string_view();
        SSL_set_alpn_protos(ssl, protocol::as_bytes(offered).data(), static_cast<unsigned>(offered.size()));
    }
    if (opening.server_name) {
        std::string name = *opening.server_name;
        SSL_set_tlsext_host_name(ssl, name.empty() ? nullptr : name.data());
    }
}

protocol::Buffer query_message(std::string_view sql) {
    protocol::Buffer out;
    protocol::Writer writer(out);
    writer.u8('Q');
    const std::size_t length = writer.begin_length();
    writer.cstring(sql);
    writer.end_length(length);
    return out;
}

}  // namespace

Client::Client(const Route& route, Clock::time_point due)
    : route_(&route), due_(due), messages_(max_message), chunk_(chunk_size) {}

tls::Awaitable<Client> Client::open(const Route& route, Clock::time_point due) {
    Client client(route, due);
    try {
        co_await client.establish();
    } catch (const std::exception& error) {
        client.fail(error);
    }
    co_return client;
}

tls::Awaitable<Client> Client::open_as(const Route& route, Opening opening) {
    Client client(route, Clock::now());
    client.opening_ = std::move(opening);
    try {
        co_await client.establish();
    } catch (const std::exception& error) {
        client.fail(error);
    }
    co_return client;
}

tls::Awaitable<> Client::query(std::string_view sql) {
    const protocol::Buffer message = query_message(sql);
    allow_time();
    watch_.start(Phase::query);
    try {
        co_await stream_->write(message);
        co_await read_to_ready();
    } catch (const std::exception& error) {
        fail(error);
    }
    watch_.stop();
}

tls::Awaitable<> Client::close() {
    allow_time();
    watch_.start(Phase::close);
    try {
        co_await stream_->write(terminate);
        for (std::size_t n = 1; n > 0;) n = co_await stream_->read_some(chunk_);
    } catch (const tls::StreamError& error) {
        // An RST is an end too. Only a peer that does not go away is a failure.
        if (error.kind() == tls::StreamError::Kind::timed_out) fail(error);
    }
    watch_.phases()[Phase::overall] = watch_.stop() - due_;
    stream_->close();
}

tls::Awaitable<> Client::establish() {
    co_await connect();
    if (route_->tls()) {
        const auto negotiation = opening_.negotiation.value_or(route_->target().sslnegotiation);
        if (negotiation == config::SslNegotiation::postgres) co_await request_tls();
        co_await start_tls();
    }
    if (!opening_.handshake_only) co_await log_in();
    watch_.phases()[Phase::total] = watch_.stop() - due_;
}

/// Addresses in order, as libpq does: an address that does not answer is part of the price.
tls::Awaitable<> Client::connect() {
    const tls::Executor executor = co_await asio::this_coro::executor;
    const auto deadline = Clock::now() + route_->target().connect_timeout;
    std::string error;
    for (const Endpoint& endpoint : route_->endpoints()) {
        tls::Socket socket(executor);
        socket.open(endpoint.protocol());
        const int on = 1;
        if (!route_->target().is_unix_socket())
            ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        stream_ = std::make_unique<tls::Stream>(std::move(socket), tls::Leg::server);
        stream_->set_deadline(deadline, tls::Deadline::connect);
        if (error.empty()) watch_.start(Phase::tcp);
        const auto [refused] = co_await stream_->socket().async_connect(endpoint, tls::returning());
        if (!refused) co_return;
        error = refused == asio::error::operation_aborted ? "timeout expired" : refused.message();
    }
    throw std::runtime_error(address_text(route_->target()) + ": " + error);
}

tls::Awaitable<> Client::request_tls() {
    watch_.next(Phase::sslrequest);
    const protocol::Buffer request = protocol::serialize(protocol::SSLRequest{});
    co_await stream_->write(request);
    std::array<std::uint8_t, 16> answer{};
    const std::size_t n = co_await stream_->read_some(answer);
    if (n == 1 && answer[0] == 'S') co_return;
    if (n == 1 && answer[0] == 'N') {
        throw std::runtime_error("server does not support TLS, but sslmode=" +
                                 std::string(to_string(route_->target().sslmode)) + " requires it");
    }
    throw std::runtime_error(n == 0 ? "server closed the connection in answer to SSLRequest"
                                    : "server sent an invalid response to SSLRequest");
}

tls::Awaitable<> Client::start_tls() {
    watch_.next(Phase::tls);
    tls::SslPtr ssl = route_->tls()->connect(route_->target().host);
    offer_as(opening_, ssl.get());
    const tls::Handshake handshake = co_await stream_->handshake(std::move(ssl));
    if (handshake.end == tls::Handshake::End::complete) co_return;
    const tls::VerifyFailure& verify = stream_->notes().verify;
    if (verify.code == X509_V_OK) throw std::runtime_error(handshake.error);
    throw CertificateRefused("certificate verify failed: " + verify.reason);
}

tls::Awaitable<> Client::log_in() {
    Target target = route_->target();
    if (!opening_.user.empty()) target.user = opening_.user;
    if (!opening_.password.empty()) target.password = opening_.password;
    Authentication authentication(target, opening_.password_places);
    watch_.next(Phase::startup);
    const bool as_target = opening_.startup_message.empty();
    const protocol::Bytes startup = as_target ? route_->startup_message() : protocol::Bytes(opening_.startup_message);
    co_await stream_->write(startup);
    while (!authentication.done()) {
        const Message message = co_await read_message();
        if (message.type != 'R') continue;
        if (watch_.current() == Phase::startup) watch_.next(Phase::authentication);
        const protocol::Buffer answer = answer_to(authentication, message.body);
        if (!answer.empty()) co_await stream_->write(answer);
    }
    co_await read_to_ready();
}

/// The views of the message end with the next call.
tls::Awaitable<Message> Client::read_message() {
    for (;;) {
        const std::optional<Message> message = messages_.next();
        if (message && message->type == 'E') throw server_error(*message);
        if (message) co_return *message;
        if (messages_.oversized())
            throw std::runtime_error("server sent something that is no message of PostgreSQL's protocol");
        const std::size_t n = co_await stream_->read_some(chunk_);
        if (n == 0) throw std::runtime_error("server closed the connection");
        messages_.append(protocol::Bytes(chunk_).first(n));
    }
}

tls::Awaitable<> Client::read_to_ready() {
    for (char type = 0; type != 'Z';) {
        const Message message = co_await read_message();
        type = message.type;
        if (type == 'K') key_ = protocol::parse_backend_key_data(message.body);
    }
}

/// Query and close have as much time as the login has: it is a limit for what hangs, and part of no
/// measurement.
void Client::allow_time() {
    stream_->set_deadline(Clock::now() + route_->target().connect_timeout, tls::Deadline::login);
}

void Client::fail(const std::exception& error) const {
    PhaseError out(std::string(to_string(watch_.current())) + ": " + error.what(), watch_.current());
    if (const auto* refusal = dynamic_cast<const ServerError*>(&error)) out.sqlstate = refusal->sqlstate;
    out.certificate_refused = dynamic_cast<const CertificateRefused*>(&error) != nullptr;
    out.cannot_log_in = dynamic_cast<const CannotLogIn*>(&error) != nullptr;
    throw out;
}

}  // namespace bench
