#include "tls/stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tls {
namespace {

using protocol::Bytes;

/// One receive takes at most this much: several TLS records, so that system calls are few in bulk.
constexpr std::size_t receive_size = 128 * 1024;
/// A record that OpenSSL holds half of may be completed by the first bytes of a receive.
constexpr std::size_t plain_size = receive_size + 2 * 16 * 1024;
/// Sanity bound of a stream's queue: one relayed chunk with its record headers, and whatever
/// OpenSSL itself has to say.
constexpr std::size_t max_queue = 1024 * 1024;

/// What a thread lends to whichever stream it is working for; no coroutine suspends while it uses
/// them.
struct ThreadBuffers {
    std::unique_ptr<std::uint8_t[]> in = std::make_unique_for_overwrite<std::uint8_t[]>(receive_size);
    std::unique_ptr<std::uint8_t[]> plain = std::make_unique_for_overwrite<std::uint8_t[]>(plain_size);
    std::vector<std::uint8_t> out;

    ThreadBuffers() { out.reserve(plain_size + 32 * 1024); }
};

ThreadBuffers& buffers() {
    thread_local ThreadBuffers buffers;
    return buffers;
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

/// OpenSSL's view of a stream: reads come from the socket (login) or from what was just received
/// (relay); writes are collected in the thread's buffer, so that one system call sends everything
/// that one OpenSSL call produced.
struct StreamBio {
    static BIO* make(Stream* stream) {
        BIO* bio = BIO_new(method());
        BIO_set_data(bio, stream);
        BIO_set_init(bio, 1);
        return bio;
    }

   private:
    static BIO_METHOD* method() {
        static BIO_METHOD* const method = [] {
            BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
            BIO_meth_set_read_ex(m, read);
            BIO_meth_set_write_ex(m, write);
            BIO_meth_set_ctrl(m, ctrl);
            return m;
        }();
        return method;
    }

    static int read(BIO* bio, char* to, std::size_t size, std::size_t* got) {
        Stream& stream = *static_cast<Stream*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        *got = 0;
        if (!stream.relaying_) return read_socket(bio, stream, to, size, got);
        if (stream.input_.empty()) {
            BIO_set_retry_read(bio);
            return 0;
        }
        *got = std::min(size, stream.input_.size());
        std::memcpy(to, stream.input_.data(), *got);
        stream.input_ = stream.input_.subspan(*got);
        return 1;
    }

    static int read_socket(BIO* bio, Stream& stream, char* to, std::size_t size, std::size_t* got) {
        const ssize_t n = ::recv(stream.fd_, to, size, 0);
        if (n > 0) {
            *got = static_cast<std::size_t>(n);
            stream.tell(Tap::What::record_received, {reinterpret_cast<const std::uint8_t*>(to), *got});
            return 1;
        }
        if (n == 0) {
            stream.eof_ = true;
        } else if (would_block(errno)) {
            BIO_set_retry_read(bio);
        } else {
            stream.read_error_ = errno;
        }
        return 0;
    }

    static int write(BIO* bio, const char* from, std::size_t size, std::size_t* written) {
        BIO_clear_retry_flags(bio);
        auto& out = buffers().out;
        const auto* const bytes = reinterpret_cast<const std::uint8_t*>(
            from);  // of the vector's own type: copied as a block, not byte by byte
        out.insert(out.end(), bytes, bytes + size);
        *written = size;
        return 1;
    }

    static long ctrl(BIO*, int command, long, void*) {
        return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
    }
};

struct Stream::Alarm {
    Timer timer;
    Stream& stream;
};

struct Stream::Watch {
    std::function<void()> then;
    bool waiting = false;
};

Stream::Stream(Socket socket, Leg leg)
    : socket_(std::move(socket)), fd_(socket_.native_handle()), notes_(std::make_unique<HandshakeNotes>()), leg_(leg) {
    socket_.native_non_blocking(true);
}

Stream::~Stream() {
    when_readable({});
    if (fd_ >= 0) tell(Tap::What::closed);
}

void Stream::set_tap(const Tap& tap) noexcept {
    const bool same = tap.tell == tap_.tell && tap.to == tap_.to;
    tap_ = tap;
    if (!same) tell(Tap::What::opened);
}

// --- Login

void Stream::set_deadline(std::chrono::steady_clock::time_point when, Deadline which) {
    which_ = which;
    expired_ = false;
    alarm_ = std::make_shared<Alarm>(Alarm{Timer(socket_.get_executor(), when), *this});
    alarm_->timer.async_wait([weak = std::weak_ptr<Alarm>(alarm_)](boost::system::error_code cancelled) {
        const auto alarm = weak.lock();
        if (cancelled || !alarm) return;
        alarm->stream.expired_ = true;
        boost::system::error_code ignored;
        alarm->stream.socket_.cancel(ignored);
    });
}

void Stream::clear_deadline() noexcept { alarm_.reset(); }

Awaitable<std::optional<std::uint8_t>> Stream::peek() {
    for (;;) {
        std::uint8_t byte = 0;
        const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK);
        if (n == 1) co_return byte;
        if (n == 0) co_return std::nullopt;
        if (!would_block(errno)) throw_reset(std::strerror(errno));
        co_await wait(Direction::read);
    }
}

std::size_t Stream::peek_waiting(std::span<std::uint8_t> into) {
    const ssize_t n = ::recv(fd_, into.data(), into.size(), MSG_PEEK);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool Stream::has_unread() {
    std::uint8_t byte = 0;
    return peek_waiting({&byte, 1}) == 1;
}

bool Stream::is_quiet() {
    // Session tickets may have come, which OpenSSL takes; data is left where it is.
    ERR_clear_error();
    std::uint8_t byte = 0;
    std::size_t n = 0;
    const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &n);
    const bool quiet = result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
    return send_tls_output() && quiet;
}

Awaitable<std::size_t> Stream::read_some(std::span<std::uint8_t> into) {
    for (;;) {
        const std::ptrdiff_t n = try_read(into);
        if (n >= 0) co_return static_cast<std::size_t>(n);
        co_await wait(Direction::read);
    }
}

std::optional<std::size_t> Stream::read_ready(std::span<std::uint8_t> into) {
    if (expired_) throw StreamError(leg_, which_);
    const std::ptrdiff_t n = try_read(into);
    if (n < 0) return std::nullopt;
    return static_cast<std::size_t>(n);
}

void Stream::when_readable(std::function<void()> then) {
    if (!watch_) {
        if (!then) return;
        watch_ = std::make_shared<Watch>();
    }
    watch_->then = std::move(then);
    if (!watch_->then || std::exchange(watch_->waiting, true)) return;
    socket_.async_wait(Socket::wait_read, [watch = watch_](boost::system::error_code) {
        watch->waiting = false;
        const auto due = std::exchange(watch->then, nullptr);
        if (due) due();
    });
}

Awaitable<bool> Stream::read_exactly(std::span<std::uint8_t> into) {
    while (!into.empty()) {
        const std::size_t n = co_await read_some(into);
        if (n == 0) co_return false;
        into = into.subspan(n);
    }
    co_return true;
}

Awaitable<> Stream::ignore_rest() {
    constexpr std::size_t max_ignored = 64 * 1024;
    for (std::size_t ignored = 0; ignored < max_ignored;) {
        const ssize_t n = ::recv(fd_, buffers().in.get(), max_ignored - ignored, 0);
        if (n == 0) co_return;
        if (n > 0) {
            ignored += static_cast<std::size_t>(n);
        } else if (would_block(errno)) {
            co_await wait(Direction::read);
        } else {
            throw_reset(std::strerror(errno));
        }
    }
}

Awaitable<> Stream::write(Bytes bytes) {
    const bool sent = send(bytes);
    if (!sent) co_await drain();
    if (send_failed_ && !has_last_words()) throw_reset("the peer has closed the connection");
}

/// A server that goes has often said why: by an ErrorResponse, or by an alert that refuses our
/// certificate. As in libpq a write that failed leaves that to the read which follows it.
bool Stream::has_last_words() {
    if (leg_ != Leg::server) return false;
    if (!ssl_) return has_unread();
    std::uint8_t byte = 0;
    std::size_t size = 0;
    ERR_clear_error();
    if (SSL_peek_ex(ssl_.get(), &byte, 1, &size) == 1) return true;
    if (notes_->alert >= 0) throw_read_error();
    return false;
}

Awaitable<Handshake> Stream::handshake(SslPtr ssl, bool direct) {
    notes_->direct = direct;
    notes_->attach(ssl.get());
    BIO* const bio = StreamBio::make(this);
    SSL_set_bio(ssl.get(), bio, bio);
    ssl_ = std::move(ssl);
    if (tap_.keys) {
        notes_->on_key = [this](std::string_view line) { tell(Tap::What::key, protocol::as_bytes(line)); };
        HandshakeNotes::log_keys(ssl_.get());
    }
    try {
        for (;;) {
            ERR_clear_error();  // an older error of this thread would be taken for this call's
            const int result = SSL_do_handshake(ssl_.get());
            const bool wants_more = result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
            Handshake handshake;
            if (!wants_more) handshake = judge(result);
            // What OpenSSL wrote goes out also when it failed: that is the alert.
            if (!send_tls_output()) co_await drain();
            if (!wants_more) co_return handshake;
            co_await wait(Direction::read);
        }
    } catch (const StreamError& error) {
        const bool timed_out = error.kind() == StreamError::Kind::timed_out;
        co_return Handshake{timed_out ? Handshake::End::timed_out : Handshake::End::closed, error.what()};
    }
}

Handshake Stream::judge(int result) {
    if (result == 1) {
        SSL_set_msg_callback(ssl_.get(), nullptr);  // called for every record otherwise
        return {Handshake::End::complete, {}};
    }
    if (notes_->alert >= 0) return {Handshake::End::alert, "alert " + alert_text(notes_->alert)};
    const bool close_notify = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    if (eof_ || read_error_ != 0 || close_notify) {
        const bool hello_missing = SSL_is_server(ssl_.get()) && !notes_->client_hello_seen;
        return {hello_missing ? Handshake::End::closed_before_hello : Handshake::End::closed,
                read_error_ != 0 ? std::strerror(read_error_) : "connection closed during the TLS handshake"};
    }
    const std::string error = take_openssl_error("TLS handshake failed");
    return {Handshake::End::failed, notes_->refusal.empty() ? error : notes_->refusal};
}

Awaitable<> Stream::wait(Direction direction) {
    if (!expired_) {
        const auto type = direction == Direction::read ? Socket::wait_read : Socket::wait_write;
        const auto [ec] = co_await socket_.async_wait(type, returning());
        if (ec && !expired_) throw_reset(ec.message());
    }
    if (expired_) throw StreamError(leg_, which_);
}

Awaitable<> Stream::drain() {
    while (!flush()) co_await wait(Direction::write);
}

/// Bytes read, 0 at the end, -1 when there is nothing now.
std::ptrdiff_t Stream::try_read(std::span<std::uint8_t> into) {
    if (!ssl_) {
        const ssize_t n = ::recv(fd_, into.data(), into.size(), 0);
        if (n >= 0) return told(into.first(static_cast<std::size_t>(n)));
        if (would_block(errno)) return -1;
        read_error_ = errno;
        throw_read_error();
    }
    ERR_clear_error();
    std::size_t n = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
    const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    send_tls_output();
    switch (error) {
        case SSL_ERROR_NONE: return told(into.first(n));
        case SSL_ERROR_WANT_READ: return -1;
        case SSL_ERROR_ZERO_RETURN: return told({});
        default: break;
    }
    if (eof_) return told({});
    throw_read_error();
}

/// What a read came to, once the tap knows: nothing is the end.
std::ptrdiff_t Stream::told(Bytes read) {
    tell(read.empty() ? Tap::What::peer_closed : Tap::What::received, read);
    return static_cast<std::ptrdiff_t>(read.size());
}

void Stream::throw_read_error() {
    if (read_error_ != 0) throw_reset(std::strerror(read_error_));
    if (notes_->alert >= 0) throw StreamError(leg_, StreamError::Kind::tls, "TLS alert " + alert_text(notes_->alert));
    throw StreamError(leg_, StreamError::Kind::tls, take_openssl_error("TLS error"));
}

void Stream::throw_reset(const std::string& what) {
    tell(Tap::What::peer_reset);
    throw StreamError(leg_, StreamError::Kind::reset, what);
}

// --- Relay

void Stream::begin_relay() noexcept {
    clear_deadline();
    when_readable({});
    watch_.reset();
    expired_ = false;
    relaying_ = true;
    if (ssl_) HandshakeNotes::detach(ssl_.get());
    notes_.reset();
    forget_write_interest();
}

/// Once Asio has waited for writability (a connect does) it goes on watching for it, and every new
/// wait for readability would wake at once to say that the socket is writable. Registering anew
/// costs two system calls, once; those wake-ups cost one per message.
void Stream::forget_write_interest() noexcept {
    boost::system::error_code error;
    const int fd = socket_.release(error);
    if (error) return close();
    socket_.assign(asio::generic::stream_protocol(AF_UNSPEC, 0), fd, error);
    if (!error) return;
    ::close(fd);  // out of memory for epoll: nobody owns it any more
    close();
}

Stream::Received Stream::receive() {
    ThreadBuffers& io = buffers();
    const ssize_t n = ssl_ ? ::recv(fd_, io.in.get(), receive_size, 0) : ::recv(fd_, io.plain.get(), receive_size, 0);
    if (n < 0 && !would_block(errno)) {
        tell(Tap::What::peer_reset);
        return {.bytes = {}, .end = End::reset, .more = false};
    }
    const std::size_t got = n > 0 ? static_cast<std::size_t>(n) : 0;
    const bool more = got == receive_size;
    if (!ssl_) {
        const Received received{.bytes = {io.plain.get(), got}, .end = n == 0 ? End::closed : End::open, .more = more};
        tell(received);
        return received;
    }

    // Every record that is complete; the beginning of one that is not stays inside OpenSSL.
    input_ = {io.in.get(), got};
    if (got > 0) tell(Tap::What::record_received, input_);
    Received received{.bytes = {}, .end = n == 0 ? End::truncated : End::open, .more = more};
    std::size_t total = 0;
    ERR_clear_error();
    for (;;) {
        std::size_t size = 0;
        if (SSL_read_ex(ssl_.get(), io.plain.get() + total, plain_size - total, &size) == 1) {
            total += size;
            continue;
        }
        const int error = SSL_get_error(ssl_.get(), 0);
        if (error == SSL_ERROR_ZERO_RETURN) received.end = End::closed;
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN) received.end = End::broken;
        break;
    }
    input_ = {};
    received.bytes = {io.plain.get(), total};
    tell(received);
    send_tls_output();  // an answer to KeyUpdate, an alert
    return received;
}

void Stream::tell(const Received& received) noexcept {
    if (tap_.tell == nullptr) [[likely]]
        return;
    if (!received.bytes.empty()) tell(Tap::What::received, received.bytes);
    if (received.end != End::open) tell(Tap::What::peer_closed);
}

bool Stream::send(Bytes bytes) {
    if (!send_failed_ && !bytes.empty()) tell(Tap::What::sent, bytes);
    if (!ssl_) return send_raw(bytes);
    ERR_clear_error();
    while (!bytes.empty()) {
        std::size_t written = 0;
        if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) != 1) {
            // The BIO takes everything, so this is no lack of room: the connection has been shut
            // down or has failed before.
            send_failed_ = true;
            break;
        }
        bytes = bytes.subspan(written);
    }
    return send_tls_output();
}

bool Stream::flush() {
    while (queue_sent_ < queue_.size() && !send_failed_) {
        const ssize_t n = ::send(fd_, queue_.data() + queue_sent_, queue_.size() - queue_sent_, MSG_NOSIGNAL);
        if (n >= 0) {
            queue_sent_ += static_cast<std::size_t>(n);
        } else if (would_block(errno)) {
            return false;
        } else {
            send_failed_ = true;
        }
    }
    std::vector<std::uint8_t>().swap(queue_);
    queue_sent_ = 0;
    if (std::exchange(fin_pending_, false)) ::shutdown(fd_, SHUT_WR);
    return true;
}

bool Stream::send_raw(Bytes bytes) {
    if (send_failed_) return true;
    if (queue_.empty() && !bytes.empty()) {
        const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && !would_block(errno)) {
            send_failed_ = true;
            return true;
        }
        if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    if (queue_.size() + bytes.size() > max_queue) send_failed_ = true;
    if (!send_failed_) queue_.insert(queue_.end(), bytes.begin(), bytes.end());
    return queue_.empty();
}

bool Stream::send_tls_output() {
    auto& out = buffers().out;
    if (!out.empty() && !send_failed_) tell(Tap::What::record_sent, out);
    const bool sent = send_raw(out);
    out.clear();
    return sent;
}

std::size_t Stream::untaken() const noexcept {
    int in_kernel = 0;
    ::ioctl(fd_, TIOCOUTQ, &in_kernel);
    return queue_.size() - queue_sent_ + static_cast<std::size_t>(in_kernel);
}

bool Stream::peer_has_left() const noexcept {
    pollfd seen{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&seen, 1, 0) == 1;  // POLLERR and POLLHUP come unasked
}

bool Stream::close_send(bool clean) {
    if (ssl_ && clean && !send_failed_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        send_tls_output();
    }
    tell(Tap::What::closed);
    fin_pending_ = true;
    return flush();
}

void Stream::reset() noexcept {
    const linger abort{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    if (fd_ >= 0) tell(Tap::What::reset);
    close_socket();
}

void Stream::close() noexcept {
    if (fd_ >= 0) tell(Tap::What::closed);
    close_socket();
}

void Stream::close_socket() noexcept {
    boost::system::error_code ignored;
    socket_.close(ignored);
    fd_ = -1;  // the number may belong to another session by the time a pump that was already woken looks
    send_failed_ = true;
}

}  // namespace tls
