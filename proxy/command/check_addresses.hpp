// What `pgairlock check` finds at each address of an upstream: its certificate, judged against each
// CA file by itself, against all of them, and against those of a rotation to come.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/route/snapshot.hpp"
#include "proxy/upstream/upstream.hpp"

namespace proxy::command {

/// What one address showed, judged against one CA file.
struct Verdict {
    std::string ca_file;
    bool chain_ok = false;
    bool name_ok = false;
    std::string chain;  ///< "ok", or why not
    std::string name;   ///< "ok", or why not
    std::string anchor;
    tls::Advice advice{};  ///< when either is not ok
    bool holds = false;    ///< all that the configured sslmode demands
};

/// What a rotation would come to, once its CA files are the only ones. Names do not depend on them.
struct CandidateVerdict {
    bool ok = false;
    bool judged = true;    ///< false: nobody could look
    std::string reason{};  ///< why not; empty: ok
};

struct AddressResult {
    std::string upstream;
    std::string host;
    std::string address;
    protocol::SslMode sslmode{};
    std::string error;     ///< set: no TLS connection
    tls::Advice advice{};  ///< about `error`; often nothing
    std::string version;
    std::string cipher;
    std::shared_ptr<const tls::CertificateFacts> leaf;
    std::vector<Verdict> verdicts;
    bool holds = false;  ///< with all CA files together, as a session would see it
    /// The same chain by sslrootcert_candidate alone; nullopt: none is configured.
    std::optional<CandidateVerdict> candidate{};
};

/// Appends one result for each address, or for a host that has none.
tls::Awaitable<> check_upstream(Resolver& resolver, const UpstreamRoute& route, std::vector<AddressResult>& results);

}  // namespace proxy::command
