// The parts of Boost.Asio that the project uses, and the executor types that it fixes (also the
// precompiled header).
//
// One io_context per thread and the concrete executor everywhere: no type-erased executor on the
// hot path.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "tls/wait_memory.hpp"

namespace asio = boost::asio;

namespace tls {

using Executor = asio::io_context::executor_type;

template <class T = void>
using Awaitable = asio::awaitable<T, Executor>;

/// TCP and UNIX-domain sockets alike.
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// The completion token of everything that a coroutine waits for (see wait_memory.hpp): error codes
/// are returned, not thrown.
inline auto returning() {
    return asio::bind_allocator(WaitAllocator<void>(), asio::as_tuple(asio::use_awaitable_t<Executor>()));
}

inline std::chrono::microseconds since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace tls
