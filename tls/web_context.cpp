#include "tls/web_context.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <new>
#include <stdexcept>

#include "protocol/server_name.hpp"
#include "tls/bundle.hpp"
#include "tls/settings.hpp"

namespace tls {
namespace {

/// In ALPN's wire form: a length and the name.
constexpr unsigned char alpn_http[] = "\x08http/1.1";

}  // namespace

WebContext::WebContext(const std::vector<config::File>& anchors, std::vector<config::Diagnostic>& errors,
                       std::vector<config::Diagnostic>& warnings)
    : context_(SSL_CTX_new(TLS_client_method())) {
    if (!context_) throw std::bad_alloc();
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context_.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_protos(context_.get(), alpn_http, sizeof alpn_http - 1);
    for (const config::File& file : anchors) {
        const LoadedBundle loaded = load_anchors(file, errors, warnings);
        for (const PemCertificate& one : loaded.certificates) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), one.certificate.get());
            in_use_.add(Use::anchor, file.path, *one.certificate, loaded.bundle.certificates == 1);
        }
    }
    ERR_clear_error();
}

void WebContext::note_used(SSL* ssl) const { in_use_.note_used(Use::anchor, SSL_get0_verified_chain(ssl)); }

SslPtr WebContext::connect(const std::string& host) const {
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) throw std::runtime_error(take_openssl_error("SSL_new failed"));
    SSL_set_connect_state(ssl.get());
    const auto name = protocol::ServerName::parse(host);
    if (!name) throw std::runtime_error("not a usable server name: " + host);
    const std::string& text = name->text();
    X509_VERIFY_PARAM* const param = SSL_get0_param(ssl.get());
    // Names are taken from the SAN alone, and a wildcard stands for one whole label (RFC 6125,
    // 6.4).
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // RFC 6066, section 3: no IP addresses in SNI.
    const bool named = name->is_address() ? X509_VERIFY_PARAM_set1_ip_asc(param, text.c_str()) == 1
                                          : X509_VERIFY_PARAM_set1_host(param, text.c_str(), 0) == 1 &&
                                                SSL_set_tlsext_host_name(ssl.get(), text.c_str()) == 1;
    if (!named) throw std::runtime_error("not a usable server name: " + host);
    return ssl;
}

}  // namespace tls
