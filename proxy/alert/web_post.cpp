#include "proxy/alert/web_post.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "protocol/utf8.hpp"
#include "proxy/record/own_thread.hpp"
#include "proxy/version.hpp"

namespace proxy {
namespace {

namespace http = boost::beast::http;
using namespace std::chrono_literals;

constexpr std::size_t max_head = 16 * 1024;
/// No receiver is obeyed for longer.
constexpr std::chrono::seconds longest_retry_after = 1h;
/// Before the next attempt, where somebody has to do something first.
constexpr std::chrono::seconds until_mended = 5min;

struct PostError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws PostError once the attempt is over; `what` was waited for.
void wait_for(int fd, short events, const char* what, const Attempt& attempt) {
    for (;;) {
        if (attempt.stop) throw PostError("ended");
        if (attempt.is_over()) throw PostError(std::string("no ") + what + " in time");
        pollfd one{.fd = fd, .events = events, .revents = 0};
        if (::poll(&one, 1, attempt.poll_time()) > 0) return;
    }
}

class Descriptor {
   public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }

   private:
    int fd_;
};

struct FreeAddresses {
    void operator()(addrinfo* p) const noexcept { ::freeaddrinfo(p); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

/// A name server that does not answer is waited for by a thread that may be left behind.
Addresses look_up(const config::WebUrl& url, const Attempt& attempt) {
    struct Answer {
        std::mutex mutex;
        Addresses addresses;
        int error = 0;
        std::atomic<bool> done = false;
    };
    auto answer = std::make_shared<Answer>();
    OwnThread thread([answer, host = url.host, port = std::to_string(url.port)] {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
        const std::lock_guard lock(answer->mutex);
        answer->error = error;
        if (error == 0) answer->addresses.reset(found);
        answer->done = true;
    });
    // Left behind by that, it is waited for all the same, as long as there is time.
    const bool ended = thread.end_within(Attempt::look_interval);
    while (!ended && !answer->done && !attempt.is_over()) ::poll(nullptr, 0, attempt.poll_time());
    if (!answer->done) throw PostError(attempt.stop ? "ended" : "no answer of a name server in time");
    const std::lock_guard lock(answer->mutex);
    if (answer->error != 0) throw PostError("its name has no address: " + std::string(::gai_strerror(answer->error)));
    return std::move(answer->addresses);
}

Descriptor connect_to(const addrinfo& address, const Attempt& attempt) {
    Descriptor fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0) throw PostError(std::strerror(errno));
    if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
    if (errno != EINPROGRESS) throw PostError(std::strerror(errno));
    wait_for(fd.get(), POLLOUT, "connection", attempt);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) throw PostError(std::strerror(error));
    return fd;
}

/// Each address in turn; one that does not answer takes at most its share of the time.
Descriptor connect_to(const Addresses& addresses, const Attempt& attempt) {
    int left = 0;
    for (const addrinfo* one = addresses.get(); one; one = one->ai_next) ++left;
    std::string why = "no address";
    for (const addrinfo* one = addresses.get(); one; one = one->ai_next, --left) {
        const auto now = Attempt::Clock::now();
        const Attempt share{.deadline = now + (attempt.deadline - now) / left, .stop = attempt.stop};
        try {
            return connect_to(*one, share);
        } catch (const PostError& error) {
            why = error.what();
        }
        if (attempt.is_over()) break;
    }
    throw PostError(why);
}

/// A connection, in clear or through TLS.
class Peer {
   public:
    Peer(Descriptor fd, const AlertRoute& route, const Attempt& attempt) : fd_(std::move(fd)), attempt_(attempt) {
        if (!route.tls) return;
        ssl_ = route.tls->connect(route.url->host);
        if (SSL_set_fd(ssl_.get(), fd_.get()) != 1) throw PostError(tls::take_openssl_error("SSL_set_fd failed"));
        while (true) {
            ERR_clear_error();
            const int done = SSL_connect(ssl_.get());
            if (done == 1) break;
            wait_after(done, "TLS handshake");
        }
        route.tls->note_used(ssl_.get());
    }

    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            ERR_clear_error();
            const auto n = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                                : static_cast<int>(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
            if (n > 0) {
                bytes.remove_prefix(static_cast<std::size_t>(n));
            } else {
                wait_after(n, "room for the request", POLLOUT);
            }
        }
    }

    /// 0: the other side has closed.
    std::size_t read(char* into, std::size_t size) {
        while (true) {
            // Also of one that never pauses.
            if (attempt_.stop || attempt_.is_over()) throw PostError("no answer in time");
            ERR_clear_error();
            const auto n = ssl_ ? SSL_read(ssl_.get(), into, static_cast<int>(size))
                                : static_cast<int>(::recv(fd_.get(), into, size, 0));
            if (n > 0) return static_cast<std::size_t>(n);
            if (ssl_ ? SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN : n == 0) return 0;
            wait_after(n, "answer", POLLIN);
        }
    }

   private:
    /// Until a call that gave `result` can be made again. Throws when it never can.
    void wait_after(int result, const char* what, short events = POLLIN) {
        if (!ssl_) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) throw PostError(std::strerror(errno));
            return wait_for(fd_.get(), events, what, attempt_);
        }
        switch (SSL_get_error(ssl_.get(), result)) {
            case SSL_ERROR_WANT_READ: return wait_for(fd_.get(), POLLIN, what, attempt_);
            case SSL_ERROR_WANT_WRITE: return wait_for(fd_.get(), POLLOUT, what, attempt_);
            default: break;
        }
        const long verdict = SSL_get_verify_result(ssl_.get());
        if (verdict != X509_V_OK)
            throw PostError(std::string("its certificate is not accepted: ") + X509_verify_cert_error_string(verdict));
        throw PostError(tls::take_openssl_error("it closed the connection"));
    }

    Descriptor fd_;
    const Attempt& attempt_;
    tls::SslPtr ssl_;
};

std::string request_of(const AlertRoute& route, const std::string& body, const std::string& id) {
    const config::WebUrl& url = *route.url;
    const bool is_ipv6 = url.host.find(':') != std::string::npos;
    std::string host = is_ipv6 ? "[" + url.host + "]" : url.host;
    if (url.port != (url.tls ? 443 : 80)) host += ":" + std::to_string(url.port);
    std::string head = "POST " + url.target + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: pgairlock/" + version() +
                       "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\nAccept: */*\r\nIdempotency-Key: \"" + id + "\"\r\nConnection: close\r\n";
    if (!route.token.empty()) head += "Authorization: Bearer " + route.token + "\r\n";
    return head + "\r\n" + body;
}

/// Seconds, or a date (RFC 9110, 10.2.3).
std::optional<std::chrono::seconds> retry_after(std::string_view value) {
    long seconds = -1;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc() || end != value.data() + value.size()) {
        std::tm date{};
        const std::string text(value);
        const char* const behind = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
        if (!behind || *behind != '\0') return std::nullopt;
        seconds = ::timegm(&date) - std::time(nullptr);
    }
    return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), longest_retry_after);
}

/// Final is only what is said about the message itself. The rest is about us (a token that has run
/// out) or the receiver (a path that is away during an update), and somebody can mend it.
AttemptResult judge(unsigned status, std::string_view later) {
    constexpr std::array about_the_message{400U, 413U, 415U, 422U};
    AttemptResult result{.what = "HTTP " + std::to_string(status)};
    const bool may_work_soon = status == 408 || status == 425 || status == 429 || status >= 500;
    if (status >= 200 && status < 300) {
        result.end = AttemptResult::End::sent;
    } else if (std::find(about_the_message.begin(), about_the_message.end(), status) != about_the_message.end()) {
        result.end = AttemptResult::End::refused;
    } else {
        result.retry_after = retry_after(later);
        if (!may_work_soon) result.retry_after = std::max(result.retry_after.value_or(0s), until_mended);
        if (status < 400) result.what += ", a redirect, which is not followed";
    }
    return result;
}

AttemptResult read_answer(Peer& peer) {
    std::string received;
    for (;;) {
        http::response_parser<http::empty_body> parser;
        parser.header_limit(max_head);
        parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // it is not read
        while (!parser.is_header_done()) {
            boost::system::error_code error;
            const std::size_t used = received.empty() ? 0 : parser.put(boost::asio::buffer(received), error);
            if (error && error != http::error::need_more) throw PostError("it does not speak HTTP");
            received.erase(0, used);
            if (parser.is_header_done()) break;
            std::array<char, 4096> piece;
            const std::size_t n = peer.read(piece.data(), piece.size());
            if (n == 0) throw PostError("it closed the connection without an answer");
            received.append(piece.data(), n);
            if (received.size() > max_head) throw PostError("the head of its answer is too long");
        }
        const unsigned status = parser.get().result_int();
        if (status >= 200) return judge(status, parser.get()[http::field::retry_after]);
    }
}

}  // namespace

int Attempt::poll_time() const noexcept {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return static_cast<int>(std::clamp(left, 0ms, look_interval).count()) + 1;
}

AttemptResult post(const AlertRoute& route, const std::string& body, const std::string& id, const Attempt& attempt) {
    try {
        const Addresses addresses = look_up(*route.url, attempt);
        Peer peer(connect_to(addresses, attempt), route, attempt);
        peer.write(request_of(route, body, id));
        return read_answer(peer);
    } catch (const std::exception& error) {
        return {.what = protocol::printable(error.what())};
    }
}

}  // namespace proxy
