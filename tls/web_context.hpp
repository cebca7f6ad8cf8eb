// TLS towards a web server, as its client: always verified in full, chain and name. Immutable;
// shared by every connection.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "tls/handshake.hpp"
#include "tls/in_use.hpp"

namespace tls {

class WebContext {
   public:
    /// `anchors`: PEM files, or "system". Problems go to `errors` and `warnings`; the result is
    /// usable only when no error was added.
    WebContext(const std::vector<config::File>& anchors, std::vector<config::Diagnostic>& errors,
               std::vector<config::Diagnostic>& warnings);

    /// For a handshake with the server at `host`, a name or an IP address. Throws
    /// std::runtime_error when OpenSSL refuses the name.
    SslPtr connect(const std::string& host) const;

    /// After a handshake: its anchor is used.
    void note_used(SSL* ssl) const;
    std::vector<CertificateInUse> in_use() const { return in_use_.all(); }

   private:
    SslCtxPtr context_;
    CertificatesInUse in_use_;
};

}  // namespace tls
