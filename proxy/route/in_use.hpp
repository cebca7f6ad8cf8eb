// The certificates in use of a loaded configuration: what each is for, whose it is, and the file.
#pragma once

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/route/snapshot.hpp"
#include "tls/in_use.hpp"

namespace proxy {

/// A certificate and the part of the configuration that uses it. Exactly one of the three names is
/// set.
struct InUse : tls::CertificateInUse {
    std::string listener{};
    std::string upstream{};
    std::string alert{};
    std::string upstream_addr{};  ///< which server has shown it; empty: none has, it is of a file
};

/// Everything that has an end: certificates that are shown to clients and to servers with those
/// sent behind them, client CAs, trust anchors, candidates (sslrootcert_candidate, and the
/// candidate_cert_file of probes that are enabled). In the order of the configuration; a
/// certificate that is used twice is there twice. What servers have shown is not in it. From any
/// thread.
std::vector<InUse> certificates_in_use(const Snapshot& snapshot);

/// Whose it is: "listener legacy", "upstream orders", "alert page".
std::string user_of(const InUse& one);

/// It has an end of its own to be told. The others are many: those of a bundle that no connection
/// of ours has needed so far.
bool is_watched(const InUse& one) noexcept;

/// What connections have needed of the bundles of replaced snapshots: a reload makes contexts anew,
/// and the sessions that are open do not log in again.
class NeededBefore {
   public:
    /// All of the snapshot that is replaced now. What is in it no more is forgotten.
    void take(std::vector<InUse> all);
    /// Those of the next snapshot, in whichever file they are now: the same user's, for the same.
    void mark(std::vector<InUse>& all) const;

   private:
    using Key = std::tuple<std::string, tls::Use, std::string>;
    static Key key_of(const InUse& one) { return {user_of(one), one.use, one.certificate->sha256}; }

    std::set<Key> needed_;
};

/// "certificate of listener legacy", "client certificate of upstream orders", "anchor of upstream
/// orders", "client CA of listener legacy", "candidate anchor of upstream orders", "intermediate
/// certificate of listener legacy", "anchor of alert page".
std::string what_for(const InUse& one);

}  // namespace proxy
