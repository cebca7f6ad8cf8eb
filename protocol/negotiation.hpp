// How a client opens a connection: clear, SSLRequest, direct TLS, GSSENCRequest, cancel. A list of
// answers to "what should we do next?"; whoever does the I/O obeys and reports back with the member
// function named at each answer.
//
// No byte that arrived in clear is ever carried into TLS: the I/O side takes exactly what is asked
// for, and says when more was waiting.
#pragma once

#include <optional>
#include <string>

#include "protocol/startup.hpp"

namespace protocol {

/// What a listener offers.
struct NegotiationPolicy {
    bool tls = true;            ///< answer SSLRequest with 'S'
    bool direct_tls = true;     ///< take a ClientHello as the first bytes (PostgreSQL 17 "sslnegotiation=direct")
    bool tls_required = false;  ///< reject a StartupMessage in clear, never a CancelRequest
};

/// More methods than most classes have: one for each thing that its caller may report, and one for
/// each that it may be asked when it is done.
class Negotiation {
   public:
    explicit Negotiation(NegotiationPolicy policy) noexcept : policy_(policy) {}

    enum class Next {
        peek,        // look at the next byte without taking it: peeked()
        read,        // take exactly wanted() bytes: feed()
        answer_no,   // send 'N': answered(). If bytes were waiting already, also surplus()
        answer_yes,  // if bytes are already waiting: surplus(). Else send 'S': answered()
        start_tls,   // do the handshake; direct(): the client must offer ALPN postgresql. Then tls_started()
        started,     // done: startup() and packet()
        cancel,      // done: cancel_request()
        reject,  // done: fault(). When client_hello_seen(), the client speaks TLS: answer with an alert, else with an
                 // ErrorResponse
    };

    Next next() const noexcept { return next_; }

    void peeked(std::uint8_t first_byte) noexcept;
    std::size_t wanted() const noexcept { return wanted_; }
    void feed(Bytes bytes);
    void surplus() noexcept { reject(Fault::unencrypted_after_request); }
    void answered() noexcept;
    void tls_started() noexcept;

    /// An SSLRequest is about to be answered with 'N'.
    bool declines_tls() const noexcept { return next_ == Next::answer_no && ssl_requested_; }
    /// The client reads messages now: not between its ClientHello, or our 'S', and the end of the
    /// handshake.
    bool hears_messages() const noexcept { return !client_hello_seen_ && next_ != Next::start_tls; }
    bool direct() const noexcept { return direct_; }
    bool encrypted() const noexcept { return encrypted_; }
    bool client_hello_seen() const noexcept { return client_hello_seen_; }
    Fault fault() const noexcept { return fault_; }
    const StartupMessage& startup() const noexcept { return startup_; }
    const CancelRequest& cancel_request() const noexcept { return cancel_; }
    /// The StartupMessage as it came, to be passed on unchanged.
    Bytes packet() const noexcept { return packet_; }

    bool ssl_requested() const noexcept { return ssl_requested_; }
    /// The audit's `negotiation`: plain, sslrequest, direct, sslrequest-refused; "gssenc+" in front
    /// when GSSENCRequest came first.
    std::string kind() const;

   private:
    void expect_packet() noexcept;
    void take_packet();
    void reject(Fault fault) noexcept;

    NegotiationPolicy policy_;
    Next next_ = Next::peek;
    Fault fault_ = Fault::none;
    std::size_t wanted_ = 0;
    bool ssl_requested_ = false;
    bool gssenc_requested_ = false;
    bool direct_ = false;
    bool encrypted_ = false;
    bool client_hello_seen_ = false;
    Buffer packet_;
    StartupMessage startup_;
    CancelRequest cancel_;
};

}  // namespace protocol
