// What `pgairlock check` finds at one address of an upstream. Plain data: text, JSON and `--watch`
// are made of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/sslmode.hpp"
#include "tls/judgement.hpp"
#include "tls/verify_advice.hpp"

namespace proxy::command {

/// The certificate of a chain that is at fault.
struct AtFault {
    int depth = 0;
    std::string certificate;  ///< subject
};

/// What one address showed, judged by one CA file.
struct Verdict {
    std::string ca_file;
    bool chain_ok = false;
    bool name_ok = false;
    std::string chain;  ///< "ok", or why not
    std::string name;   ///< "ok", or why not
    std::string anchor;
    std::optional<AtFault> at_fault{};
    tls::Advice advice{};  ///< when either is not ok
    bool holds = false;    ///< all that the configured sslmode demands
};

/// What a rotation would come to, once its CA files are the only ones. Names do not depend on them.
struct CandidateVerdict {
    bool ok = false;
    bool judged = true;    ///< false: nobody could look
    std::string reason{};  ///< why not; empty: ok
    tls::Advice advice{};
    std::vector<Verdict> files{};  ///< each by itself; of them only the chain counts
};

/// What is shown to whoever sends no name.
struct WithoutSni {
    bool same = false;    ///< the same certificate
    std::string error{};  ///< why there was none to be seen; empty: there was
    std::shared_ptr<const tls::CertificateFacts> leaf{};
};

struct AddressResult {
    std::string upstream;
    std::string host;
    std::string address;  ///< empty: the host has none
    protocol::SslMode sslmode{};
    std::string error{};   ///< set: it was not connected to, or not as sslmode demands
    tls::Advice advice{};  ///< about `error` or `verify_error`; often nothing
    std::string doubt{};   ///< what is not known although it holds: whether our client certificate is taken
    bool encrypted = false;
    std::string version{};
    std::string cipher{};
    std::string group{};
    std::string alpn{};  ///< empty: none was chosen
    std::string sni{};   ///< the name that was sent; empty: none
    std::shared_ptr<const tls::CertificateFacts> leaf{};
    std::vector<tls::ChainLink> chain{};
    std::string anchor{};             ///< by all CA files together; empty: it does not verify, or nothing was demanded
    std::string anchor_key_sha256{};  ///< empty as `anchor` is
    std::string verify_error{};       ///< why not
    std::optional<AtFault> at_fault{};
    std::optional<WithoutSni> without_sni{};  ///< nullopt: no name was sent in the first place
    std::vector<Verdict> verdicts{};
    bool holds = false;  ///< with all CA files together, as a session would see it: this is "OK"
    /// The same chain by sslrootcert_candidate alone; nullopt: none is configured.
    std::optional<CandidateVerdict> candidate{};
};

}  // namespace proxy::command
