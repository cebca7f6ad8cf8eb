// Typed messages: what the login needs to read, and the ErrorResponse that the proxy itself sends
// (PostgreSQL docs, "Message Formats").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/fault.hpp"

namespace protocol {

/// Type byte and length.
inline constexpr std::size_t message_header_size = 5;

/// One whole message. The views end with the buffer that holds the bytes.
struct Message {
    char type = 0;
    Bytes body;
    Bytes whole;  ///< header included, as it came
};

/// Collects bytes of one direction until whole messages are there.
class MessageBuffer {
   public:
    /// `limit`: the longest message accepted, as its length field counts.
    explicit MessageBuffer(std::size_t limit) noexcept : limit_(limit) {}

    /// Messages already taken make room.
    void append(Bytes bytes);
    /// The next whole message, valid until the next append; nullopt: more bytes are needed, or
    /// oversized().
    std::optional<Message> next();
    /// The message at the front has a length below 4 or over the limit.
    bool oversized() const noexcept { return oversized_; }
    /// For whoever passes on what it need not have whole: all that is here of the message at the
    /// front, which is oversized(), and how much is still to come. nullopt: no message has that
    /// length.
    struct Beginning {
        Bytes bytes;
        std::size_t missing;
    };
    std::optional<Beginning> take_oversized();
    /// What lies behind the messages already taken.
    Bytes rest() const noexcept { return Bytes(buffer_).subspan(taken_); }

   private:
    std::size_t limit_;
    Buffer buffer_;
    std::size_t taken_ = 0;
    bool oversized_ = false;
};

struct ErrorResponse {
    std::string severity = "FATAL";
    std::string sqlstate;
    std::string message;
    std::string detail;        ///< empty: left out
    std::string hint;          ///< empty: left out
    std::size_t position = 0;  ///< in the query's text, in characters from 1; 0: left out
};

Buffer serialize(const ErrorResponse& error);
ErrorResponse parse_error_response(Bytes body);
/// Five digits or capital letters.
bool is_sqlstate(std::string_view text) noexcept;

/// The code of an Authentication message.
enum class AuthenticationCode : std::uint32_t {
    ok = 0,
    cleartext_password = 3,
    md5_password = 5,
    gss = 7,
    gss_continue = 8,
    sspi = 9,
    sasl = 10,
    sasl_continue = 11,
    sasl_final = 12,
};

/// Appends an Authentication message; `data` is what follows the code.
void append_authentication(Buffer& out, AuthenticationCode code, Bytes data = {});

struct AuthenticationSASL {
    std::vector<std::string> mechanisms;

    bool offers(std::string_view mechanism) const noexcept;
};

std::optional<AuthenticationSASL> parse_authentication_sasl(Bytes body);
void append(Buffer& out, const AuthenticationSASL& offer);

/// `data` is the client-first-message, a view into the message; nullopt: it follows in a
/// SASLResponse.
struct SASLInitialResponse {
    std::string mechanism;
    std::optional<std::string_view> data;
};

std::optional<SASLInitialResponse> parse_sasl_initial_response(Bytes body);
void append_sasl_initial_response(Buffer& out, std::string_view mechanism, std::string_view data);
void append_sasl_response(Buffer& out, std::string_view data);

/// The password of a PasswordMessage; nullopt: its only NUL is not its last byte.
std::optional<Bytes> parse_password_message(Bytes body);

struct BackendKeyData {
    std::uint32_t pid = 0;
    Buffer key;
};

std::optional<BackendKeyData> parse_backend_key_data(Bytes body);

}  // namespace protocol
