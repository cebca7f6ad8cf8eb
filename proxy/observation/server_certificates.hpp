// Which certificates servers have shown, and by which authorities they were verified: what is new
// among them is news (upstream_certificate), in the audit and in the log, and so is a return to
// another authority. In memory; an inventory says at the start what was known before, and none is
// needed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "proxy/observation/event.hpp"
#include "tls/recently_used.hpp"

namespace proxy {

/// An upstream_certificate. Its `count`: changes at that address, since the last that was told,
/// which were too many to be told.
struct CertificateNews {
    Event event;
    bool is_back = false;  ///< the certificate is known at that address, where another was told of last
};

/// One thread's.
class ServerCertificates {
   public:
    using Clock = std::chrono::steady_clock;

    /// Some 6 MiB, whatever servers show.
    static constexpr std::size_t max_remembered = 4'096;
    /// Authorities by which one certificate was verified: bundles change, and chains are
    /// cross-signed.
    static constexpr std::size_t max_anchors = 8;
    /// Of one address within news_interval: a server may have a new certificate for each
    /// connection.
    static constexpr unsigned max_news = 10;
    /// A return is news once within it: one address may be that of two servers, which take turns.
    static constexpr std::chrono::hours news_interval{1};

    /// Of a `connected` event: what its server showed, when that certificate is new at that
    /// address; or known, and verified by an authority that it was never verified by; or known, and
    /// of another CA than the one that was told of last. What was too early to be told is told
    /// later, if the server still shows it then.
    std::optional<CertificateNews> learn(const Event& login, Clock::time_point now = Clock::now());
    /// What was known before the start, the oldest first. What has been learnt since is newer.
    void restore(const std::vector<ShownCertificate>& shown);

   private:
    using Shown = std::shared_ptr<const ShownCertificate>;
    using Key = std::tuple<std::string, std::string, std::string>;  // upstream, address, SHA-256
    using PlaceKey = std::pair<std::string, std::string>;           // upstream, address
    struct Anchor {
        std::string name, key_sha256;
    };
    struct Known {
        Shown shown;                  // as it was verified last
        std::vector<Anchor> anchors;  // each once
        bool is_told = false;         // people know of it
    };
    struct Place {
        Shown last;                    // that it showed
        Shown told;                    // what people take for the last: as `last`, unless too much happened
        unsigned news = 0;             // until:
        Clock::time_point fresh_at{};  // when that begins anew
        Clock::time_point back_at{};   // when a return can be told
        std::uint64_t untold = 0;
    };

    static bool add_anchor(Known& known, const ShownCertificate& shown);
    static bool may_tell(Place& place, bool is_back, Clock::time_point now);
    Known* find(const Key& key, const Place* place);
    std::optional<CertificateNews> met_again(const Event& login, Place* place, Known& known, Clock::time_point now);
    static CertificateNews news_of(const Event& login, Place& place, Shown before, bool is_back);

    tls::RecentlyUsed<Key, Known> known_{max_remembered};
    tls::RecentlyUsed<PlaceKey, Place> places_{max_remembered};
    tls::RecentlyUsed<std::string, Shown> upstreams_{max_remembered};  // what each showed last
};

/// News for the log, without whose it is: `moved from "CN=Old CA" (anchor ...) to "CN=New CA"
/// (anchor ...), expires 2027-11-24T01:05:35Z`.
std::string certificate_news(const CertificateNews& news);

}  // namespace proxy
