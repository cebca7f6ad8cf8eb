// Blanks in a session's messages what a capture may not hold: by the same number of bytes, so that
// every message keeps its place and size. Text becomes '*', binary zeros.
//
// Fails closed. What is not known to be harmless is blanked; once the framing of either side is
// lost, everything that it still says.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "protocol/bytes.hpp"

namespace protocol {

/// What a capture holds of a session (docs/capture.md).
enum class Payload : std::uint8_t {
    headers,   // types and numbers, names of the startup packet, parameters, command tags, SQLSTATEs
    redacted,  // also SQL without its literals, and names of columns
    full,      // everything but secrets
};

class Redactor {
   public:
    enum class Sender : std::uint8_t { client, server };
    /// `allow_secrets`: only with `full`: then nothing is blanked at all.
    explicit Redactor(Payload payload, bool allow_secrets = false);
    ~Redactor();
    Redactor(Redactor&&) noexcept;
    Redactor& operator=(Redactor&&) noexcept;

    /// The session is behind its login already, and both sides are between two messages. Without
    /// it, it begins with the client's first byte. `client_encoding`: as far as it is known; where
    /// it is not, SQL is blanked from its first byte on that is no ASCII.
    void begin_established(std::string_view client_encoding = {});
    /// From here on what either side says is inside TLS: a startup packet comes anew.
    void tls_began();

    /// `bytes`: what came next from that side, in pieces of any size; blanked where they are. What
    /// becomes of a byte depends on those before it, never on how they were cut. An answer comes
    /// behind what it answers. How many of them, from the first on, belong to a message that had
    /// begun before: where the framing is lost, none are known to.
    std::size_t blank(Sender sender, std::span<std::uint8_t> bytes);
    /// Its framing is lost: all that it says is blanked, where anything is.
    bool lost(Sender sender) const noexcept;

   private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace protocol
