// The client leg of one listener: its certificates, and what it demands of clients. Immutable;
// shared by every connection.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/handshake.hpp"
#include "tls/in_use.hpp"
#include "tls/key_pair.hpp"

namespace tls {

/// What the proxy learnt about a client that completed TLS. Empty texts: not sent.
struct ClientTls {
    std::string version;  ///< "TLSv1.3"
    std::string cipher;   ///< the negotiated one
    std::string group;    ///< of the key exchange, as in ssl_groups; empty: it had none
    int bits = 0;
    std::string alpn;               ///< the negotiated one
    std::string client_dn;          ///< RFC 2253 subject of the client's certificate
    std::string certificate_shown;  ///< the cert_file that was used
    std::string certificate_id;     ///< which of all that this file ever held: the beginning of its SHA-256
    bool resumed = false;
    bool weak = false;  ///< below TLS 1.2, or a cipher that only `legacy` allows
};

class ListenerContext {
   public:
    /// Loads everything that `settings` names. Problems go to `errors`; the result is usable only
    /// when none was added.
    ListenerContext(const config::ListenerTls& settings, std::vector<config::Diagnostic>& errors,
                    std::vector<config::Diagnostic>& warnings);

    /// As `settings` says, but showing `pairs` to whoever comes, under the name `shown`: for
    /// probes.
    ListenerContext(const config::ListenerTls& settings, std::vector<KeyPair> pairs, const std::string& shown,
                    std::vector<config::Diagnostic>& errors);

    ListenerContext(const ListenerContext&) = delete;  // its callbacks hold its address
    ListenerContext& operator=(const ListenerContext&) = delete;

    /// For Stream::handshake. Each call is a new connection.
    SslPtr accept() const;
    ClientTls describe(SSL* ssl) const;
    /// The cert_file that a handshake used, finished or not.
    std::string certificate_shown(SSL* ssl) const;
    std::string certificate_id(SSL* ssl) const;
    /// tls-server-end-point of the same certificate, for SCRAM-SHA-256-PLUS; empty: it has none.
    protocol::Buffer end_point(SSL* ssl) const;

    /// What its files of certificates hold: its own, and ca_file.
    const std::vector<Bundle>& bundles() const noexcept { return bundles_; }
    /// All that its certificates are for, as gen-cert takes them.
    std::vector<std::string> names() const;
    struct Life {
        std::string key_type;  ///< "ecdsa", "rsa", "ed25519", "ed448", or "other"
        std::chrono::system_clock::time_point not_after;
    };
    /// Of each of its certificates.
    std::vector<Life> lives() const;
    /// What each of them says, in the order of lives().
    std::vector<CertificateFacts> certificates() const;
    /// What it shows, with the certificates behind it, and ca_file.
    std::vector<CertificateInUse> in_use() const { return in_use_.all(); }
    /// Whether each of its certificates was signed by `authority`.
    bool issued_by(const X509& authority) const;

   private:
    struct Shown {
        X509Ptr leaf;  // its address identifies it: SSL_get_certificate returns the context's own
        std::string name;
        protocol::Buffer end_point;
        std::string id;
    };
    struct Group {
        std::vector<std::string> server_names;  // empty: any
        SslCtxPtr context;
    };

    const Shown* shown(SSL* ssl) const noexcept;
    SSL_CTX* group_for(const std::vector<std::string>& server_names);
    void add_certificate(const config::Certificate& certificate, std::vector<config::Diagnostic>& errors,
                         std::vector<config::Diagnostic>& warnings);
    void use(SSL_CTX* context, KeyPair pair, const std::string& name, const config::Origin& origin,
             std::vector<config::Diagnostic>& errors);
    void require_client_certificate(SSL_CTX* context, const config::ListenerTls& settings,
                                    std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings);
    void configure(SSL_CTX* context, const config::ListenerTls& settings, std::vector<config::Diagnostic>& errors,
                   std::vector<config::Diagnostic>& warnings);
    static int on_server_name(SSL* ssl, int* alert, void* self);
    static int choose_context(SSL* ssl, const ListenerContext* context, const HandshakeNotes* notes);

    std::vector<Group> groups_;  // front(): used when no name matches
    std::vector<Shown> shown_;
    std::vector<Bundle> bundles_;
    CertificatesInUse in_use_;
};

}  // namespace tls
