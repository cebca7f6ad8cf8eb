// What a stream tells whoever watches it: a function and a pointer, so that tls/ sees nothing of
// who that is.
#pragma once

#include <cstdint>

#include "protocol/bytes.hpp"

namespace tls {

class Stream;

struct Tap {
    enum class What : std::uint8_t {
        opened,           // from now on it is watched; `bytes` are empty
        received,         // what the peer said, in clear or as it was inside TLS
        sent,             // what the peer is told, likewise
        record_received,  // as it crossed the network, told before what it held; with TLS alone
        record_sent,
        key,          // one line of a TLS key log, without its end; only with `keys`
        peer_closed,  // the peer says no more
        peer_reset,
        closed,  // we say no more
        reset,
    };
    /// Called on the stream's thread, within what the stream does: it neither waits nor calls the
    /// stream, but may end the watch. `bytes` are gone when it returns.
    using Tell = void (*)(void* to, Stream& stream, What what, protocol::Bytes bytes) noexcept;

    Tell tell = nullptr;  ///< nullptr: nobody watches
    void* to = nullptr;   ///< outlives the stream
    bool keys = false;
};

}  // namespace tls
