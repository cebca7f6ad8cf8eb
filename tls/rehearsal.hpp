// What a verification with other trust anchors would say of a server's chain: those of
// sslrootcert_candidate, before they become sslrootcert. Never enforces anything.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "tls/in_use.hpp"
#include "tls/recently_used.hpp"

namespace tls {

/// The answer is that of a whole verification at every connection. Signatures take time and an
/// upstream shows few chains, so answers are remembered: by everything that they depend on and is
/// not the same for the life of this object, and no longer than they are certain to be true.
class Rehearsal {
   public:
    using TimePoint = std::chrono::system_clock::time_point;
    /// Beside validity, a machine's own idea of what is acceptable may change.
    static constexpr std::chrono::hours longest_memory{1};

    /// `anchors`: the candidate, complete. `in_use`: told which of them are used; outlives us.
    explicit Rehearsal(StorePtr anchors, const CertificatesInUse* in_use = nullptr);

    /// Whether the chain that `ssl`'s peer has sent would have been verified. Names are left out:
    /// they do not depend on the anchors, and the connection itself is checked for them.
    bool judge(SSL* ssl, TimePoint now) const;

   private:
    struct Answer {
        bool ok = false;
        TimePoint since;
        TimePoint until;
    };
    Answer verify(SSL* ssl, TimePoint now) const;
    TimePoint next_turn(const STACK_OF(X509) * chain, TimePoint now) const;

    StorePtr anchors_;
    const CertificatesInUse* in_use_;
    std::vector<TimePoint> turns_;  // when an anchor or a CRL begins or ceases to be valid; sorted

    mutable std::mutex mutex_;
    mutable RecentlyUsed<std::string, Answer> answers_;  // by security level and the digests of the whole chain
};

}  // namespace tls
