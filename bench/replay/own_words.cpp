#include "bench/replay/own_words.hpp"

#include "protocol/startup.hpp"

namespace bench::replay {
namespace {

void append(protocol::Buffer& out, char type, std::string_view text) {
    protocol::Writer writer(out);
    writer.u8(static_cast<std::uint8_t>(type));
    const std::size_t length = writer.begin_length();
    if (!text.empty()) writer.cstring(text);
    writer.end_length(length);
}

}  // namespace

protocol::Buffer terminate() {
    protocol::Buffer out;
    append(out, 'X', {});
    return out;
}

protocol::Buffer refuse_copy(bool extended) {
    protocol::Buffer out;
    append(out, 'f', "the capture has no data for this COPY");
    if (extended) append(out, 'S', {});
    return out;
}

tls::Awaitable<bool> cancel(const Route& route, const protocol::BackendKeyData& key) {
    const protocol::Buffer message = protocol::serialize(protocol::CancelRequest{.pid = key.pid, .key = key.key});
    try {
        Opening opening;
        opening.handshake_only = true;
        Client request = co_await Client::open_as(route, std::move(opening));
        co_await request.stream().write(message);
        co_await request.stream().ignore_rest();
    } catch (const std::exception&) {
        co_return false;
    }
    co_return true;
}

}  // namespace bench::replay
