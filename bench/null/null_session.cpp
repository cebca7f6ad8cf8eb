#include "bench/null/null_session.hpp"

#include <atomic>

#include "bench/null/copy_data.hpp"
#include "bench/null/null_backend.hpp"
#include "tls/opening.hpp"

namespace bench {
namespace {

using protocol::Buffer;
using protocol::Bytes;
using protocol::Negotiation;

/// authentication_timeout of PostgreSQL.
constexpr std::chrono::seconds login_timeout{60};

tls::Awaitable<bool> start_tls(tls::Stream& stream, const tls::ListenerContext& context, bool direct) {
    tls::SslPtr ssl = context.accept();
    // PostgreSQL hands 8 KiB at a time to OpenSSL, so its records are no longer than that.
    SSL_set_max_send_fragment(ssl.get(), copy_message_size);
    const tls::Handshake handshake = co_await stream.handshake(std::move(ssl), direct);
    co_return handshake.end == tls::Handshake::End::complete;
}

/// True: a StartupMessage has come.
tls::Awaitable<bool> negotiate(tls::Stream& stream, const tls::ListenerContext* tls) {
    using Stop = tls::Opening::Stop;
    Negotiation negotiation({.tls = tls != nullptr, .direct_tls = tls != nullptr, .tls_required = false});
    for (;;) {
        const tls::Opening opening = co_await tls::go_on(stream, negotiation);
        if (opening.stop == Stop::started) co_return true;
        if (opening.stop == Stop::declining) continue;
        if (opening.stop != Stop::start_tls) co_return false;
        const bool encrypted = co_await start_tls(stream, *tls, negotiation.direct());
        if (!encrypted) co_return false;
        negotiation.tls_started();
    }
}

/// Returns when everything has been sent, or can never be: send_failed().
tls::Awaitable<> drain(tls::Stream& stream) {
    while (!stream.flush()) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_write, tls::returning());
        if (error) co_return;
    }
}

/// Streams what a COPY TO STDOUT asked for, and what queries `behind` it in the same bytes do. The
/// last answer is left in `out`.
tls::Awaitable<> copy_out(tls::Stream& stream, NullBackend& backend, Bytes behind, Buffer& out) {
    const std::vector<std::uint8_t> kept(behind.begin(), behind.end());  // `behind` ends with the first wait
    Bytes rest(kept);
    while (backend.copy_out() && !stream.send_failed()) {
        if (!stream.send(out)) co_await drain(stream);
        out.clear();
        CopyData data(*backend.copy_out());
        for (Bytes messages = data.next(); !messages.empty() && !stream.send_failed(); messages = data.next()) {
            if (!stream.send(messages)) co_await drain(stream);
        }
        backend.copied_out(out);
        backend.answer(rest, out);
    }
}

tls::Awaitable<> converse(tls::Stream& stream, const tls::ListenerContext* tls) {
    stream.set_deadline(std::chrono::steady_clock::now() + login_timeout, tls::Deadline::login);
    const bool started = co_await negotiate(stream, tls);
    if (!started) co_return;
    static std::atomic<std::uint32_t> sessions{0};
    Buffer out;
    NullBackend::append_welcome(out, ++sessions);
    co_await stream.write(out);

    stream.begin_relay();
    NullBackend backend;
    for (bool open = true; open;) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_read, tls::returning());
        if (error) co_return;
        const tls::Stream::Received received = stream.receive();
        Bytes bytes = received.bytes;
        out.clear();
        backend.answer(bytes, out);
        if (backend.copy_out()) co_await copy_out(stream, backend, bytes, out);
        if (!stream.send(out)) co_await drain(stream);
        open = received.end == tls::End::open && !stream.send_failed() && !backend.over();
    }
    stream.close_send(true);
}

}  // namespace

tls::Awaitable<> serve_client(tls::Socket socket, const tls::ListenerContext* tls) {
    tls::Stream stream(std::move(socket), tls::Leg::client);
    try {
        co_await converse(stream, tls);
    } catch (const tls::StreamError&) {
        // The client left in the middle of its login, or was too slow: nobody to tell.
    }
}

}  // namespace bench
