#include "proxy/upstream/leaving.hpp"

namespace proxy {
namespace {

/// What a server has to close its side after ours.
constexpr std::chrono::seconds leaving_time{2};

}  // namespace

tls::Awaitable<> leave(tls::Stream& stream) {
    stream.set_deadline(std::chrono::steady_clock::now() + leaving_time, tls::Deadline::linger);
    stream.close_send(true);
    try {
        co_await stream.ignore_rest();
    } catch (const tls::StreamError&) {
        // It has answered, and that is what was asked.
    }
}

}  // namespace proxy
