// Going away from a server that nothing was asked of, so that it logs nothing.
#pragma once

#include <string>

#include "tls/stream.hpp"
#include "tls/verify_advice.hpp"

namespace proxy {

/// Closes our side and waits, for two seconds at most, for the server's close: a reset would be a
/// line in its log.
tls::Awaitable<> leave(tls::Stream& stream);

/// What a server still said while it was left.
struct LastWord {
    std::string refusal;  ///< why no session gets any further, or may not; empty: nothing of the kind
    tls::Advice advice;
    std::string doubt{};  ///< why that is not known, where nothing speaks for a refusal either
};

/// The same, of a server that may have refused us: one of TLS 1.3 says what it makes of a client's
/// certificate, or of none, when the client's handshake is complete (RFC 8446, 2).
tls::Awaitable<LastWord> leave_listening(tls::Stream& stream);

/// False: leave_listening() would hear nothing that the handshake has not said.
bool may_have_refused(const tls::Stream& stream) noexcept;

}  // namespace proxy
