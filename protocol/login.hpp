// From StartupMessage to ReadyForQuery: which message goes where, and what is learnt on the way. Answers "what should we do next?";
// whoever does the I/O feeds whole messages and passes on what is appended to the buffers.
//
// Everything is passed through unchanged but one thing: SCRAM-SHA-256-PLUS is taken out of the server's offer, because its channel
// binding names the certificate of the server's own TLS leg, which the client does not see (RFC 5929).
#pragma once

#include <optional>
#include <string>

#include "protocol/messages.hpp"

namespace protocol {

/// PG_MAX_AUTH_TOKEN_LENGTH of PostgreSQL (src/backend/libpq/auth.c), with the length field: bounds passwords, IAM and Kerberos tokens.
inline constexpr std::size_t max_client_login_message = 65'535 + 4;
/// Ours: far above any Authentication, ParameterStatus or ErrorResponse.
inline constexpr std::size_t max_server_login_message = 256 * 1024;
/// Ours: all that a server may say before ReadyForQuery. One that never stops would keep a thread busy and a login from its deadline.
inline constexpr std::size_t max_server_login_total = 1024 * 1024;

class Login {
   public:
    /// `server_encrypted`: the server leg is TLS, so the server would see through a client that says 'y' (RFC 5802, section 6).
    explicit Login(bool server_encrypted) noexcept : server_encrypted_(server_encrypted) {}

    enum class Next {
        read_server,  // from_server() with its next message
        read_client,  // from_client() with its next message
        established,  // done: ReadyForQuery has been passed on
        refused,      // done: the server's ErrorResponse has been passed on
        failed,       // done: fault(); nothing of the offending message was passed on
    };

    Next next() const noexcept { return next_; }
    void from_server(const Message& message, Buffer& to_client);
    void from_client(const Message& message, Buffer& to_server);
    /// The message that next() waits for is over its limit.
    void oversized() noexcept { fail(next_ == Next::read_client ? Fault::client_message_length : Fault::server_message_length); }

    Fault fault() const noexcept { return fault_; }
    /// scram-sha-256, scram-sha-256-plus, md5, password, gss, cert/trust; empty while unknown.
    const std::string& auth_method() const noexcept { return auth_method_; }
    /// The client's gs2 flag: 'n', 'y', 'p'; 0 when SCRAM was not used.
    char channel_binding() const noexcept { return channel_binding_; }
    bool authenticated() const noexcept { return authenticated_; }
    /// No message but an ErrorResponse came: the login may be tried again another way (sslmode allow, prefer).
    bool refused_at_once() const noexcept { return next_ == Next::refused && server_messages_ == 1; }
    const std::optional<BackendKeyData>& key() const noexcept { return key_; }
    const ErrorResponse& server_error() const noexcept { return server_error_; }

   private:
    void authentication(const Message& message, Buffer& to_client);
    void sasl_offer(const Message& message, Buffer& to_client);
    void sasl_choice(const Message& message);
    void judge_channel_binding(char flag);
    void fail(Fault fault) noexcept;

    bool server_encrypted_;
    Next next_ = Next::read_server;
    Fault fault_ = Fault::none;
    unsigned server_messages_ = 0;
    std::size_t server_bytes_ = 0;
    bool choosing_mechanism_ = false;
    bool awaiting_first_message_ = false;  // a SASLInitialResponse came without the client's first message
    bool authenticated_ = false;
    char channel_binding_ = 0;
    AuthenticationSASL offered_;
    std::string auth_method_;
    std::optional<BackendKeyData> key_;
    ErrorResponse server_error_;
};

}  // namespace protocol
