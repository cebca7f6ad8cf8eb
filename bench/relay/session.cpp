#include "bench/relay/session.hpp"

#include "bench/null/copy_data.hpp"

namespace bench {
namespace {

using protocol::Buffer;
using protocol::Bytes;

Buffer message(char type, std::string_view text) {
    Buffer out;
    protocol::Writer writer(out);
    writer.u8(static_cast<std::uint8_t>(type));
    const std::size_t length = writer.begin_length();
    if (!text.empty()) writer.cstring(text);
    writer.end_length(length);
    return out;
}

void expect(std::string_view what, std::uint64_t expected, const std::string& got) {
    if (got == std::to_string(expected)) return;
    throw std::runtime_error(std::string(what) + ": expected " + std::to_string(expected) + " bytes, got " + got);
}

}  // namespace

tls::Awaitable<std::unique_ptr<Session>> Session::open(const Route& route) {
    Client client = co_await Client::open(route, Clock::now());
    client.stream().begin_relay();
    co_return std::unique_ptr<Session>(new Session(std::move(client)));
}

tls::Awaitable<> Session::ping() {
    static const Buffer query = message('Q', "SELECT 1");
    co_await send(query);
    co_await read_to('Z');
}

tls::Awaitable<> Session::copy_out(std::uint64_t bytes) {
    const Buffer query = message('Q', "COPY " + std::to_string(bytes) + " BYTES TO STDOUT");
    copied_ = 0;
    co_await send(query);
    co_await read_to('Z');
    expect("COPY TO STDOUT", bytes, std::to_string(copied_));
}

tls::Awaitable<> Session::copy_in(std::uint64_t bytes) {
    static const Buffer query = message('Q', "COPY FROM STDIN");
    static const Buffer done = message('c', "");
    co_await send(query);
    co_await read_to('G');
    CopyData data(bytes);
    for (Bytes messages = data.next(); !messages.empty(); messages = data.next()) co_await send(messages);
    co_await send(done);
    co_await read_to('Z');
    expect("COPY FROM STDIN", bytes, tag_.substr(std::min(tag_.size(), std::string_view("COPY ").size())));
}

void Session::close() {
    static const Buffer terminate = message('X', "");
    client_.stream().send(terminate);
    client_.stream().close_send(true);
    client_.stream().close();
}

tls::Awaitable<> Session::send(Bytes bytes) {
    tls::Stream& stream = client_.stream();
    for (bool sent = stream.send(bytes); !sent; sent = stream.flush()) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_write, tls::returning());
        if (error) throw std::runtime_error(error.message());
    }
    if (stream.send_failed()) throw std::runtime_error("the connection was closed");
}

tls::Awaitable<> Session::read_to(char type) {
    tls::Stream& stream = client_.stream();
    for (;;) {
        const auto [error] = co_await stream.socket().async_wait(tls::Socket::wait_read, tls::returning());
        if (error) throw std::runtime_error(error.message());
        const tls::Stream::Received received = stream.receive();
        Bytes bytes = received.bytes;
        while (const auto frame = framer_.next(bytes)) {
            if (frame->type == type) co_return;
            if (frame->type == 'd') copied_ += frame->size;
            if (frame->type == 'C') tag_ = protocol::Reader(frame->body).cstring();
            if (frame->type == 'E') throw std::runtime_error(protocol::parse_error_response(frame->body).message);
        }
        if (framer_.broken()) throw std::runtime_error("the server sent what is no message of the protocol");
        if (received.end != tls::End::open) throw std::runtime_error("the server closed the connection");
    }
}

}  // namespace bench
