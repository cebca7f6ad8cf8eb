#include "proxy/upstream/upstream.hpp"

#include "proxy/upstream/socket_options.hpp"

namespace proxy {
namespace {

using protocol::SslMode;
using Clock = std::chrono::steady_clock;
using Endpoint = asio::generic::stream_protocol::endpoint;
using Kind = AttemptFailure::Kind;

bool allows_clear(SslMode mode) { return mode < SslMode::require; }

/// Asks for TLS. Nothing: the server said 'S'; `refused`: it said 'N'.
tls::Awaitable<std::optional<AttemptFailure>> request_tls(tls::Stream& stream, bool& refused) {
    const protocol::Buffer request = protocol::serialize(protocol::SSLRequest{});
    co_await stream.write(request);
    std::array<std::uint8_t, 16> answer{};
    const std::size_t n = co_await stream.read_some(answer);
    if (n == 0) co_return AttemptFailure{Kind::not_accepted, "server closed the connection in answer to SSLRequest"};
    // More than one byte before TLS was put there by somebody between us (CVE-2021-23222).
    if (answer[0] == 'S' && n > 1) {
        co_return AttemptFailure{Kind::suspicious,
                                 "received unencrypted data after SSL response: possible man-in-the-middle"};
    }
    if (answer[0] == 'S') co_return std::nullopt;
    if (answer[0] == 'N' && n == 1) {
        refused = true;
        co_return std::nullopt;
    }
    // An ErrorResponse here may come from anybody: its text is not shown (CVE-2024-10977).
    const bool error = answer[0] == 'E';
    co_return AttemptFailure{Kind::suspicious, error ? "server sent an error response in answer to SSLRequest"
                                                     : "server sent an invalid response to SSLRequest"};
}

tls::Awaitable<std::optional<AttemptFailure>> start_tls(tls::Stream& stream, const UpstreamRoute& route,
                                                        const std::string& host) {
    tls::SslPtr ssl = route.tls->connect(host);
    const tls::Handshake handshake = co_await stream.handshake(std::move(ssl));
    if (handshake.end != tls::Handshake::End::complete) {
        const bool timed_out = handshake.end == tls::Handshake::End::timed_out;
        AttemptFailure failure{timed_out ? Kind::unreachable : Kind::not_accepted, handshake.error};
        if (stream.notes().verify.code != X509_V_OK) failure.verify = stream.notes().verify;
        co_return failure;
    }
    const unsigned char* alpn = nullptr;
    unsigned alpn_size = 0;
    SSL_get0_alpn_selected(stream.ssl(), &alpn, &alpn_size);
    if (route.settings.sslnegotiation == config::SslNegotiation::direct && alpn_size == 0) {
        co_return AttemptFailure{Kind::not_accepted, "direct TLS was established without ALPN protocol negotiation"};
    }
    co_return std::nullopt;
}

/// From a socket that is not yet connected to one that is ready for a StartupMessage.
tls::Awaitable<std::optional<AttemptFailure>> establish(tls::Stream& stream, const UpstreamRoute& route, Reached& to,
                                                        Encryption encryption) {
    const auto connect_start = Clock::now();
    const auto [refused] = co_await stream.socket().async_connect(to.endpoint, tls::returning);
    if (refused) {
        const bool timed_out = refused == asio::error::operation_aborted;
        co_return AttemptFailure{Kind::unreachable, timed_out ? "timeout expired" : refused.message()};
    }
    to.connect = tls::since(connect_start);
    if (encryption == Encryption::clear) co_return std::nullopt;

    const auto tls_start = Clock::now();
    bool said_no = false;
    if (route.settings.sslnegotiation == config::SslNegotiation::postgres) {
        auto failure = co_await request_tls(stream, said_no);
        if (failure) co_return failure;
    }
    if (said_no) {
        const protocol::SslMode mode = route.settings.sslmode;
        if (allows_clear(mode)) co_return std::nullopt;
        co_return AttemptFailure{Kind::not_accepted, "server does not support TLS, but sslmode=" +
                                                         std::string(protocol::to_string(mode)) + " requires it"};
    }
    auto failure = co_await start_tls(stream, route, to.host);
    if (failure) co_return failure;
    to.tls = route.tls->describe(stream.ssl());
    to.tls_time = tls::since(tls_start);
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

UpstreamFailure describe_failure(const AttemptFailure& worst, const UpstreamRoute& route, std::string all_errors) {
    UpstreamFailure failure;
    failure.reason = worst.reason();
    failure.address = worst.address;
    failure.error = std::move(all_errors);
    failure.response = {
        .severity = "FATAL",
        .sqlstate = std::string(sqlstate(failure.reason)),
        .message = std::string(sentence(failure.reason)) + " \"" + route.settings.name + "\": " + failure.error,
        .detail = {},
        .hint = {}};
    if (worst.verify) {
        failure.verify_error = worst.verify->reason;
        failure.response.message = std::string(sentence(failure.reason)) + " \"" + route.settings.name + "\" (" +
                                   worst.host + ", " + worst.address + ") was refused: " + worst.verify->reason;
        failure.response.detail = verify_detail(*worst.verify, route);
        failure.response.hint = verify_hint(*worst.verify);
    }
    return failure;
}

}  // namespace

tls::Awaitable<Connected> Connector::connect(Attempts& attempts, const UpstreamRoute& route,
                                             Clock::time_point deadline) {
    const auto timeout = [&] { return std::min(deadline, Clock::now() + route.settings.connect_timeout); };
    Resolved resolved;
    std::chrono::microseconds resolve_time{0};
    for (;;) {
        const bool over = attempts.next() != Attempts::Next::resolve && attempts.next() != Attempts::Next::connect;
        if (over || !aborted_.empty()) break;
        const config::Address& host = route.settings.hosts[attempts.host()];
        if (attempts.next() == Attempts::Next::resolve) {
            const auto start = Clock::now();
            resolved = co_await resolve(host, timeout());
            resolve_time += tls::since(start);
            if (resolved.endpoints.empty()) {
                attempts.failed({.kind = Kind::unreachable,
                                 .error = resolved.error,
                                 .host = host.host,
                                 .address = config::to_string(host)},
                                Clock::now());
            } else {
                attempts.resolved(resolved.endpoints.size(), Clock::now());
            }
            continue;
        }
        Reached to{.endpoint = resolved.endpoints[attempts.address()], .host = host.host, .resolve = resolve_time};
        Attempted attempted = co_await attempt(route, std::move(to), attempts.encryption(), timeout());
        if (auto* made = std::get_if<VerifiedConnection>(&attempted)) {
            const Encryption got = made->stream->encrypted() ? Encryption::tls : Encryption::clear;
            if (attempts.connected(got, made->reached.address, Clock::now())) co_return std::move(*made);
            continue;
        }
        attempts.failed(std::move(std::get<AttemptFailure>(attempted)), Clock::now());
    }
    co_return describe_failure(attempts.failure(), route, attempts.errors());
}

tls::Awaitable<Connected> Connector::connect_address(const UpstreamRoute& route, const Endpoint& endpoint,
                                                     const std::string& host, Encryption encryption) {
    Reached to{.endpoint = endpoint, .host = host};
    const auto deadline = Clock::now() + route.settings.connect_timeout;
    Attempted attempted = co_await attempt(route, std::move(to), encryption, deadline);
    if (auto* made = std::get_if<VerifiedConnection>(&attempted)) co_return std::move(*made);
    const AttemptFailure& failure = std::get<AttemptFailure>(attempted);
    co_return describe_failure(failure, route, failure.error);
}

void Connector::abort(std::string why) {
    aborted_ = std::move(why);
    if (connecting_) connecting_->close();
    if (looking_up_) looking_up_->cancel();
}

tls::Awaitable<Connector::Attempted> Connector::attempt(const UpstreamRoute& route, Reached to, Encryption encryption,
                                                        Clock::time_point deadline) {
    to.address = to_string(to.endpoint);
    std::optional<AttemptFailure> failure;
    const tls::Executor executor = co_await asio::this_coro::executor;
    tls::Socket socket(executor);
    boost::system::error_code error;
    socket.open(to.endpoint.protocol(), error);
    std::unique_ptr<tls::Stream> stream;
    if (error) {
        failure = AttemptFailure{Kind::unreachable, error.message()};
    } else if (aborted_.empty()) {
        set_options(socket.native_handle(),
                    {.keepalive = route.settings.tcp_keepalive, .user_timeout = route.settings.tcp_user_timeout});
        stream = std::make_unique<tls::Stream>(std::move(socket), tls::Leg::server);
        stream->set_deadline(deadline, tls::Deadline::connect);
        connecting_ = stream.get();
        try {
            failure = co_await establish(*stream, route, to, encryption);
        } catch (const std::exception& broken) {
            failure = AttemptFailure{Kind::unreachable, broken.what()};
        }
        connecting_ = nullptr;
        stream->clear_deadline();
    }
    if (!aborted_.empty()) failure = AttemptFailure{Kind::unreachable, aborted_};
    if (!failure) co_return VerifiedConnection(std::move(stream), std::move(to));
    failure->host = std::move(to.host);
    failure->address = std::move(to.address);
    co_return std::move(*failure);
}

tls::Awaitable<Resolved> Connector::resolve(const config::Address& host, Clock::time_point deadline) {
    const tls::Executor executor = co_await asio::this_coro::executor;
    looking_up_ = std::make_shared<tls::Timer>(executor);
    Resolved resolved = co_await resolver_.resolve(host, deadline, looking_up_);
    looking_up_.reset();
    co_return resolved;
}

}  // namespace proxy
