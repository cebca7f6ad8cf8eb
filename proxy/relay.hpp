// Moves bytes both ways after ReadyForQuery and looks at none of them.
//
// No wait while the thread's buffers are in use, no allocation per read, one receive and one send for as many TLS records as are there.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "tls/stream.hpp"

namespace proxy {

/// Why a session that was relayed ended: whose end came first.
enum class RelayEnd { client_closed, server_closed, client_reset, server_reset, client_tls_error, server_tls_error, idle_timeout };

std::string_view label(RelayEnd end) noexcept;

struct RelayResult {
    RelayEnd end = RelayEnd::client_closed;
    std::uint64_t bytes_from_client = 0;
    std::uint64_t bytes_from_server = 0;
};

/// Until both directions have ended. `idle_timeout`: neither direction moved a byte for so long; 0: never.
tls::Awaitable<RelayResult> relay(tls::Stream& client, tls::Stream& server, std::chrono::milliseconds idle_timeout);

}  // namespace proxy
