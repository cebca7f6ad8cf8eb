// What a server has shown, judged afterwards: the same chain by any upstream's trust anchors,
// without another connection. Never enforces anything.
#pragma once

#include <string>
#include <vector>

#include "tls/certificates.hpp"
#include "tls/verify_failure.hpp"

namespace tls {

/// One certificate of a chain.
struct ChainLink {
    CertificateFacts certificate;
    bool sent = false;          ///< by the server
    std::string anchor_file{};  ///< it is a trust anchor: of this file, or of "system"; empty: it is none
    bool used = true;           ///< false: sent, and of no use for the chain that was verified
};

struct Judgement {
    VerifyFailure failure{};  ///< code X509_V_OK: nothing is wrong, or nothing was demanded
    /// By depth, the leaf first, up to the anchor where the chain was verified; else as it was
    /// sent. What was sent and not used comes last.
    std::vector<ChainLink> chain{};
    std::string anchor{};             ///< subject; empty: the chain does not verify, or was not looked at
    std::string anchor_file{};        ///< where it is from
    std::string anchor_key_sha256{};  ///< key_sha256 of the anchor; empty as `anchor` is

    bool ok() const noexcept { return failure.code == X509_V_OK; }
};

}  // namespace tls
