// Why a handshake or a login failed, in words for whoever has to repair it.
#pragma once

#include <string>

#include "proxy/transcript/read_session.hpp"

namespace proxy::transcript {

/// What the audit says beside the failure itself.
struct FailureFacts {
    int alert = -1;                  ///< that the client sent; -1: none
    std::string verify_error{};      ///< OpenSSL's word for what is wrong with the server's certificate
    std::string looks_like{};        ///< what is no PostgreSQL client
    bool certificate_shown = false;  ///< the client has seen our certificate
    std::string probe{};             ///< and it was one that it ought to refuse
};

/// A sentence without its full stop; empty: there is nothing to say beyond the detail.
std::string in_words(const SessionFailure& failure, const FailureFacts& facts);

}  // namespace proxy::transcript
