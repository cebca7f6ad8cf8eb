// Which certificates a loaded context uses, each with what it is for and the file it came from: for
// whoever watches how long they are valid.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/certificates.hpp"

namespace tls {

/// What a certificate is for.
enum class Use {
    shown,                  // by a listener to its clients
    client_certificate,     // shown to the servers of an upstream (sslcert)
    intermediate,           // sent behind one of those, or behind candidate_certificate
    client_ca,              // clients' certificates are verified against it (ca_file)
    anchor,                 // a server's certificate is (sslrootcert)
    candidate,              // sslrootcert_candidate
    candidate_certificate,  // what probes show (candidate_cert_file)
    server,                 // a server has shown it as its own
    server_intermediate,    // and this one behind its own
};

/// A word each, which is never changed: "listener", "client_certificate", "intermediate",
/// "client_ca", "anchor", "candidate", "candidate_certificate", "server", "server_intermediate".
std::string_view label(Use use) noexcept;

/// It is held against others, and one of many in its file: client_ca, anchor, candidate.
bool is_trusted(Use use) noexcept;

struct CertificateInUse {
    Use use = Use::shown;
    std::string file;                                     ///< or "system"; empty: it came from a server
    std::shared_ptr<const CertificateFacts> certificate;  ///< never nullptr
    bool alone = false;                                   ///< its file holds no other one
    bool used = true;  ///< false: it is_trusted(), and no chain that was verified went through it so far
};

/// Those of one context. Filled while it is loaded.
class CertificatesInUse {
   public:
    void add(Use use, const std::string& file, const X509& certificate, bool alone = false);

    /// A chain that was verified went through the certificate with this digest(). From any thread;
    /// takes no lock.
    void note_used(Use use, const std::string& digest) const noexcept;
    /// The same of all of a chain: an intermediate is held against others too, where its file has
    /// it and the peer does not send it. nullptr: no chain.
    void note_used(Use use, const STACK_OF(X509) * chain) const noexcept;

    /// From any thread.
    std::vector<CertificateInUse> all() const;

   private:
    struct Entry {
        explicit Entry(CertificateInUse certificate) : is(std::move(certificate)), used(is.used) {}
        CertificateInUse is;
        mutable std::atomic<bool> used;
    };

    std::deque<Entry> entries_;
    std::map<std::pair<Use, std::string>, const Entry*> trusted_;  // by digest
};

}  // namespace tls
