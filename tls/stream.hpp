// A connected socket, TCP or UNIX-domain, that can become encrypted in place.
//
// Two ways to use it. During the login: read, write, handshake; each waits as long as its deadline
// allows and takes no byte more than it is asked for, so that nothing in clear is ever carried into
// TLS. During the relay: receive and send, which never wait and move as much as there is with one
// system call each; between them a session owns no buffer, because they use the thread's
// (docs/performance.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "protocol/bytes.hpp"
#include "tls/asio.hpp"
#include "tls/handshake.hpp"
#include "tls/tap.hpp"

namespace tls {

/// Whom a stream leads to.
enum class Leg : std::uint8_t { client, server };

/// What a stream's waits are bounded by.
enum class Deadline : std::uint8_t {
    login,    // the whole login, as client_login_timeout
    opening,  // one step of a client's opening, as client_opening_timeout
    connect,  // one address, as connect_timeout
    answer,   // what a server does with a CancelRequest
    linger,   // a client that was told of its end and is to close
};

/// Broken I/O: thrown by the login's functions. An orderly end of the peer's data is a value, never
/// this.
class StreamError : public std::runtime_error {
   public:
    enum class Kind { reset, tls, timed_out };
    StreamError(Leg leg, Kind kind, const std::string& what) : std::runtime_error(what), leg_(leg), kind_(kind) {}
    StreamError(Leg leg, Deadline passed)
        : std::runtime_error("timeout expired"), leg_(leg), kind_(Kind::timed_out), passed_(passed) {}

    Leg leg() const noexcept { return leg_; }
    Kind kind() const noexcept { return kind_; }
    /// Set when timed_out.
    std::optional<Deadline> passed() const noexcept { return passed_; }

   private:
    Leg leg_;
    Kind kind_;
    std::optional<Deadline> passed_;
};

/// How one direction of a stream ended.
enum class End {
    open,
    closed,     // FIN on a clear stream; close_notify on an encrypted one
    truncated,  // FIN without close_notify: common, and passed on as it is
    reset,      // RST, or any other error of the socket
    broken,     // a record that does not authenticate, a fatal alert
};

/// More methods than most classes have: it has the two sets of them that are told of above.
class Stream {
   public:
    Stream(Socket socket, Leg leg);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    Socket& socket() noexcept { return socket_; }
    Leg leg() const noexcept { return leg_; }
    bool encrypted() const noexcept { return ssl_ != nullptr; }
    /// nullptr while in clear.
    SSL* ssl() const noexcept { return ssl_.get(); }
    const HandshakeNotes& notes() const noexcept { return *notes_; }

    /// For handshake() as a server: see HandshakeNotes::choose.
    void on_client_hello(std::function<const ListenerContext*()> choose) { notes_->choose = std::move(choose); }

    /// Tells what passes from now on, beginning with Tap::What::opened; an empty one ends that.
    /// Without one, a read or a write costs one comparison more.
    void set_tap(const Tap& tap) noexcept;

    // --- Login. All of these throw StreamError.

    /// Every later wait ends with timed_out at `when`, and says that it was `which` that passed.
    /// Replaces the deadline before.
    void set_deadline(std::chrono::steady_clock::time_point when, Deadline which);
    void clear_deadline() noexcept;

    /// The next byte in clear, left where it is; nullopt at the end of the peer's data.
    Awaitable<std::optional<std::uint8_t>> peek();
    /// What has arrived and nobody asked for yet, left where it is: how many bytes of it. Only in
    /// clear.
    std::size_t peek_waiting(std::span<std::uint8_t> into);
    /// True when there is any.
    bool has_unread();
    /// The peer has neither closed nor said anything that nobody asked for, as far as can be seen
    /// now. Only when encrypted.
    bool is_quiet();
    /// At least one byte, or 0 at the end of the peer's data.
    Awaitable<std::size_t> read_some(std::span<std::uint8_t> into);
    /// The same without a wait; nullopt: there is nothing now.
    std::optional<std::size_t> read_ready(std::span<std::uint8_t> into);
    /// Calls `then` once, later than this returns: when the peer has sent something or gone, or
    /// every wait ends (a deadline, close()). Replaces the call that is still due; empty: none is.
    void when_readable(std::function<void()> then);
    /// False when the peer's data ended before.
    Awaitable<bool> read_exactly(std::span<std::uint8_t> into);
    /// Waits for the end of the peer's data, below TLS, so also after that has failed. What still
    /// comes is thrown away; a flood of it ends the wait.
    Awaitable<> ignore_rest();
    /// Returns, too, when a server has gone but its last words are still to be read.
    Awaitable<> write(protocol::Bytes bytes);
    /// From here on the stream is encrypted when the end is `complete`; otherwise it is of no more
    /// use.
    Awaitable<Handshake> handshake(SslPtr ssl, bool direct = false);

    // --- Relay. None of these waits or throws.

    /// From here on only the functions below are called. Forgets the deadline and the handshake's
    /// notes.
    void begin_relay() noexcept;

    struct Received {
        protocol::Bytes bytes;  ///< in the thread's buffer: valid until the next receive on this thread
        End end = End::open;    ///< set: `bytes` are the last
        bool more = false;      ///< more may be waiting already
    };
    Received receive();

    /// Takes all of `bytes`. False: the socket did not, and what is left is kept: call flush
    /// whenever it is writable, and send nothing until that is true.
    bool send(protocol::Bytes bytes);
    bool flush();
    /// flush() has not been true yet.
    bool has_unsent() const noexcept { return !queue_.empty(); }
    /// The socket can take no more: its peer is gone. Sends are swallowed from then on.
    bool send_failed() const noexcept { return send_failed_; }
    /// What was sent and the peer has not taken yet, in bytes: queued here or in the kernel.
    std::size_t untaken() const noexcept;
    /// The peer has closed or is gone, even while bytes of it are still to be received.
    bool peer_has_left() const noexcept;

    /// Passes on the end of the other side's data: close_notify when that was clean, then FIN,
    /// behind whatever is still queued. False: something is, so the FIN follows when flush() is
    /// true.
    bool close_send(bool clean);
    /// RST instead of FIN; ends every wait on this stream.
    void reset() noexcept;
    /// Closes at once what is still open; ends every wait on this stream.
    void close() noexcept;

   private:
    friend struct StreamBio;
    enum class Direction { read, write };

    void tell(Tap::What what, protocol::Bytes bytes = {}) noexcept {
        if (tap_.tell != nullptr) [[unlikely]]
            tap_.tell(tap_.to, *this, what, bytes);
    }
    void tell(const Received& received) noexcept;
    Awaitable<> wait(Direction direction);
    Awaitable<> drain();
    void forget_write_interest() noexcept;
    void close_socket() noexcept;
    bool send_raw(protocol::Bytes bytes);
    bool send_tls_output();
    bool has_last_words();
    std::ptrdiff_t try_read(std::span<std::uint8_t> into);
    std::ptrdiff_t told(protocol::Bytes read);
    [[noreturn]] void throw_read_error();
    [[noreturn]] void throw_reset(const std::string& what);
    Handshake judge(int result);

    Socket socket_;
    int fd_;
    SslPtr ssl_;
    std::unique_ptr<HandshakeNotes> notes_;
    protocol::Bytes input_;            // relay: ciphertext received and not yet taken by OpenSSL; empty between calls
    std::vector<std::uint8_t> queue_;  // bytes the socket did not take; empty, and without memory, nearly always
    std::size_t queue_sent_ = 0;
    bool relaying_ = false;
    bool eof_ = false;
    int read_error_ = 0;  // errno
    bool send_failed_ = false;
    bool fin_pending_ = false;  // close_send was called before the queue was empty
    const Leg leg_;
    Tap tap_;
    Deadline which_ = Deadline::login;
    struct Alarm;
    std::shared_ptr<Alarm> alarm_;  // shared with its handler, which may outlive the stream
    struct Watch;
    std::shared_ptr<Watch> watch_;  // as above
    bool expired_ = false;
};

}  // namespace tls
