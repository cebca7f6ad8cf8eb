#include "tls/upstream_context.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <new>
#include <stdexcept>

#include "tls/key_pair.hpp"
#include "tls/revocation.hpp"
#include "tls/settings.hpp"
#include "tls/system_store.hpp"

namespace tls {
namespace {

/// In ALPN's wire form: a length and the name.
constexpr unsigned char alpn_postgresql[] = "\x0apostgresql";
/// More leaves than any upstream shows between two reloads.
constexpr std::size_t max_remembered_leaves = 256;

bool is_ip_address(const std::string& host) {
    in6_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

/// All `files` as one store, as libpq would have them in one file. Names that are ambiguous within
/// them are warned of.
std::vector<LoadedBundle> load_all_anchors(const std::vector<config::File>& files,
                                           std::vector<config::Diagnostic>& errors,
                                           std::vector<config::Diagnostic>& warnings) {
    std::vector<LoadedBundle> all;
    std::vector<NamedAnchor> named;
    for (const config::File& file : files) all.push_back(load_anchors(file, errors, warnings));
    for (std::size_t i = 0; i < all.size(); ++i) {
        for (const PemCertificate& one : all[i].certificates)
            named.push_back({one.certificate.get(), files[i].path + " line " + std::to_string(one.line)});
    }
    for (const std::string& sentence : ambiguous_names(named)) warnings.push_back({files.front().origin, sentence});
    return all;
}

}  // namespace

UpstreamContext::UpstreamContext(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                                 std::vector<config::Diagnostic>& warnings)
    : context_(SSL_CTX_new(TLS_client_method())),
      // As libpq: a root certificate that was given is used in every mode; without one, weaker
      // modes verify nothing.
      verifies_chain_(settings.sslmode >= protocol::SslMode::verify_ca || !settings.sslrootcert.empty()),
      verifies_name_(settings.sslmode == protocol::SslMode::verify_full),
      server_name_(settings.ssl_server_name) {
    prepare(context_.get());
    apply({.min = settings.ssl_min_protocol_version,
           .max = settings.ssl_max_protocol_version,
           .ciphers = settings.ssl_ciphers,
           .tls13_ciphers = settings.ssl_tls13_ciphers,
           .groups = settings.ssl_groups,
           .legacy = false,
           .section = "upstream." + settings.name,
           .origin = settings.origin},
          context_.get(), errors);
    SSL_CTX_set_alpn_protos(context_.get(), alpn_postgresql, sizeof alpn_postgresql - 1);
    if (verifies_chain_) {
        load_anchors(settings, errors, warnings);
        add_revocations(SSL_CTX_get_cert_store(context_.get()), settings.sslcrl, errors, warnings);
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, note_verify_failure);
    }
    load_own_certificate(settings, errors, warnings);
    load_candidate(settings, errors, warnings);
}

SslPtr UpstreamContext::connect(const std::string& host) const {
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) throw std::runtime_error(take_openssl_error("SSL_new failed"));
    SSL_set_connect_state(ssl.get());
    const std::string& name = server_name_.empty() ? host : server_name_;
    const bool is_ip = is_ip_address(name);
    // RFC 6066, section 3: no IP addresses in SNI.
    if (!is_ip && SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1)
        throw std::runtime_error("not a usable server name: " + name);
    if (verifies_name_) {
        X509_VERIFY_PARAM* param = SSL_get0_param(ssl.get());
        // Names are taken from the SAN alone, and a wildcard stands for one whole label (RFC 6125,
        // 6.4).
        X509_VERIFY_PARAM_set_hostflags(param,
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        const int ok = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str())
                             : X509_VERIFY_PARAM_set1_host(param, name.c_str(), 0);
        if (ok != 1) throw std::runtime_error("not a usable server name: " + name);
    }
    return ssl;
}

ServerTls UpstreamContext::describe(SSL* ssl, std::chrono::system_clock::time_point now) const {
    ServerTls facts;
    facts.version = SSL_get_version(ssl);
    facts.cipher = SSL_get_cipher_name(ssl);
    if (X509* leaf = SSL_get0_peer_certificate(ssl)) {
        facts.leaf = known(*leaf);
        if (rehearsal_) facts.candidate_ok = rehearsal_->judge(ssl, now);
    }
    const STACK_OF(X509)* chain = verifies_chain_ ? SSL_get0_verified_chain(ssl) : nullptr;
    if (chain && sk_X509_num(chain) > 0) {
        const X509* anchor = sk_X509_value(chain, sk_X509_num(chain) - 1);
        const auto known = anchors_.find(digest(*anchor));
        facts.anchor = known != anchors_.end() ? known->second.subject : tls::describe(*anchor).subject;
        facts.anchor_file = known != anchors_.end() ? known->second.file : std::string(system_store);
    }
    return facts;
}

void UpstreamContext::load_anchors(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                                   std::vector<config::Diagnostic>& warnings) {
    auto files = settings.sslrootcert;
    if (files.empty()) files.push_back({.path = std::string(system_store), .origin = settings.origin});
    for (const config::File& file : files) anchor_files_ += (anchor_files_.empty() ? "" : ", ") + file.path;
    for (const LoadedBundle& loaded : load_all_anchors(files, errors, warnings)) {
        for (const PemCertificate& one : loaded.certificates) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), one.certificate.get());
            anchors_[digest(*one.certificate)] = {know_anchor(loaded.bundle, *one.certificate, false),
                                                  loaded.bundle.path};
        }
        bundles_.push_back(loaded.bundle);
    }
}

void UpstreamContext::load_candidate(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                                     std::vector<config::Diagnostic>& warnings) {
    if (settings.sslrootcert_candidate.empty()) return;
    StorePtr anchors(X509_STORE_new());
    if (!anchors) throw std::bad_alloc();
    for (const LoadedBundle& loaded : load_all_anchors(settings.sslrootcert_candidate, errors, warnings)) {
        for (const PemCertificate& one : loaded.certificates) {
            X509_STORE_add_cert(anchors.get(), one.certificate.get());
            know_anchor(loaded.bundle, *one.certificate, true);
        }
        bundles_.push_back(loaded.bundle);
    }
    std::vector<config::Diagnostic> known;  // from where it is enforced
    add_revocations(anchors.get(), settings.sslcrl, known, known);
    ERR_clear_error();
    rehearsal_.emplace(std::move(anchors));
}

std::string UpstreamContext::know_anchor(const Bundle& bundle, const X509& anchor, bool candidate) {
    CertificateFacts facts = tls::describe(anchor);
    if (bundle.path != system_store) known_anchors_.push_back({bundle.path, facts.subject, facts.not_after, candidate});
    return std::move(facts.subject);
}

void UpstreamContext::load_own_certificate(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                                           std::vector<config::Diagnostic>& warnings) {
    if (!settings.sslcert) return;
    const config::Certificate files{.cert_file = settings.sslcert,
                                    .key_file = settings.sslkey,
                                    .ssl_passphrase_command = settings.ssl_passphrase_command,
                                    .server_names = {}};
    const LoadedKeyPair loaded = load_key_pair_and_facts(files, errors, warnings);
    const KeyPair& pair = loaded.pair;
    if (!pair.leaf) return;
    bundles_.push_back(loaded.bundle);
    if (SSL_CTX_use_certificate(context_.get(), pair.leaf.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context_.get(), pair.key.get()) != 1) {
        errors.push_back({settings.sslcert.origin, settings.sslcert.path + ": " + take_openssl_error("not usable")});
    }
    for (const X509Ptr& intermediate : pair.chain) SSL_CTX_add1_chain_cert(context_.get(), intermediate.get());
}

std::shared_ptr<const CertificateFacts> UpstreamContext::known(const X509& leaf) const {
    const std::string key = digest(leaf);
    const std::lock_guard lock(mutex_);
    if (known_.size() >= max_remembered_leaves) known_.clear();
    std::shared_ptr<const CertificateFacts>& facts = known_[key];
    if (!facts) facts = std::make_shared<const CertificateFacts>(tls::describe(leaf));
    return facts;
}

}  // namespace tls
