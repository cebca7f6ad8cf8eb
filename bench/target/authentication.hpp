// The client's side of the authentication: what to answer to each Authentication message. Trust,
// password, MD5 and SCRAM-SHA-256.
#pragma once

#include <optional>

#include "bench/target/conninfo.hpp"
#include "protocol/messages.hpp"
#include "protocol/scram.hpp"

namespace bench {

class Authentication {
   public:
    /// `password_places`: where a password may be said, for the error that there is none; empty: in
    /// the conninfo or PGPASSWORD.
    explicit Authentication(const Target& target, std::string_view password_places = {}) noexcept
        : target_(target), password_places_(password_places) {}

    /// `body`: of an Authentication message. Empty: there is nothing to say. Throws
    /// std::runtime_error when it cannot be answered.
    protocol::Buffer answer(protocol::Bytes body);
    /// AuthenticationOk has come.
    bool done() const noexcept { return done_; }

   private:
    protocol::Buffer password_message(std::string_view text) const;
    protocol::Buffer md5(protocol::Bytes salt) const;
    protocol::Buffer begin_scram(protocol::Bytes body);
    protocol::Buffer continue_scram(std::string_view data);
    void require_password() const;

    const Target& target_;
    std::string_view password_places_;
    std::optional<protocol::ScramClient> scram_;
    bool server_proved_ = false;  // that it knows the password too
    bool done_ = false;
};

}  // namespace bench
