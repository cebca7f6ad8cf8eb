// From StartupMessage to ReadyForQuery: which message goes where, and what is learnt on the way.
// Answers "what should we do next?"; whoever does the I/O feeds whole messages, and sends what is
// appended to the buffers.
//
// Everything is passed through unchanged but SCRAM (docs/authentication.md). SCRAM-SHA-256-PLUS is
// taken out of the server's offer, because its channel binding names the certificate of the
// server's own TLS leg, which the client does not see (RFC 5929). A client that would have bound
// the channel says so in what it signs, and the server would refuse it: then we log in at the
// server ourselves, with a password that we ask the client for (bridge), or by what we know about
// the user (terminate).
//
// Where a certain kind of server is wanted, the client hears of its login only once it is known
// that it is such a one (LoginPolicy::question); where it is not, a login that needs nothing more
// of the client may be repeated at another one (ClientAnswers).
#pragma once

#include <optional>
#include <string>

#include "protocol/auth_bridge.hpp"
#include "protocol/host_role.hpp"
#include "protocol/messages.hpp"
#include "protocol/scram.hpp"
#include "protocol/scram_mode.hpp"

namespace protocol {

/// PG_MAX_AUTH_TOKEN_LENGTH of PostgreSQL (src/backend/libpq/auth.c), with the length field: bounds
/// passwords, IAM and Kerberos tokens.
inline constexpr std::size_t max_client_login_message = 65'535 + 4;
/// Ours: far above any Authentication, ParameterStatus or ErrorResponse. Beyond it a message is not
/// kept whole, which only Login::passes_oversized() ones need not be.
inline constexpr std::size_t max_server_login_message = 256 * 1024;
/// Ours: all that a server may say before AuthenticationOk. Behind that a login trigger may say
/// what it likes.
inline constexpr std::size_t max_server_login_total = 1024 * 1024;
/// Ours: what is kept from the client until it is known what server this is. One that says more is
/// judged by what is known then: a login trigger that talks, or a server that does not answer.
inline constexpr std::size_t max_held_back = 256 * 1024;
/// Ours: all passwords and tokens of a login that are known again in what its server says.
inline constexpr std::size_t max_told_in_clear = 4 * max_client_login_message;

/// What a Login may do about SCRAM, and with what. What it points at outlives it.
struct LoginPolicy {
    ScramMode scram = ScramMode::automatic;
    bool ask_at_once = false;       ///< automatic: this client gave up when it was offered SCRAM
    bool password_is_safe = false;  ///< the client leg may carry a password: TLS, loopback or a UNIX-domain socket
    ScramCrypto crypto;
    Buffer server_end_point;  ///< tls-server-end-point of the certificate that the server showed; empty: none
    bool server_verified =
        false;  ///< its certificate was: nobody between us can have taken channel binding out of its offer
    Buffer client_end_point;          ///< of the one that the client was shown; empty: none
    const ScramUser* user = nullptr;  ///< terminate: nullptr for a user that users_file does not have
    ScramSalt user_salt;  ///< terminate: for a user without a SCRAM secret; always the same one for the same name
    /// What has to be known of the server before the client hears that it is let in; the server is
    /// asked when it does not report it.
    RoleQuestion question = RoleQuestion::none;
};

/// What a client has answered to one server, for the next one: it is not asked again.
struct ClientAnswers {
    bool was_asked = false;  ///< it has heard of a method of authentication, and of no other from now on
    Buffer password{};       ///< that it gave, or that stands for it; empty: user_keys
    std::optional<ScramKeys> user_keys{};
    ScramSalt user_keys_salt{};
    std::string server_final{};  ///< what it is still to hear of its SCRAM with us; empty: nothing
    std::string auth_method{};   ///< in which it answered: "password" was in clear
    AuthBridge auth_bridge = AuthBridge::none;
    char channel_binding = 0;
    Buffer version{};  ///< the NegotiateProtocolVersion that it has heard
};

/// What to send, and where.
struct LoginOutput {
    Buffer to_client;
    Buffer to_server;
};

/// The arguments of PBKDF2-HMAC-SHA-256, to be computed where it holds up nobody else.
struct KeyDerivation {
    Buffer password;  ///< as the user typed it: SASLprep comes first (RFC 5802, section 5.1)
    ScramSalt salt;
};

/// More methods than most classes have: one for each kind of message that either side may send, and
/// one for each thing that its caller may want to know of how the login went.
class Login {
   public:
    explicit Login(LoginPolicy policy) noexcept : policy_(std::move(policy)) {}
    /// At another server, for a client that has answered already.
    Login(LoginPolicy policy, ClientAnswers answers);

    enum class Next {
        read_server,  // from_server() with its next message
        read_client,  // from_client() with its next message
        derive_key,   // take_derivation(), then derived() with the salted password
        judge,        // whether this server is wanted: release(), or away with it
        established,  // done: ReadyForQuery has been passed on
        denied,       // done: the server's ErrorResponse has been passed on
        failed,       // done: fault(); nothing of the offending message was passed on
    };

    Next next() const noexcept { return next_; }
    void from_server(const Message& message, LoginOutput& out);
    void from_client(const Message& message, LoginOutput& out);
    KeyDerivation take_derivation() noexcept { return std::move(derivation_); }
    void derived(const ScramKey& salted_password, LoginOutput& out);
    /// This server is wanted: the client hears what was held back.
    void release(LoginOutput& out);
    /// There is more than can be held back: `judge` by what is known now, whether or not the server
    /// has been asked and has yet to answer. False: nothing is held back.
    bool judge_now() noexcept;
    /// What the client has answered, if it serves another server as well: of SCRAM, MD5 and GSSAPI
    /// that were passed through it does not. To be asked at `judge`, once.
    std::optional<ClientAnswers> take_answers();
    /// The same, without taking them.
    bool can_be_repeated() const noexcept;
    /// A server's message of this type may be passed on, behind what is in the output, whatever its
    /// length.
    bool passes_oversized(char type) const noexcept;
    /// The message that next() waits for is over its limit.
    void oversized() noexcept {
        fail(next_ == Next::read_client ? Fault::client_message_length : Fault::server_message_length);
    }

    Fault fault() const noexcept { return fault_; }
    /// terminate: users_file has the user. For the operator alone, never for the client.
    bool knows_user() const noexcept { return policy_.user != nullptr; }
    /// How the server authenticated the user: scram-sha-256, scram-sha-256-plus, md5, password,
    /// gss, cert/trust; empty while unknown.
    const std::string& auth_method() const noexcept { return auth_method_; }
    AuthBridge auth_bridge() const noexcept { return auth_bridge_; }
    /// The client's gs2 flag: 'n', 'y', 'p'; 0 when it sent none.
    char channel_binding() const noexcept { return channel_binding_; }
    /// The client is to choose a SASL mechanism: if it leaves instead, it may know none.
    bool offering_scram() const noexcept { return expected_ == Expected::mechanism; }
    /// The client is to send the password: if it leaves instead, it has none, or would not give it
    /// away.
    bool asking_password() const noexcept { return expected_ == Expected::password; }
    bool authenticated() const noexcept { return authenticated_; }
    /// What the server reported last of itself.
    HostRole host_role() const noexcept { return host_role_; }
    /// Whether the session begins read-only, for whatever reason. nullopt: not known.
    std::optional<bool> read_only() const noexcept;
    /// The server has said something.
    bool answered() const noexcept { return server_messages_ > 0; }
    /// No message but an ErrorResponse came: the login may be tried again another way (sslmode
    /// allow, prefer).
    bool denied_at_once() const noexcept { return next_ == Next::denied && server_messages_ == 1; }
    const std::optional<BackendKeyData>& key() const noexcept { return key_; }
    const ErrorResponse& server_error() const noexcept { return server_error_; }
    /// The client sent the server a password or token in clear, and `text`, which is the server's,
    /// has it or a piece of it, as it is or transformed (secret_repeat.hpp).
    bool repeats_secret(std::string_view text) const;
    /// Of a text that is too short to have a piece of it.
    bool is_part_of_secret(std::string_view text) const;
    /// The client only asked where tokens are to be had, as libpq of PostgreSQL 18 does before a
    /// second connection: a refusal is the expected end (RFC 7628, section 4.3).
    bool oauth_discovery() const noexcept { return oauth_discovery_; }

   private:
    /// What the client's next message is.
    enum class Expected {
        opaque,         // between it and the server
        mechanism,      // SASLInitialResponse
        first_message,  // the client-first-message, which was not in the SASLInitialResponse
        final_message,  // the client-final-message, which we are to judge
        password,       // PasswordMessage
    };

    void after_authentication(const Message& message, LoginOutput& out);
    void ready(const Message& message, LoginOutput& out);
    void take_answer(const Message& message);
    void version(const Message& message, LoginOutput& out);
    void answer_password(LoginOutput& out);
    bool lacks_answer() const noexcept;
    void bound_held_back() noexcept;
    Buffer& told(LoginOutput& out) noexcept { return holding_ ? held_ : out.to_client; }
    void authentication(const Message& message, LoginOutput& out);
    void upstream_scram(AuthenticationCode code, std::string_view data, LoginOutput& out);
    void authentication_ok(const Message& message, LoginOutput& out);
    void sasl_offer(Bytes body, LoginOutput& out);
    bool can_bind() const;
    void offer(AuthenticationSASL offer, LoginOutput& out);
    void ask_password(LoginOutput& out);
    void sasl_choice(const Message& message, LoginOutput& out);
    void first_message(std::string_view data, const Message& message, LoginOutput& out);
    void relayed_first_message(std::string_view data, const Message& message, LoginOutput& out);
    void pass_on(const Message& message, LoginOutput& out);
    void note_secret(std::string_view body);
    void terminated_first_message(std::string_view data, LoginOutput& out);
    void terminated_final_message(std::string_view data, LoginOutput& out);
    void terminated_key(const ScramKey& salted_password, LoginOutput& out);
    void password(const Message& message, LoginOutput& out);
    void begin_upstream_scram(LoginOutput& out);
    void upstream_challenge(std::string_view data, LoginOutput& out);
    void upstream_final(const ScramKeys& keys, LoginOutput& out);
    void derive(Buffer password, ScramSalt salt);
    void ask_client(Expected expected) noexcept;
    void fail(Fault fault) noexcept;

    LoginPolicy policy_;
    Next next_ = Next::read_server;
    Expected expected_ = Expected::opaque;
    Fault fault_ = Fault::none;
    unsigned server_messages_ = 0;
    std::size_t server_bytes_ = 0;
    bool authenticated_ = false;
    char channel_binding_ = 0;
    AuthenticationSASL server_offer_;  // empty: the server has offered nothing yet
    AuthenticationSASL our_offer_;
    std::string mechanism_;  // the client's choice
    std::string auth_method_;
    AuthBridge auth_bridge_ = AuthBridge::none;
    HostRole host_role_ = HostRole::unknown;
    std::optional<bool> default_read_only_;  // as reported
    std::optional<bool> read_only_answer_;   // as asked for

    bool holding_ = false;  // what the client hears goes to held_
    bool asking_ = false;   // our query is under way
    bool complete_ = false;
    Buffer held_;
    ClientAnswers answers_;  // to be kept for another server
    bool answered_elsewhere_ = false;

    std::optional<ScramServer> scram_server_;  // towards the client
    std::optional<ScramClient> scram_client_;  // towards the server
    bool server_proved_ = false;               // that it knows the password too
    Buffer password_;
    std::string told_in_clear_;  // a password or token that the client sent to the server
    bool oauth_discovery_ = false;
    std::optional<ScramKeys> user_keys_;  // instead of a password; they fit user_keys_salt_ alone
    ScramSalt user_keys_salt_;
    std::string server_final_;  // for the client, kept until the server has accepted
    KeyDerivation derivation_;

    std::optional<BackendKeyData> key_;
    ErrorResponse server_error_;
};

}  // namespace protocol
