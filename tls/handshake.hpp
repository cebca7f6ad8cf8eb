// What is learnt while a handshake runs: filled by the callbacks of a context, read by whoever
// started the handshake.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "protocol/client_hello.hpp"
#include "tls/certificates.hpp"
#include "tls/verify_failure.hpp"

namespace tls {

struct SslDeleter {
    void operator()(SSL* p) const noexcept { SSL_free(p); }
    void operator()(SSL_CTX* p) const noexcept { SSL_CTX_free(p); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, SslDeleter>;

class ListenerContext;

/// One handshake's notes. Reachable from the SSL by `of`, for as long as the Stream keeps it.
struct HandshakeNotes {
    bool direct =
        false;  ///< server side: direct TLS, so ALPN postgresql is required (PostgreSQL docs, "sslnegotiation")
    bool client_hello_seen = false;
    std::optional<protocol::ClientHello> hello;
    bool certificate_sent = false;  ///< server side: ours was, so what the peer does next may be about it
    /// Server side: asked for each ClientHello, once it is in `hello`: whose certificate to show.
    /// nullptr: that of the context that the handshake began with.
    std::function<const ListenerContext*()> choose;
    std::string refusal;  ///< why a callback of ours ended the handshake; empty: none did
    int alert = -1;       ///< fatal alert received from the peer (RFC 8446, 6); -1: none
    VerifyFailure verify;
    std::function<void(std::string_view line)> on_key;  ///< given each line of a TLS key log; see log_keys

    static HandshakeNotes* of(const SSL* ssl) noexcept;
    void attach(SSL* ssl) noexcept;
    static void detach(SSL* ssl) noexcept;
    /// From now on the context of `ssl` makes the lines of a key log, for all its connections, and
    /// those with `on_key` are given theirs.
    static void log_keys(SSL* ssl) noexcept;
};

/// How a handshake ended.
struct Handshake {
    enum class End {
        complete,
        alert,                // the peer sent a fatal alert
        closed,               // the peer closed without one
        closed_before_hello,  // server side: not even a ClientHello came
        failed,               // this side refused; `error` says why
        timed_out,
    };
    End end = End::failed;
    std::string error;  ///< for people; never bytes from the wire
};

/// Installs the callbacks that fill a HandshakeNotes, and the options that hold for both legs.
void prepare(SSL_CTX* context);

/// "unknown_ca (48)".
std::string alert_text(int alert);

/// sslmode's certificate checks say nothing about old protocols: true for TLS below 1.2.
bool is_old_version(const SSL* ssl) noexcept;

}  // namespace tls
