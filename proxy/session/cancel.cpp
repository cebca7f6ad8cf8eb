#include "proxy/session/cancel.hpp"

#include <array>

namespace proxy {
namespace {

/// Waits for the server's close, which comes once it has acted: a client may take our own close as
/// that sign. It owes nothing else, so neither a reset nor a wait in vain says anything about the
/// request, which it has got; and a flood is not listened to.
tls::Awaitable<> wait_for_close(tls::Stream& server) {
    constexpr int max_reads = 64;
    std::array<std::uint8_t, 1024> ignored{};
    try {
        for (int reads = 0; reads < max_reads; ++reads) {
            const std::size_t n = co_await server.read_some(ignored);
            if (n == 0) co_return;
        }
    } catch (const std::exception&) {
        // As good as a close.
    }
}

}  // namespace

tls::Awaitable<std::string> deliver_cancel(Connector& connector, const CancelTarget& target,
                                           const protocol::CancelRequest& request,
                                           std::unique_ptr<tls::Stream>& server) {
    Connected connected =
        co_await connector.connect_address(*target.route, target.endpoint, target.host, target.encryption);
    if (const auto* failure = std::get_if<UpstreamFailure>(&connected)) co_return failure->error;
    server = std::move(std::get<VerifiedConnection>(connected).stream);
    server->set_deadline(std::chrono::steady_clock::now() + target.route->settings.connect_timeout,
                         tls::Deadline::answer);
    const protocol::Buffer packet = protocol::serialize(request);
    std::string error;
    try {
        co_await server->write(packet);
    } catch (const std::exception& broken) {
        error = broken.what();
    }
    if (error.empty()) co_await wait_for_close(*server);
    co_return error;
}

}  // namespace proxy
