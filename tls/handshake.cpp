#include "tls/handshake.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cctype>

namespace tls {
namespace {

int notes_index() noexcept {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

void on_info(const SSL* ssl, int where, int value) {
    constexpr int fatal = 2;
    HandshakeNotes* notes = HandshakeNotes::of(ssl);
    if (notes && where == SSL_CB_READ_ALERT && value >> 8 == fatal) notes->alert = value & 0xff;
}

/// The only place that sees a ClientHello as it came, and that our certificate left.
void on_message(int write, int, int content_type, const void* data, std::size_t size, SSL* ssl, void*) {
    HandshakeNotes* notes = HandshakeNotes::of(ssl);
    if (!notes || content_type != SSL3_RT_HANDSHAKE || size == 0 || !SSL_is_server(ssl)) return;
    const protocol::Bytes message{static_cast<const std::uint8_t*>(data), size};
    if (write) {
        if (message[0] == SSL3_MT_CERTIFICATE) notes->certificate_sent = true;
        return;
    }
    if (notes->hello) return;
    notes->hello = protocol::parse_client_hello(message);
    notes->client_hello_seen = true;
}

void on_key_line(const SSL* ssl, const char* line) {
    const HandshakeNotes* notes = HandshakeNotes::of(ssl);
    if (notes && notes->on_key) notes->on_key(line);
}

}  // namespace

HandshakeNotes* HandshakeNotes::of(const SSL* ssl) noexcept {
    return static_cast<HandshakeNotes*>(SSL_get_ex_data(ssl, notes_index()));
}

void HandshakeNotes::attach(SSL* ssl) noexcept { SSL_set_ex_data(ssl, notes_index(), this); }

void HandshakeNotes::detach(SSL* ssl) noexcept { SSL_set_ex_data(ssl, notes_index(), nullptr); }

/// OpenSSL has this for contexts alone, and spends time and memory on lines that nobody wants: so
/// it is not in prepare(). Other threads may be using the context; what they see is one pointer,
/// the old or the new, and every call of this writes the same.
void HandshakeNotes::log_keys(SSL* ssl) noexcept {
    SSL_CTX* const context = SSL_get_SSL_CTX(ssl);
    if (SSL_CTX_get_keylog_callback(context) == nullptr) SSL_CTX_set_keylog_callback(context, on_key_line);
}

void prepare(SSL_CTX* context) {
    // No resumption: it would skip certificate checks on either leg, and with them what we can
    // learn about the client.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_num_tickets(context, 0);
    // An idle session holds no record buffers.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_info_callback(context, on_info);
    SSL_CTX_set_msg_callback(context, on_message);
}

std::string alert_text(int alert) {
    if (alert == SSL_AD_CERTIFICATE_REQUIRED) return "certificate_required (116)";  // OpenSSL 3.0 has no word for it
    std::string name = SSL_alert_desc_string_long(alert);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return c == ' ' ? '_' : std::tolower(c); });
    return name + " (" + std::to_string(alert) + ")";
}

bool is_old_version(const SSL* ssl) noexcept { return SSL_version(ssl) < TLS1_2_VERSION; }

}  // namespace tls
