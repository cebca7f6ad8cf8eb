// A login of our own, from StartupMessage to ReadyForQuery: the client's side. Answers "what should
// we do next?"; whoever does the I/O feeds whole messages, and sends what is appended to the
// buffer.
//
// A password is proved by SCRAM, bound to the channel where that can be. It is told in clear only
// where the caller says so, and never as an MD5 digest: whoever holds the server's can make those.
#pragma once

#include <string>

#include "protocol/host_role.hpp"
#include "protocol/messages.hpp"
#include "protocol/scram.hpp"

namespace protocol {

/// Who logs in, and what of it the server may be told.
struct OwnLoginPolicy {
    std::string user;
    std::string database;
    std::string application_name;
    Buffer password;  ///< empty: there is none, for servers that ask for none
    ScramCrypto crypto;
    Buffer server_end_point;       ///< tls-server-end-point of the certificate that the server showed; empty: none
    bool server_verified = false;  ///< with its name: nobody between us can have changed its offer
    bool may_tell = false;         ///< the password may be told in clear, through this connection
};

/// Why there is no session, or no answer.
struct OwnFailure {
    std::string sqlstate;  ///< the server's, or ours where we do not go on; empty: the connection ended
    std::string text;      ///< for people; what the server says may hold anything
};

class OwnLogin {
   public:
    explicit OwnLogin(OwnLoginPolicy policy) : policy_(std::move(policy)) {}

    enum class Next {
        read_server,  // from_server() with its next message, or oversized()
        derive_key,   // derived() with the salted password of password() and salt()
        ready,        // done: the server waits for a query
        failed,       // done: failure()
    };
    Next next() const noexcept { return next_; }
    /// Sent first.
    Buffer startup() const;
    void from_server(const Message& message, Buffer& out);
    /// The server's next message is over max_server_login_message.
    void oversized() { fail(Fault::server_message_length); }

    const Buffer& password() const noexcept { return policy_.password; }
    const ScramSalt& salt() const noexcept { return salt_; }
    void derived(const ScramKey& salted_password, Buffer& out);

    /// What the server reported last of itself.
    HostRole host_role() const noexcept { return host_role_; }
    const OwnFailure& failure() const noexcept { return failure_; }

   private:
    void authentication(const Message& message, Buffer& out);
    void begin_scram(const Message& message, Buffer& out);
    void scram(AuthenticationCode code, std::string_view data);
    void tell_password(Buffer& out);
    void fail(Fault fault);
    void refuse(std::string text);

    OwnLoginPolicy policy_;
    Next next_ = Next::read_server;
    std::size_t server_bytes_ = 0;
    bool authenticated_ = false;
    bool told_ = false;  // the password, in clear
    HostRole host_role_ = HostRole::unknown;
    std::optional<ScramClient> scram_;
    ScramSalt salt_;
    bool server_proved_ = false;  // that it knows the password too
    OwnFailure failure_;
};

}  // namespace protocol
