// The server leg towards one upstream: trust anchors loaded once, and the checks of its sslmode.
// Shared by every connection; immutable, but for what it remembers of servers.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/bundle.hpp"
#include "tls/groups.hpp"
#include "tls/handshake.hpp"
#include "tls/in_use.hpp"
#include "tls/judgement.hpp"
#include "tls/recently_used.hpp"
#include "tls/rehearsal.hpp"

namespace tls {

using Intermediates = std::vector<std::shared_ptr<const CertificateFacts>>;

/// What the proxy learnt about a server through TLS.
struct ServerTls {
    std::string version;
    std::string cipher;
    std::string group;  ///< of the key exchange, as in ssl_groups; empty: it had none
    std::shared_ptr<const CertificateFacts> leaf;
    /// Between leaf and anchor; of a chain that was not verified, what the server sent behind its
    /// leaf. The same object as long as it is the same certificates. nullptr: there is none.
    std::shared_ptr<const Intermediates> intermediates;
    std::string anchor;             ///< subject of the trust anchor; empty when the chain was not verified
    std::string anchor_file;        ///< the sslrootcert file it came from, or "system"
    std::string anchor_key_sha256;  ///< key_sha256 of the anchor; empty as `anchor` is
    std::optional<bool>
        candidate_ok;  ///< whether sslrootcert_candidate alone would have verified the chain; nullopt: none is given
};

class UpstreamContext {
   public:
    /// More leaves than most upstreams show between two reloads.
    static constexpr std::size_t max_remembered_leaves = 256;

    /// Loads everything that `settings` names. Problems go to `errors`; the result is usable only
    /// when none was added. Expired roots in a bundle are normal and only warned about, in one line
    /// per file.
    UpstreamContext(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                    std::vector<config::Diagnostic>& warnings);

    /// Before the first connection: takes the certificate and key that `other` was loaded with, so
    /// that nobody is asked for a pass phrase twice. Throws std::runtime_error when OpenSSL
    /// refuses.
    void show_certificate_of(const UpstreamContext& other);

    /// For Stream::handshake with the server at `host`, its chain and name checked as sslmode says.
    /// Throws std::runtime_error when OpenSSL refuses the name. `address`: what is connected to, by
    /// which its key exchange group is remembered; empty: it is not.
    SslPtr connect(const std::string& host, const std::string& address = {}) const;
    /// After a handshake with `address`: which group the server chose, so that the next ClientHello
    /// has a key share of it and the server need not ask for one (RFC 8446, 4.1.4).
    void remember_group(const std::string& address, SSL* ssl) const;
    /// `now`: at which the rehearsal is held.
    ServerTls describe(SSL* ssl, std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const;

    enum class Naming {
        left_out,
        demanded,  // whatever sslmode says
    };
    /// What a handshake of this context with the server at `host` would come to, were it shown what
    /// the peer of `shown` has sent: a whole verification, now. Where sslmode verifies no chain,
    /// nothing is wrong.
    Judgement judge(SSL* shown, const std::string& host, Naming naming) const;
    /// As sslmode has it.
    Naming naming() const noexcept { return verifies_name_ ? Naming::demanded : Naming::left_out; }

    /// What the certificate of the server at `host` has to be for.
    const std::string& demanded_name(const std::string& host) const noexcept {
        return server_name_.empty() ? host : server_name_;
    }
    /// "new-ca.pem, system": for messages.
    const std::string& anchor_files() const noexcept { return anchor_files_; }
    /// What its files of certificates hold: anchors, candidates, and its own.
    const std::vector<Bundle>& bundles() const noexcept { return bundles_; }

    struct KnownAnchor {
        std::string file;
        std::string subject;
        std::chrono::system_clock::time_point not_after;
        bool candidate = false;  ///< of sslrootcert_candidate
        std::string key_sha256{};
    };
    /// All that files have; not those of the system, which are many.
    const std::vector<KnownAnchor>& known_anchors() const noexcept { return known_anchors_; }

    /// Anchors, candidates, and sslcert with what stands behind it.
    std::vector<CertificateInUse> in_use() const { return in_use_.all(); }

   private:
    void load_anchors(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                      std::vector<config::Diagnostic>& warnings);
    void load_own_certificate(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                              std::vector<config::Diagnostic>& warnings);
    void load_candidate(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                        std::vector<config::Diagnostic>& warnings);
    /// Its subject.
    std::string know_anchor(const Bundle& bundle, const X509& anchor, bool candidate);
    void describe_chain(X509& leaf, SSL* ssl, ServerTls& facts) const;
    std::string sni_for(const std::string& demanded) const;
    void demand_name(SSL* ssl, const std::string& host) const;
    std::string remembered_group(const std::string& address) const;

    struct Anchor {
        std::string subject;
        std::string file;
        std::string key_sha256;
    };

    SslCtxPtr context_;
    std::optional<Groups> groups_;  // nullopt: OpenSSL's default
    CertificatesInUse in_use_;
    std::optional<Rehearsal> rehearsal_;
    bool verifies_chain_;
    bool verifies_name_;
    std::string server_name_;
    std::string sni_;
    std::string anchor_files_;
    std::vector<KnownAnchor> known_anchors_;
    std::vector<Bundle> bundles_;
    std::map<std::string, Anchor> anchors_;  // by SHA-256

    // Describing a certificate takes tens of microseconds and an upstream shows few: remembered by
    // SHA-256. Only what depends on the certificate's own bytes and nothing else may be kept so;
    // of the certificates behind it those that came last, which are compared.
    struct Known {
        std::shared_ptr<const CertificateFacts> leaf;
        std::vector<X509Ptr> behind;
        std::shared_ptr<const Intermediates> intermediates;
    };
    mutable std::mutex mutex_;
    mutable RecentlyUsed<std::string, Known> known_;
    mutable RecentlyUsed<std::string, std::string> chosen_groups_;  // by address; see remember_group
};

}  // namespace tls
