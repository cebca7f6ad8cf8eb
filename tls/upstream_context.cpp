#include "tls/upstream_context.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <new>
#include <stdexcept>

#include "protocol/server_name.hpp"
#include "tls/key_pair.hpp"
#include "tls/revocation.hpp"
#include "tls/settings.hpp"
#include "tls/system_store.hpp"
#include "tls/verify_failure.hpp"

namespace tls {
namespace {

/// In ALPN's wire form: a length and the name.
constexpr unsigned char alpn_postgresql[] = "\x0apostgresql";
/// More than an upstream has addresses.
constexpr std::size_t max_remembered_addresses = 256;

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

/// What OpenSSL said to a name.
void accepted(long answer, const std::string& name) {
    if (answer != 1) throw std::runtime_error("not a usable server name: " + name);
}

/// The leaf's issuers without the anchor. Comparing them costs no hash: OpenSSL has kept one since
/// it verified them.
std::vector<X509*> certificates_behind(SSL* ssl, bool is_verified) {
    constexpr int most = 10;
    const STACK_OF(X509)* const chain = is_verified ? SSL_get0_verified_chain(ssl) : SSL_get_peer_cert_chain(ssl);
    const int end = std::min(sk_X509_num(chain) - (is_verified ? 1 : 0), 1 + most);
    std::vector<X509*> behind;
    for (int i = 1; i < end; ++i) behind.push_back(sk_X509_value(chain, i));
    return behind;
}

}  // namespace

UpstreamContext::UpstreamContext(const config::Upstream& settings, std::vector<config::Diagnostic>& errors,
                                 std::vector<config::Diagnostic>& warnings)
    : context_(SSL_CTX_new(TLS_client_method())),
      // As libpq: a root certificate that was given is used in every mode; without one, weaker
      // modes verify nothing.
      verifies_chain_(settings.sslmode >= protocol::SslMode::verify_ca || !settings.sslrootcert.empty()),
      verifies_name_(settings.sslmode == protocol::SslMode::verify_full),
      server_name_(settings.ssl_server_name),
      sni_(settings.ssl_sni),
      known_(max_remembered_leaves),
      chosen_groups_(max_remembered_addresses) {
    prepare(context_.get());
    apply({.min = settings.ssl_min_protocol_version,
           .max = settings.ssl_max_protocol_version,
           .ciphers = settings.ssl_ciphers,
           .tls13_ciphers = settings.ssl_tls13_ciphers,
           .groups = settings.ssl_groups,
           .is_client = true,
           .legacy = false,
           .section = "upstream." + settings.name,
           .origin = settings.origin},
          context_.get(), errors);
    if (errors.empty() && !settings.ssl_groups.empty()) groups_.emplace(settings.ssl_groups);
    SSL_CTX_set_alpn_protos(context_.get(), alpn_postgresql, sizeof alpn_postgresql - 1);
    if (verifies_chain_) {
        load_anchors(settings, errors, warnings);
        add_revocations(SSL_CTX_get_cert_store(context_.get()), settings.sslcrl, errors, warnings);
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, note_verify_failure);
    }
    load_own_certificate(settings, errors, warnings);
    load_candidate(settings, errors, warnings);
}

SslPtr UpstreamContext::connect(const std::string& host, const std::string& address) const {
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) throw std::runtime_error(take_openssl_error("SSL_new failed"));
    SSL_set_connect_state(ssl.get());
    if (const std::string group = remembered_group(address); !group.empty())
        SSL_set1_groups_list(ssl.get(), groups_->for_client_of(group).c_str());
    const std::string& demanded = demanded_name(host);
    const std::string sni = sni_for(demanded);
    if (!sni.empty()) accepted(SSL_set_tlsext_host_name(ssl.get(), sni.c_str()), demanded);
    if (verifies_name_) demand_name(ssl.get(), host);
    return ssl;
}

void UpstreamContext::demand_name(SSL* ssl, const std::string& host) const {
    const std::string& demanded = demanded_name(host);
    const auto name = protocol::ServerName::parse(demanded);
    X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
    // Names are taken from the SAN alone, and a wildcard stands for one whole label (RFC 6125,
    // 6.4).
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (name && name->is_address()) {
        accepted(X509_VERIFY_PARAM_set1_ip(param, name->address().data(), name->address().size()), demanded);
    } else {
        const std::string& text = name ? name->text() : demanded;
        accepted(X509_VERIFY_PARAM_set1_host(param, text.c_str(), 0), demanded);
        // Some certificates spell the same name with the root's dot.
        accepted(X509_VERIFY_PARAM_add1_host(param, (text + ".").c_str(), 0), demanded);
    }
}

ServerTls UpstreamContext::describe(SSL* ssl, std::chrono::system_clock::time_point now) const {
    ServerTls facts;
    facts.version = SSL_get_version(ssl);
    facts.cipher = SSL_get_cipher_name(ssl);
    facts.group = group_of(ssl);
    if (X509* leaf = SSL_get0_peer_certificate(ssl)) {
        describe_chain(*leaf, ssl, facts);
        if (rehearsal_) facts.candidate_ok = rehearsal_->judge(ssl, now);
    }
    const STACK_OF(X509)* chain = verifies_chain_ ? SSL_get0_verified_chain(ssl) : nullptr;
    if (chain && sk_X509_num(chain) > 0) {
        const X509* anchor = sk_X509_value(chain, sk_X509_num(chain) - 1);
        const std::string id = digest(*anchor);
        in_use_.note_used(Use::anchor, chain);
        const auto known = anchors_.find(id);
        facts.anchor = known != anchors_.end() ? known->second.subject : tls::describe(*anchor).subject;
        facts.anchor_file = known != anchors_.end() ? known->second.file : std::string(system_store);
        facts.anchor_key_sha256 = known != anchors_.end() ? known->second.key_sha256 : key_sha256(*anchor);
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
                                                  loaded.bundle.path, key_sha256(*one.certificate)};
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
    rehearsal_.emplace(std::move(anchors), &in_use_);
}

std::string UpstreamContext::know_anchor(const Bundle& bundle, const X509& anchor, bool candidate) {
    in_use_.add(candidate ? Use::candidate : Use::anchor, bundle.path, anchor, bundle.certificates == 1);
    CertificateFacts facts = tls::describe(anchor);
    if (bundle.path != system_store)
        known_anchors_.push_back({bundle.path, facts.subject, facts.not_after, candidate, key_sha256(anchor)});
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
    warn_of_dates(*pair.leaf, settings.sslcert, warnings);
    bundles_.push_back(loaded.bundle);
    if (SSL_CTX_use_certificate(context_.get(), pair.leaf.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context_.get(), pair.key.get()) != 1) {
        errors.push_back({settings.sslcert.origin, settings.sslcert.path + ": " + take_openssl_error("not usable")});
    }
    in_use_.add(Use::client_certificate, settings.sslcert.path, *pair.leaf);
    for (const X509Ptr& intermediate : pair.chain) {
        SSL_CTX_add1_chain_cert(context_.get(), intermediate.get());
        in_use_.add(Use::intermediate, settings.sslcert.path, *intermediate);
    }
}

void UpstreamContext::show_certificate_of(const UpstreamContext& other) {
    SSL_CTX* const from = other.context_.get();
    X509* const leaf = SSL_CTX_get0_certificate(from);
    if (!leaf) return;
    STACK_OF(X509)* behind = nullptr;
    SSL_CTX_get0_chain_certs(from, &behind);
    if (SSL_CTX_use_cert_and_key(context_.get(), leaf, SSL_CTX_get0_privatekey(from), behind, 1) != 1)
        throw std::runtime_error(take_openssl_error("the certificate is not usable"));
}

/// RFC 6066, section 3: no addresses, and no dot at the end.
std::string UpstreamContext::sni_for(const std::string& demanded) const {
    if (sni_ == config::sni_off) return {};
    const std::string& name = sni_.empty() ? demanded : sni_;
    const auto parsed = protocol::ServerName::parse(name);
    if (!parsed) return name;
    return parsed->is_address() ? std::string() : parsed->text();
}

std::string UpstreamContext::remembered_group(const std::string& address) const {
    if (!groups_ || address.empty()) return {};
    const std::lock_guard lock(mutex_);
    const std::string* const found = chosen_groups_.find(address);
    return found ? *found : std::string();
}

/// Nothing need be remembered of a server that takes the share that every ClientHello has; that it
/// took another one before is forgotten then.
void UpstreamContext::remember_group(const std::string& address, SSL* ssl) const {
    if (!groups_ || address.empty() || SSL_version(ssl) < TLS1_3_VERSION) return;
    const std::string group = group_of(ssl);
    const bool is_usual = group.empty() || groups_->sends_share_of(group);
    const std::lock_guard lock(mutex_);
    if (is_usual) {
        chosen_groups_.erase(address);
        return;
    }
    chosen_groups_.put(address, group);
}

void UpstreamContext::describe_chain(X509& leaf, SSL* ssl, ServerTls& facts) const {
    const std::vector<X509*> behind = certificates_behind(ssl, verifies_chain_);
    const std::string key = digest(leaf);
    const std::lock_guard lock(mutex_);
    Known* known = known_.find(key);
    if (!known) {
        known = &known_.put(key, {.leaf = std::make_shared<const CertificateFacts>(tls::describe(leaf)),
                                  .behind = {},
                                  .intermediates = nullptr});
    }
    const bool is_same = std::equal(known->behind.begin(), known->behind.end(), behind.begin(), behind.end(),
                                    [](const X509Ptr& a, X509* b) { return X509_cmp(a.get(), b) == 0; });
    if (!is_same) {
        known->behind.clear();
        auto described = std::make_shared<Intermediates>();
        for (X509* const one : behind) {
            described->push_back(std::make_shared<const CertificateFacts>(tls::describe(*one)));
            X509_up_ref(one);
            known->behind.emplace_back(one);
        }
        known->intermediates = behind.empty() ? nullptr : std::move(described);
    }
    facts.leaf = known->leaf;
    facts.intermediates = known->intermediates;
}

}  // namespace tls
