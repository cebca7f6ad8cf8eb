#include "proxy/session/authenticate.hpp"

namespace proxy {
namespace {

/// On the heap, and not in the coroutine's frame, for its size.
struct Buffers {
    protocol::MessageBuffer from_server{protocol::max_server_login_message};
    protocol::MessageBuffer from_client{protocol::max_client_login_message};
    protocol::LoginOutput out;
    protocol::Buffer chunk = protocol::Buffer(8192);
};

tls::Awaitable<> flush(tls::Stream& stream, protocol::Buffer& out) {
    if (out.empty()) co_return;
    co_await stream.write(out);
    protocol::Buffer().swap(out);
}

tls::Awaitable<> pass_on_rest(tls::Stream& client, tls::Stream& server, Buffers& buffers) {
    const auto append = [](protocol::Buffer& to, protocol::Bytes bytes) {
        to.insert(to.end(), bytes.begin(), bytes.end());
    };
    append(buffers.out.to_client, buffers.from_server.rest());
    append(buffers.out.to_server, buffers.from_client.rest());
    co_await flush(client, buffers.out.to_client);
    co_await flush(server, buffers.out.to_server);
}

}  // namespace

tls::Awaitable<LoginEnd> authenticate(tls::Stream& client, tls::Stream& server, protocol::Login& login,
                                      LoginOptions options) {
    const auto buffers = std::make_unique<Buffers>();
    buffers->out.to_server.assign(options.startup.begin(), options.startup.end());
    using Next = protocol::Login::Next;
    for (;;) {
        switch (login.next()) {
            case Next::read_server: {
                if (const auto message = buffers->from_server.next()) {
                    login.from_server(*message, buffers->out);
                    if (message->type == 'K' && login.key() && options.on_key) options.on_key();
                    break;
                }
                if (buffers->from_server.oversized()) {
                    login.oversized();
                    break;
                }
                co_await flush(client, buffers->out.to_client);
                co_await flush(server, buffers->out.to_server);
                const std::size_t n = co_await server.read_some(buffers->chunk);
                if (n == 0) co_return LoginEnd::server_closed;
                buffers->from_server.append(protocol::Bytes(buffers->chunk).first(n));
                break;
            }
            case Next::read_client: {
                if (const auto message = buffers->from_client.next()) {
                    login.from_client(*message, buffers->out);
                    break;
                }
                if (buffers->from_client.oversized()) {
                    login.oversized();
                    break;
                }
                co_await flush(client, buffers->out.to_client);
                const std::size_t n = co_await client.read_some(buffers->chunk);
                if (n == 0) co_return LoginEnd::client_closed;
                buffers->from_client.append(protocol::Bytes(buffers->chunk).first(n));
                break;
            }
            case Next::derive_key: {
                protocol::KeyDerivation derivation = login.take_derivation();
                const std::optional<protocol::ScramKey> key = co_await options.derive_key(std::move(derivation));
                if (!key) co_return LoginEnd::no_key;
                login.derived(*key, buffers->out);
                break;
            }
            case Next::established:
                if (options.on_established) options.on_established();
                co_await pass_on_rest(client, server, *buffers);
                co_return LoginEnd::established;
            case Next::denied:
                if (options.may_retry && login.denied_at_once()) co_return LoginEnd::retry;
                if (options.on_denied) options.on_denied();
                co_await flush(client, buffers->out.to_client);
                co_return LoginEnd::denied;
            case Next::failed: co_return LoginEnd::failed;
        }
    }
}

}  // namespace proxy
