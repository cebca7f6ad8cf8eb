#include "tls/listener_context.hpp"

#include <openssl/err.h>

#include <algorithm>

#include "protocol/server_name.hpp"
#include "tls/groups.hpp"
#include "tls/revocation.hpp"
#include "tls/scram_crypto.hpp"
#include "tls/settings.hpp"
#include "tls/verify_failure.hpp"

namespace tls {
namespace {

constexpr std::string_view alpn_postgresql = "postgresql";

int on_client_hello(SSL* ssl, int* alert, void*) {
    HandshakeNotes* notes = HandshakeNotes::of(ssl);
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    const bool offers_alpn =
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &size) == 1;
    if (notes && notes->direct && !offers_alpn) {
        // Without it another protocol's client could be talked into speaking to a database
        // (ALPACA).
        *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
        notes->refusal = "direct TLS without ALPN protocol \"postgresql\"";
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
            void*) {
    protocol::Reader offered({in, in_size});
    while (!offered.rest().empty()) {
        const protocol::Bytes name = offered.take(offered.u8());
        if (protocol::as_text(name) != alpn_postgresql) continue;
        *out = name.data();
        *out_size = static_cast<unsigned char>(name.size());
        return SSL_TLSEXT_ERR_OK;
    }
    const HandshakeNotes* notes = HandshakeNotes::of(ssl);
    return notes && notes->direct ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

void trust(const LoadedBundle& loaded, SSL_CTX* context) {
    for (const PemCertificate& one : loaded.certificates) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.certificate.get());
        SSL_CTX_add_client_CA(context, one.certificate.get());
    }
}

void warn_of_ambiguous(const LoadedBundle& loaded, const config::File& file,
                       std::vector<config::Diagnostic>& warnings) {
    std::vector<NamedAnchor> named;
    for (const PemCertificate& one : loaded.certificates)
        named.push_back({one.certificate.get(), file.path + " line " + std::to_string(one.line)});
    for (const std::string& sentence : ambiguous_names(named)) warnings.push_back({file.origin, sentence});
}

}  // namespace

ListenerContext::ListenerContext(const config::ListenerTls& settings, std::vector<config::Diagnostic>& errors,
                                 std::vector<config::Diagnostic>& warnings) {
    std::vector<config::Certificate> certificates = settings.certificate;
    if (settings.cert_file) {
        certificates.insert(certificates.begin(), {.cert_file = settings.cert_file,
                                                   .key_file = settings.key_file,
                                                   .ssl_passphrase_command = {},
                                                   .server_names = {}});
    }
    for (config::Certificate& one : certificates) {
        if (one.ssl_passphrase_command.empty()) one.ssl_passphrase_command = settings.ssl_passphrase_command;
    }
    // Those for any name make the first group: it serves clients that send no name, or an unknown
    // one.
    std::stable_partition(certificates.begin(), certificates.end(),
                          [](const auto& c) { return c.server_names.empty(); });
    for (const config::Certificate& certificate : certificates) add_certificate(certificate, errors, warnings);
    for (const Group& group : groups_) {
        const bool first = &group == &groups_.front();  // what all have in common is warned of once
        std::vector<config::Diagnostic> again;
        configure(group.context.get(), settings, errors, first ? warnings : again);
    }
}

ListenerContext::ListenerContext(const config::ListenerTls& settings, std::vector<KeyPair> pairs,
                                 const std::string& shown, std::vector<config::Diagnostic>& errors) {
    SSL_CTX* const context = group_for({});
    for (KeyPair& pair : pairs) use(context, std::move(pair), shown, settings.origin, errors);
    std::vector<config::Diagnostic> known;  // from the listener's own
    configure(context, settings, errors, known);
}

SslPtr ListenerContext::accept() const {
    SslPtr ssl(SSL_new(groups_.front().context.get()));
    if (!ssl) throw std::runtime_error(take_openssl_error("SSL_new failed"));
    SSL_set_accept_state(ssl.get());
    return ssl;
}

ClientTls ListenerContext::describe(SSL* ssl) const {
    ClientTls facts;
    facts.version = SSL_get_version(ssl);
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
    facts.cipher = SSL_CIPHER_get_name(cipher);
    facts.group = group_of(ssl);
    facts.bits = SSL_CIPHER_get_bits(cipher, nullptr);
    const unsigned char* alpn = nullptr;
    unsigned alpn_size = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
    facts.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
    if (const X509* peer = SSL_get0_peer_certificate(ssl)) {
        facts.client_dn = tls::describe(*peer).subject;
        in_use_.note_used(Use::client_ca, SSL_get0_verified_chain(ssl));
    }
    facts.certificate_shown = certificate_shown(ssl);
    facts.certificate_id = certificate_id(ssl);
    facts.resumed = SSL_session_reused(ssl) == 1;
    facts.weak = is_old_version(ssl) || facts.bits < 128 || SSL_CIPHER_get_cipher_nid(cipher) == NID_des_ede3_cbc;
    return facts;
}

std::string ListenerContext::certificate_shown(SSL* ssl) const {
    const Shown* const own = shown(ssl);
    return own ? own->name : std::string();
}

std::string ListenerContext::certificate_id(SSL* ssl) const {
    const Shown* const own = shown(ssl);
    return own ? own->id : std::string();
}

protocol::Buffer ListenerContext::end_point(SSL* ssl) const {
    const Shown* const own = shown(ssl);
    return own ? own->end_point : protocol::Buffer();
}

const ListenerContext::Shown* ListenerContext::shown(SSL* ssl) const noexcept {
    const X509* const own = SSL_get_certificate(ssl);
    const auto found = std::find_if(shown_.begin(), shown_.end(), [&](const Shown& s) { return s.leaf.get() == own; });
    return found == shown_.end() ? nullptr : &*found;
}

std::vector<std::string> ListenerContext::names() const {
    std::vector<std::string> all;
    for (const Shown& shown : shown_) {
        for (const std::string& san : tls::describe(*shown.leaf).sans) all.push_back(san.substr(san.find(':') + 1));
    }
    return all;
}

std::vector<ListenerContext::Life> ListenerContext::lives() const {
    std::vector<Life> all;
    for (const Shown& shown : shown_) {
        std::string type = "other";
        switch (EVP_PKEY_get_base_id(X509_get0_pubkey(shown.leaf.get()))) {
            case EVP_PKEY_EC: type = "ecdsa"; break;
            case EVP_PKEY_RSA:
            case EVP_PKEY_RSA_PSS: type = "rsa"; break;
            case EVP_PKEY_ED25519: type = "ed25519"; break;
            case EVP_PKEY_ED448: type = "ed448"; break;
            default: break;
        }
        all.push_back({.key_type = std::move(type), .not_after = validity_of(*shown.leaf).not_after});
    }
    return all;
}

std::vector<CertificateFacts> ListenerContext::certificates() const {
    std::vector<CertificateFacts> all;
    for (const Shown& shown : shown_) all.push_back(tls::describe(*shown.leaf));
    return all;
}

bool ListenerContext::issued_by(const X509& authority) const {
    const bool all = std::all_of(shown_.begin(), shown_.end(), [&](const Shown& s) {
        return X509_verify(s.leaf.get(), X509_get0_pubkey(&authority)) == 1;
    });
    ERR_clear_error();
    return all && !shown_.empty();
}

SSL_CTX* ListenerContext::group_for(const std::vector<std::string>& server_names) {
    for (const Group& group : groups_) {
        if (group.server_names == server_names) return group.context.get();
    }
    groups_.push_back({server_names, SslCtxPtr(SSL_CTX_new(TLS_server_method()))});
    return groups_.back().context.get();
}

void ListenerContext::add_certificate(const config::Certificate& certificate, std::vector<config::Diagnostic>& errors,
                                      std::vector<config::Diagnostic>& warnings) {
    LoadedKeyPair loaded = load_key_pair_and_facts(certificate, errors, warnings);
    KeyPair pair = std::move(loaded.pair);
    if (!pair.leaf) return;
    bundles_.push_back(std::move(loaded.bundle));
    warn_of_dates(*pair.leaf, certificate.cert_file, warnings);
    if (end_point_hash(*pair.leaf).empty()) {
        warnings.push_back({certificate.cert_file.origin, "certificate " + certificate.cert_file.path +
                                                              " has a signature, such as Ed25519, for which SCRAM "
                                                              "channel binding is not defined: use ECDSA or RSA"});
    }
    use(group_for(certificate.server_names), std::move(pair), certificate.cert_file.path, certificate.cert_file.origin,
        errors);
}

void ListenerContext::use(SSL_CTX* context, KeyPair pair, const std::string& name, const config::Origin& origin,
                          std::vector<config::Diagnostic>& errors) {
    if (SSL_CTX_use_certificate(context, pair.leaf.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context, pair.key.get()) != 1) {
        // Such as a key too small for OpenSSL's security level.
        errors.push_back({origin, name + ": " + take_openssl_error("not usable")});
        return;
    }
    in_use_.add(Use::shown, name, *pair.leaf);
    for (const X509Ptr& intermediate : pair.chain) {
        SSL_CTX_add1_chain_cert(context, intermediate.get());
        in_use_.add(Use::intermediate, name, *intermediate);
    }
    protocol::Buffer end_point = end_point_hash(*pair.leaf);
    constexpr std::size_t enough_to_tell_apart = 16;
    std::string id = tls::describe(*pair.leaf).sha256.substr(0, enough_to_tell_apart);
    shown_.push_back({std::move(pair.leaf), name, std::move(end_point), std::move(id)});
}

void ListenerContext::require_client_certificate(SSL_CTX* context, const config::ListenerTls& settings,
                                                 std::vector<config::Diagnostic>& errors,
                                                 std::vector<config::Diagnostic>& warnings) {
    if (settings.client_cert == config::ClientCert::disable) return;
    const LoadedBundle loaded = load_anchors(settings.ca_file, errors, warnings);
    trust(loaded, context);
    warn_of_ambiguous(loaded, settings.ca_file, warnings);
    const bool is_first = context == groups_.front().context.get();
    if (is_first && !loaded.certificates.empty()) {
        bundles_.push_back(loaded.bundle);
        for (const PemCertificate& one : loaded.certificates)
            in_use_.add(Use::client_ca, settings.ca_file.path, *one.certificate, loaded.bundle.certificates == 1);
    }
    add_revocations(SSL_CTX_get_cert_store(context), settings.ssl_crl_file, errors, warnings);
    const int strict = settings.client_cert == config::ClientCert::require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | strict, note_verify_failure);
}

void ListenerContext::configure(SSL_CTX* context, const config::ListenerTls& settings,
                                std::vector<config::Diagnostic>& errors, std::vector<config::Diagnostic>& warnings) {
    prepare(context);
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    apply({.min = settings.ssl_min_protocol_version,
           .max = settings.ssl_max_protocol_version,
           .ciphers = settings.ssl_ciphers,
           .tls13_ciphers = settings.ssl_tls13_ciphers,
           .groups = settings.ssl_groups,
           .legacy = settings.legacy,
           .section = "listener.tls",
           .origin = settings.origin},
          context, errors);
    require_client_certificate(context, settings, errors, warnings);
    SSL_CTX_set_client_hello_cb(context, on_client_hello, nullptr);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, nullptr);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, this);
}

/// OpenSSL calls it whether or not there is a name, and again after a HelloRetryRequest.
int ListenerContext::on_server_name(SSL* ssl, int*, void* self) {
    const HandshakeNotes* notes = HandshakeNotes::of(ssl);
    const int result = choose_context(ssl, static_cast<const ListenerContext*>(self), notes);
    if (notes && notes->on_key) HandshakeNotes::log_keys(ssl);
    return result;
}

int ListenerContext::choose_context(SSL* ssl, const ListenerContext* context, const HandshakeNotes* notes) {
    const ListenerContext* const other = notes && notes->choose ? notes->choose() : nullptr;
    if (other && other != context) {
        context = other;
        SSL_set_SSL_CTX(ssl, context->groups_.front().context.get());
    }
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) return SSL_TLSEXT_ERR_NOACK;
    for (const Group& group : context->groups_) {
        const auto& names = group.server_names;
        if (std::any_of(names.begin(), names.end(),
                        [&](const std::string& pattern) { return protocol::names_match(pattern, name); })) {
            SSL_set_SSL_CTX(ssl, group.context.get());
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace tls
