#include "proxy/upstream/upstream.hpp"

#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using protocol::SslMode;
using Clock = std::chrono::steady_clock;
using Endpoint = asio::generic::stream_protocol::endpoint;

constexpr Reason unable_to_connect = Reason::server_not_reached;
constexpr Reason connection_failure = Reason::server_not_accepted;

bool allows_clear(SslMode mode) { return mode < SslMode::require; }

/// Asks for TLS. Nothing: the server said 'S', or answers direct TLS; `refused`: it said 'N'.
tls::Awaitable<std::optional<AttemptFailure>> request_tls(tls::Stream& stream, bool& refused) {
    const protocol::Buffer request = protocol::serialize(protocol::SSLRequest{});
    co_await stream.write(request);
    std::array<std::uint8_t, 16> answer{};
    const std::size_t n = co_await stream.read_some(answer);
    if (n == 0)
        co_return AttemptFailure{"server closed the connection in answer to SSLRequest", connection_failure, {}};
    // More than one byte before TLS was put there by somebody between us (CVE-2021-23222).
    if (answer[0] == 'S' && n > 1) {
        co_return AttemptFailure{.error = "received unencrypted data after SSL response: possible man-in-the-middle",
                                 .reason = connection_failure,
                                 .suspicious = true};
    }
    if (answer[0] == 'S') co_return std::nullopt;
    if (answer[0] == 'N' && n == 1) {
        refused = true;
        co_return std::nullopt;
    }
    // An ErrorResponse here may come from anybody: its text is not shown (CVE-2024-10977).
    co_return AttemptFailure{.error = answer[0] == 'E' ? "server sent an error response in answer to SSLRequest"
                                                       : "server sent an invalid response to SSLRequest",
                             .reason = connection_failure,
                             .suspicious = true};
}

tls::Awaitable<std::optional<AttemptFailure>> start_tls(tls::Stream& stream, const UpstreamRoute& route,
                                                        const std::string& host) {
    tls::SslPtr ssl = route.tls->connect(host);
    const tls::Handshake handshake = co_await stream.handshake(std::move(ssl));
    if (handshake.end != tls::Handshake::End::complete) {
        AttemptFailure failure{handshake.error, connection_failure, {}};
        if (stream.notes().verify.code != X509_V_OK) failure.verify = stream.notes().verify;
        if (handshake.end == tls::Handshake::End::timed_out) failure.reason = unable_to_connect;
        co_return failure;
    }
    const unsigned char* alpn = nullptr;
    unsigned alpn_size = 0;
    SSL_get0_alpn_selected(stream.ssl(), &alpn, &alpn_size);
    if (route.settings.sslnegotiation == config::SslNegotiation::direct && alpn_size == 0) {
        co_return AttemptFailure{
            "direct TLS was established without ALPN protocol negotiation", connection_failure, {}};
    }
    co_return std::nullopt;
}

/// From a socket that is not yet open to one that is ready for a StartupMessage.
tls::Awaitable<std::optional<AttemptFailure>> establish(UpstreamConnection& connection, const UpstreamRoute& route,
                                                        bool encrypted) {
    tls::Stream& stream = *connection.stream;
    const auto connect_start = Clock::now();
    const auto [refused] = co_await stream.socket().async_connect(connection.endpoint, tls::returning);
    if (refused) {
        const bool timed_out = refused == asio::error::operation_aborted;
        co_return AttemptFailure{timed_out ? "timeout expired" : refused.message(), unable_to_connect, {}};
    }
    connection.connect = tls::since(connect_start);
    if (!encrypted) co_return std::nullopt;

    const auto tls_start = Clock::now();
    bool said_no = false;
    if (route.settings.sslnegotiation == config::SslNegotiation::postgres) {
        auto failure = co_await request_tls(stream, said_no);
        if (failure) co_return failure;
    }
    if (said_no) {
        if (allows_clear(route.settings.sslmode)) co_return std::nullopt;
        co_return AttemptFailure{"server does not support TLS, but sslmode=" +
                                     std::string(protocol::to_string(route.settings.sslmode)) + " requires it",
                                 connection_failure,
                                 {}};
    }
    auto failure = co_await start_tls(stream, route, connection.host);
    if (failure) co_return failure;
    connection.tls = route.tls->describe(stream.ssl());
    connection.tls_time = tls::since(tls_start);
    co_return std::nullopt;
}

/// Why a server's certificate was refused, in the words an operator needs.
std::string verify_detail(const tls::VerifyFailure& verify, const UpstreamRoute& route) {
    const bool name = verify.code == X509_V_ERR_HOSTNAME_MISMATCH || verify.code == X509_V_ERR_IP_ADDRESS_MISMATCH;
    std::string sans;
    for (const std::string& san : verify.leaf.sans) sans += (sans.empty() ? "" : ", ") + san;
    std::string detail =
        std::string(name ? "Host name check" : "Certificate chain check") + " failed: " + verify.reason;
    if (!name && verify.depth > 0) detail += " (at \"" + verify.certificate + "\")";
    return detail + ". Server certificate: subject \"" + verify.leaf.subject + "\", issuer \"" + verify.leaf.issuer +
           "\", expires " + tls::to_rfc3339(verify.leaf.not_after) + ", names " + (sans.empty() ? "none" : sans) +
           ". Verified against: " + route.tls->anchor_files() + ".";
}

std::string verify_hint(const tls::VerifyFailure& verify) {
    switch (verify.code) {
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "Connect to one of the certificate's names, or set ssl_server_name to one of them.";
        case X509_V_ERR_CERT_HAS_EXPIRED: return "The server's certificate must be renewed.";
        default: return "Add the certificate authority that issued the server's certificate to sslrootcert.";
    }
}

UpstreamFailure describe_failure(const AttemptFailure& last, const UpstreamRoute& route, std::string all_errors) {
    UpstreamFailure failure;
    failure.reason = last.reason;
    failure.address = last.address;
    failure.may_try_clear = last.reason == connection_failure && !last.suspicious;
    failure.error = std::move(all_errors);
    failure.response = {
        .severity = "FATAL",
        .sqlstate = std::string(sqlstate(last.reason)),
        .message = std::string(sentence(last.reason)) + " \"" + route.settings.name + "\": " + failure.error,
        .detail = {},
        .hint = {}};
    if (last.verify) {
        failure.verify_error = last.verify->reason;
        failure.reason = Reason::server_certificate_rejected;
        failure.response.message = std::string(sentence(failure.reason)) + " \"" + route.settings.name + "\" (" +
                                   last.host + ", " + last.address + ") was refused: " + last.verify->reason;
        failure.response.detail = verify_detail(*last.verify, route);
        failure.response.hint = verify_hint(*last.verify);
    }
    return failure;
}

}  // namespace

std::vector<bool> encryption_attempts(SslMode mode) {
    switch (mode) {
        case SslMode::disable: return {false};
        case SslMode::allow: return {false, true};
        case SslMode::prefer: return {true, false};
        case SslMode::require:
        case SslMode::verify_ca:
        case SslMode::verify_full: break;
    }
    return {true};
}

tls::Awaitable<UpstreamConnection> Connector::connect(const UpstreamRoute& route, bool encrypted,
                                                      Clock::time_point deadline) {
    UpstreamConnection connection;
    std::string errors;
    AttemptFailure last{"no host is configured", unable_to_connect, {}};
    bool suspicious = false;
    const auto note = [&](const std::string& where, AttemptFailure failure) {
        failure.host = connection.host;
        failure.address = where;
        suspicious = suspicious || failure.suspicious;
        errors += (errors.empty() ? "" : "; ") + where + ": " + failure.error;
        // A refused certificate is what the operator must know of, whatever the other addresses
        // said.
        if (!last.verify || failure.verify) last = std::move(failure);
    };
    for (const config::Address& host : route.settings.hosts) {
        const auto timeout = [&] { return std::min(deadline, Clock::now() + route.settings.connect_timeout); };
        const auto resolve_start = Clock::now();
        Resolved resolved = co_await resolve(host, timeout());
        connection.resolve += tls::since(resolve_start);
        connection.host = host.host;
        if (resolved.endpoints.empty()) note(config::to_string(host), {resolved.error, unable_to_connect, {}});
        for (const Endpoint& endpoint : resolved.endpoints) {
            if (Clock::now() >= deadline || !aborted_.empty()) break;
            connection.endpoint = endpoint;
            auto failure = co_await attempt(connection, route, encrypted, timeout());
            if (!failure) co_return connection;
            note(connection.address, std::move(*failure));
        }
    }
    last.suspicious = suspicious;
    connection.failure = describe_failure(last, route, std::move(errors));
    co_return connection;
}

tls::Awaitable<UpstreamConnection> Connector::connect_address(const UpstreamRoute& route, const Endpoint& endpoint,
                                                              const std::string& host, bool encrypted) {
    UpstreamConnection connection;
    connection.endpoint = endpoint;
    connection.host = host;
    auto failure = co_await attempt(connection, route, encrypted, Clock::now() + route.settings.connect_timeout);
    if (failure) {
        failure->host = host;
        failure->address = connection.address;
        connection.failure = describe_failure(*failure, route, failure->error);
    }
    co_return connection;
}

tls::Awaitable<Resolved> Connector::resolve(const config::Address& host, Clock::time_point deadline) {
    if (!aborted_.empty()) co_return Resolved{{}, aborted_};
    const tls::Executor executor = co_await asio::this_coro::executor;
    looking_up_ = std::make_shared<tls::Timer>(executor);
    Resolved resolved = co_await resolver_.resolve(host, deadline, looking_up_);
    looking_up_.reset();
    co_return resolved;
}

tls::Awaitable<std::optional<AttemptFailure>> Connector::attempt(UpstreamConnection& connection,
                                                                 const UpstreamRoute& route, bool encrypted,
                                                                 Clock::time_point deadline) {
    connection.address = to_string(connection.endpoint);
    if (!aborted_.empty()) co_return AttemptFailure{aborted_, unable_to_connect, {}};
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Socket socket(executor);
    boost::system::error_code error;
    socket.open(connection.endpoint.protocol(), error);
    if (error) co_return AttemptFailure{error.message(), unable_to_connect, {}};
    set_options(socket.native_handle(),
                {.keepalive = route.settings.tcp_keepalive, .user_timeout = route.settings.tcp_user_timeout});
    connection.stream = std::make_unique<tls::Stream>(std::move(socket));
    connection.stream->set_deadline(deadline);
    connecting_ = connection.stream.get();
    std::optional<AttemptFailure> failure;
    try {
        failure = co_await establish(connection, route, encrypted);
    } catch (const std::exception& broken) {
        failure = AttemptFailure{broken.what(), unable_to_connect, {}};
    }
    connecting_ = nullptr;
    if (!aborted_.empty()) failure = AttemptFailure{aborted_, unable_to_connect, {}};
    connection.stream->clear_deadline();
    if (failure) connection.stream.reset();
    co_return failure;
}

void Connector::abort(std::string why) {
    aborted_ = std::move(why);
    if (connecting_) connecting_->close();
    if (looking_up_) looking_up_->cancel();
}

}  // namespace proxy
