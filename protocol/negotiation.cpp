#include "protocol/negotiation.hpp"

namespace protocol {
namespace {

/// First byte of a TLS record that holds a handshake message (RFC 8446, 5.1). A StartupMessage
/// begins with 0x00: it is under 64 KiB.
constexpr std::uint8_t tls_handshake_record = 0x16;

}  // namespace

void Negotiation::peeked(std::uint8_t first_byte) noexcept {
    if (first_byte != tls_handshake_record) return expect_packet();
    client_hello_seen_ = true;
    // After our 'N' a ClientHello is no direct TLS: some drivers ignore the answer and go on
    // (postgres.js).
    if (!policy_.direct_tls || !policy_.tls || ssl_requested_) return reject(Fault::tls_not_offered);
    direct_ = true;
    next_ = Next::start_tls;
}

void Negotiation::feed(Bytes bytes) {
    packet_.insert(packet_.end(), bytes.begin(), bytes.end());
    const auto size = opening_packet_size(packet_);
    if (!size) return reject(Fault::startup_length);
    if (packet_.size() == *size) return take_packet();
    wanted_ = *size - packet_.size();
}

void Negotiation::answered() noexcept {
    if (next_ == Next::answer_yes) {
        next_ = Next::start_tls;
    } else {
        next_ = Next::peek;
    }
}

void Negotiation::tls_started() noexcept {
    encrypted_ = true;
    client_hello_seen_ = false;  // from here on an ErrorResponse reaches the client
    expect_packet();
}

std::string Negotiation::kind() const {
    std::string kind = gssenc_requested_ ? "gssenc+" : "";
    if (direct_) return kind + "direct";
    if (!ssl_requested_) return kind + "plain";
    return kind + (policy_.tls ? "sslrequest" : "sslrequest-refused");
}

void Negotiation::expect_packet() noexcept {
    packet_.clear();
    wanted_ = opening_length_size;
    next_ = Next::read;
}

void Negotiation::take_packet() {
    OpeningPacket packet = parse_opening(packet_);
    if (const auto* fault = std::get_if<Fault>(&packet)) return reject(*fault);
    if (auto* cancel = std::get_if<CancelRequest>(&packet)) {
        cancel_ = std::move(*cancel);
        next_ = Next::cancel;
        return;
    }
    if (auto* startup = std::get_if<StartupMessage>(&packet)) {
        startup_ = std::move(*startup);
        if (policy_.tls_required && !encrypted_) return reject(Fault::tls_required);
        next_ = Next::started;
        return;
    }
    // An encryption request: once each, and never inside TLS (CVE-2026-6479 was unbounded recursion
    // here).
    if (encrypted_) return reject(Fault::unsupported_protocol);
    bool& seen = std::holds_alternative<SSLRequest>(packet) ? ssl_requested_ : gssenc_requested_;
    if (seen) return reject(Fault::repeated_request);
    seen = true;
    next_ = std::holds_alternative<SSLRequest>(packet) && policy_.tls ? Next::answer_yes : Next::answer_no;
}

void Negotiation::reject(Fault fault) noexcept {
    fault_ = fault;
    next_ = Next::reject;
}

}  // namespace protocol
