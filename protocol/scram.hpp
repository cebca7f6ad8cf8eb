// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as PostgreSQL speaks them (RFC 5802, RFC 7677; PostgreSQL
// docs, "SASL Authentication"): both sides.
//
// Pure: cryptography and randomness are arguments. The one expensive step, PBKDF2, is left to the
// caller, who can run it elsewhere.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"
#include "protocol/fault.hpp"

namespace protocol {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";

/// A server names the count and we pay for it. PostgreSQL's default is 4096; this is about a tenth
/// of a second of CPU.
inline constexpr unsigned max_scram_iterations = 600'000;
/// PostgreSQL's scram_sha_256_iterations, for secrets of our own making.
inline constexpr unsigned default_scram_iterations = 4096;

/// 32 bytes, overwritten when let go.
struct ScramKey : std::array<std::uint8_t, 32> {
    ScramKey() noexcept : array{} {}
    ScramKey(const ScramKey&) = default;
    ScramKey& operator=(const ScramKey&) = default;
    ~ScramKey() { wipe(*this); }
};

/// What SCRAM needs of a cryptographic library.
struct ScramCrypto {
    ScramKey (*hmac_sha256)(Bytes key, Bytes data) = nullptr;
    ScramKey (*sha256)(Bytes data) = nullptr;
    bool (*equal)(Bytes a, Bytes b) = nullptr;  ///< in constant time
    std::string (*nonce)() = nullptr;           ///< 18 random bytes in base64, as PostgreSQL's
};

/// What both sides derive from a password (RFC 5802, section 3).
struct ScramKeys {
    ScramKey client_key;
    ScramKey server_key;
};

ScramKeys scram_keys(const ScramCrypto& crypto, const ScramKey& salted_password);

/// What the salted password is made with; the server's part of the first exchange.
struct ScramSalt {
    Buffer salt;
    unsigned iterations = default_scram_iterations;

    bool operator==(const ScramSalt&) const = default;
};

/// What a server keeps instead of a password: pg_authid.rolpassword.
struct ScramSecret {
    ScramSalt salt;
    ScramKey stored_key;
    ScramKey server_key;
};

/// What users_file says about a user: a password, or the SCRAM secret made of one.
struct ScramUser {
    Buffer password;
    std::optional<ScramSecret> secret;
};

/// "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY"; nullopt: not of that form, or over
/// max_scram_iterations.
std::optional<ScramSecret> parse_scram_secret(std::string_view text);
ScramSecret scram_secret(const ScramCrypto& crypto, const ScramKey& salted_password, ScramSalt salt);

/// The client's side: first_message, then server_first, then final_message, then server_final.
class ScramClient {
   public:
    /// `end_point`: tls-server-end-point data (RFC 5929); empty: the channel cannot be bound, gs2
    /// flag 'n'. `plus`: the server offers -PLUS, so it is bound, flag 'p'; otherwise flag 'y' lets
    /// a server that did offer it notice that somebody took it away.
    ScramClient(const ScramCrypto& crypto, Buffer end_point, bool plus = true);

    std::string_view mechanism() const noexcept { return plus_ ? scram_sha_256_plus : scram_sha_256; }
    std::string first_message() const;
    /// scram_message: malformed, out of order or not an answer to our nonce; scram_iterations: over
    /// max_scram_iterations.
    Fault server_first(std::string_view message, ScramSalt& salt);
    std::string final_message(const ScramKeys& keys);
    /// True: the server knew the password too. False: malformed, out of order, or an impostor.
    bool server_final(std::string_view message) const;

   private:
    std::string gs2_header() const;
    std::string first_bare() const;

    ScramCrypto crypto_;
    Buffer end_point_;
    bool plus_;
    std::string nonce_;
    std::string server_first_;
    std::string full_nonce_;
    std::optional<ScramKey> server_signature_;  // set by final_message
};

/// The server's side: client_first, then client_final, then proves, then final_message.
class ScramServer {
   public:
    /// `end_point`: of the certificate that this client was shown; empty: -PLUS is not offered.
    ScramServer(const ScramCrypto& crypto, Buffer end_point, ScramSalt salt);

    bool offers_plus() const noexcept { return !end_point_.empty(); }
    /// `flag` and `reply` are set as far as the message was good; none: go on.
    Fault client_first(std::string_view mechanism, std::string_view message, char& flag, std::string& reply);
    Fault client_final(std::string_view message);
    /// Whether client_final's proof was made with the password behind `stored_key`: then the
    /// client's own key is known, which is as good as the password towards a server that has the
    /// same secret.
    std::optional<ScramKey> proves(const ScramKey& stored_key) const;
    std::string final_message(const ScramKey& server_key) const;
    const ScramSalt& salt() const noexcept { return salt_; }

   private:
    ScramCrypto crypto_;
    Buffer end_point_;
    ScramSalt salt_;
    std::string gs2_header_;
    std::string first_bare_;
    std::string nonce_;
    std::string server_first_;
    std::string without_proof_;
    ScramKey proof_;
};

}  // namespace protocol
