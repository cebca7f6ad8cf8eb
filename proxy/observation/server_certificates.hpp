// Which certificates servers have shown, and by which authorities they were verified: what is new
// among them is news (upstream_certificate), in the audit and in the log. In memory; an inventory
// says at the start what was known before, and none is needed.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/observation/event.hpp"
#include "tls/recently_used.hpp"

namespace proxy {

/// One thread's.
class ServerCertificates {
   public:
    /// Some 4 MiB, whatever servers show.
    static constexpr std::size_t max_remembered = 4'096;
    /// Authorities by which one certificate was verified: bundles change, and chains are
    /// cross-signed.
    static constexpr std::size_t max_anchors = 8;

    /// Of a `connected` event: what its server showed, when that certificate is new at that
    /// address, or known and verified by an authority that it was never verified by. Once for each.
    std::optional<Event> learn(const Event& login);
    /// What was known before the start, the oldest first. What has been learnt since stays.
    void restore(const std::vector<ShownCertificate>& shown);

   private:
    using Key = std::tuple<std::string, std::string, std::string>;  // upstream, address, SHA-256
    struct Anchor {
        std::string name, key_sha256;
    };
    struct Known {
        std::shared_ptr<const ShownCertificate> shown;  // as it was last
        std::vector<Anchor> anchors;                    // each once
    };

    static bool add_anchor(Known& known, const ShownCertificate& shown);
    std::shared_ptr<const ShownCertificate> last_of(const ShownCertificate& shown) const;

    tls::RecentlyUsed<Key, Known> known_{max_remembered};
};

/// An upstream_certificate for the log, without whose it is: `moved from "CN=Old CA" (anchor ...)
/// to "CN=New CA" (anchor ...), expires 2027-11-24T01:05:35Z`.
std::string certificate_news(const Event& event);

}  // namespace proxy
