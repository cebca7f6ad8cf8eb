#include "tls/verify_advice.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <map>

#include "protocol/server_name.hpp"

namespace tls {
namespace {

using IssuerAnchor = VerifyFailure::IssuerAnchor;

bool issuer_has_other_key(const VerifyFailure& failure, const Demanded&) {
    return failure.issuer_anchor == IssuerAnchor::other_key;
}
bool issuer_has_same_key(const VerifyFailure& failure, const Demanded&) {
    return failure.issuer_anchor == IssuerAnchor::same_key;
}
bool was_sent_alone(const VerifyFailure& failure, const Demanded&) { return failure.sent.size() == 1; }
bool is_leaf(const VerifyFailure& failure, const Demanded&) { return failure.depth == 0; }
bool is_of_ours(const VerifyFailure& failure, const Demanded&) { return failure.is_anchor; }
bool has_common_name_alone(const VerifyFailure& failure, const Demanded&) {
    return failure.leaf.sans.empty() && !failure.common_name.empty();
}
bool has_no_name(const VerifyFailure& failure, const Demanded&) { return failure.leaf.sans.empty(); }
bool is_about_an_address(const VerifyFailure&, const Demanded& demanded) {
    const auto name = protocol::ServerName::parse(demanded.name);
    return name && name->is_address();
}

const std::vector<Cause>& table() {
    static const std::vector<Cause> rows = {
        // --- The issuer
        {.codes = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
                   X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN},
         .when = issuer_has_other_key,
         .sentence = R"("{issuer}" is in {anchors}, but with another key than the one that signed "{certificate}".)",
         .hint = "An authority that was made anew under its old name has another key: get its present certificate from "
                 "whoever runs it, and add it to sslrootcert."},
        {.codes = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE},
         .when = issuer_has_same_key,
         .sentence = R"("{issuer}" of {anchors} has the key that signed "{certificate}", but does not fit it: by its )"
                     "key identifier, its serial number or its key usage it is not the issuer.",
         .hint = "Get the authority's present certificate from whoever runs it, and add it to sslrootcert."},
        {.codes = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE},
         .when = was_sent_alone,
         .sentence = R"(The server sent its certificate alone, and "{issuer}", which issued it, is not in {anchors}.)",
         .hint = R"(If "{issuer}" is a root, add its certificate to sslrootcert. If it is an intermediate, the server )"
                 "should send it: in PostgreSQL, ssl_cert_file holds the server's certificate and then its "
                 "intermediates."},
        {.codes = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE},
         .when = nullptr,
         .sentence = R"(The server sent {sent}; "{issuer}", which issued "{certificate}", is neither among them nor )"
                     "in {anchors}.",
         .hint = R"(If "{issuer}" is a root, add its certificate to sslrootcert. If it is another intermediate, the )"
                 "server should send it as well."},
        {.codes = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT},
         .when = nullptr,
         .sentence = R"("{certificate}" of {anchors} is an intermediate, and "{issuer}", which issued it, is missing )"
                     "there: trust ends at a root.",
         .hint = R"(Add the certificate of the root to sslrootcert.)"},
        {.codes = {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
         .when = issuer_has_other_key,
         .sentence = R"(The server's certificate was issued by no authority but itself. A certificate of the same )"
                     "name is in {anchors}, with another key: the server's was made anew.",
         .hint = "Compare SHA-256 {sha256} with the certificate file on the server, and add that file to sslrootcert. "
                 "With an authority this is not needed at each renewal."},
        {.codes = {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
         .when = nullptr,
         .sentence = "The server's certificate was issued by no authority but itself, and is not in {anchors}.",
         .hint = "Give the server a certificate of your authority. Or compare SHA-256 {sha256} with the certificate "
                 "file on the server, and add that file to sslrootcert."},
        {.codes = {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN},
         .when = nullptr,
         .sentence = R"(The server's chain ends at the root "{certificate}", which is not in {anchors}.)",
         .hint = "Add the certificate of this root to sslrootcert: from whoever runs it, not from this connection."},
        {.codes = {X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE,
                   X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY},
         .when = nullptr,
         .sentence = R"(The signature of "{certificate}" was not made with the key of "{issuer}" that was sent, or it )"
                     "cannot be read.",
         .hint = "See that the server's certificate file holds the intermediates that belong to its certificate: two "
                 "of one name may have different keys."},
        {.codes = {X509_V_ERR_INVALID_CA, X509_V_ERR_KEYUSAGE_NO_CERTSIGN},
         .when = nullptr,
         .sentence = R"("{certificate}" has issued a certificate of the server's chain, and is no certificate )"
                     "authority.",
         .hint = "Issue the server's certificate with an authority: one with the basic constraint CA:TRUE and the key "
                 "usage keyCertSign."},
        {.codes = {X509_V_ERR_PATH_LENGTH_EXCEEDED},
         .when = nullptr,
         .sentence = R"("{certificate}" does not permit as many intermediates below it as the server's chain has.)",
         .hint = "Issue the server's certificate with an authority further up, or that authority with a larger "
                 "pathlen."},
        {.codes = {X509_V_ERR_CERT_CHAIN_TOO_LONG},
         .when = nullptr,
         .sentence = "The server's chain has more certificates than are looked at.",
         .hint = "See what the server's certificate file holds: a certificate and its intermediates are a few."},
        // --- Times
        {.codes = {X509_V_ERR_CERT_NOT_YET_VALID},
         .when = nullptr,
         .sentence = R"("{certificate}" is valid from {not_before}, and this host's clock says {now}.)",
         .hint = "Look at the clock of this host (timedatectl). If it is right, that certificate came into use too "
                 "early."},
        {.codes = {X509_V_ERR_CERT_HAS_EXPIRED},
         .when = is_leaf,
         .sentence = "The server's certificate expired at {not_after}, and this host's clock says {now}.",
         .hint = "Renew the server's certificate, or set the clock of this host if it is wrong."},
        {.codes = {X509_V_ERR_CERT_HAS_EXPIRED},
         .when = is_of_ours,
         .sentence = R"("{certificate}" of {anchors} expired at {not_after}, and this host's clock says {now}. The )"
                     "server's own certificate is not what is wrong.",
         .hint = "Get the authority's present certificate and add it to sslrootcert; the server may need a certificate "
                 "of the new authority."},
        {.codes = {X509_V_ERR_CERT_HAS_EXPIRED},
         .when = nullptr,
         .sentence = R"("{certificate}", which the server sent with its own certificate, expired at {not_after}, and )"
                     "this host's clock says {now}.",
         .hint = "Put the present certificate of that authority into the server's certificate file, in place of the "
                 "expired one."},
        {.codes = {X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD},
         .when = nullptr,
         .sentence = R"("{certificate}" has a date that cannot be read.)",
         .hint = "Issue it again."},
        // --- Names
        {.codes = {X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH},
         .when = has_common_name_alone,
         .sentence = R"(The certificate has the common name "{common_name}" and no subjectAltName: names are taken )"
                     "from there alone (RFC 9525), although libpq still looks at the common name.",
         .hint = R"(Issue the server's certificate with the subjectAltName "{asked}".)"},
        {.codes = {X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH},
         .when = has_no_name,
         .sentence = "The certificate has no name at all, neither subjectAltName nor common name.",
         .hint = R"(Issue the server's certificate with the subjectAltName "{asked}".)"},
        {.codes = {X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH},
         .when = is_about_an_address,
         .sentence = R"(The certificate is not for the address "{asked}", but for {names}.)",
         .hint = "Connect to one of the certificate's names, or set ssl_server_name to one of them."},
        {.codes = {X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH},
         .when = nullptr,
         .sentence = R"(The certificate is not for "{asked}", but for {names}.)",
         .hint = "Connect to one of the certificate's names, or set ssl_server_name to one of them."},
        {.codes = {X509_V_ERR_PERMITTED_VIOLATION, X509_V_ERR_EXCLUDED_VIOLATION},
         .when = nullptr,
         .sentence = R"(An authority of the server's chain may not issue certificates for every name of )"
                     R"("{certificate}": {names}.)",
         .hint = "Issue the server's certificate for names that the authority's name constraints permit, or with "
                 "another authority."},
        // --- What it is for, and how strong it is
        {.codes = {X509_V_ERR_INVALID_PURPOSE},
         .when = is_leaf,
         .sentence = "The server's certificate is not for servers: its extended key usage (or its key usage) says "
                     "something else.",
         .hint = "Issue it with the extended key usage serverAuth."},
        {.codes = {X509_V_ERR_INVALID_PURPOSE},
         .when = nullptr,
         .sentence = R"("{certificate}" may not issue certificates for servers: its extended key usage says something )"
                     "else.",
         .hint = "Issue the server's certificate with another authority, or that authority's with the extended key "
                 "usage serverAuth, or none."},
        {.codes = {X509_V_ERR_EE_KEY_TOO_SMALL},
         .when = nullptr,
         .sentence = "The key of the server's certificate ({key}) is too weak for OpenSSL's security level {level}.",
         .hint =
             "Issue the server's certificate for a key of RSA 2048 or ECDSA P-256 at least. Until then, ssl_ciphers "
             R"(= "DEFAULT:@SECLEVEL=1" takes keys of RSA 1024.)"},
        {.codes = {X509_V_ERR_CA_KEY_TOO_SMALL},
         .when = nullptr,
         .sentence = R"(The key of the authority "{certificate}" ({key}) is too weak for OpenSSL's security level )"
                     "{level}.",
         .hint = "Issue the server's certificate with an authority of RSA 2048 or ECDSA P-256 at least. Until then, "
                 R"(ssl_ciphers = "DEFAULT:@SECLEVEL=1" takes keys of RSA 1024.)"},
        {.codes = {X509_V_ERR_CA_MD_TOO_WEAK},
         .when = nullptr,
         .sentence = R"("{certificate}" is signed with {signature}, which is too weak for OpenSSL's security level )"
                     "{level}.",
         .hint = "Issue it again with a signature of SHA-256 or better."},
        // --- Revocation
        {.codes = {X509_V_ERR_CERT_REVOKED},
         .when = nullptr,
         .sentence = R"("{issuer}" has revoked "{certificate}".)",
         .hint = "Its authority has taken the certificate back: give the server another one."},
        {.codes = {X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_DIFFERENT_CRL_SCOPE, X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER},
         .when = nullptr,
         .sentence = R"(The file of sslcrl holds no CRL of "{issuer}", which issued "{certificate}".)",
         .hint = "With sslcrl, every certificate authority of the chain needs a CRL in that file."},
        {.codes = {X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID},
         .when = nullptr,
         .sentence = R"(The CRL of "{issuer}" is not valid now: this host's clock says {now}.)",
         .hint = "Put a CRL that is valid now into the file of sslcrl."},
        {.codes = {X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE},
         .when = nullptr,
         .sentence = R"(The CRL that names "{issuer}" was not signed by it.)",
         .hint = "Get the CRL of the authority's present key, and put it into the file of sslcrl."},
    };
    return rows;
}

/// A chain that ends where these anchors do not, though others might.
bool is_about_anchors(const VerifyFailure& failure) {
    switch (failure.code) {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return true;
        case X509_V_ERR_CERT_HAS_EXPIRED: return failure.is_anchor;
        default: return false;
    }
}

/// Where the chain is verified by what is configured, more trust would be the wrong advice: in a
/// candidate it would falsify the rehearsal.
std::string_view hint_of(const Cause& cause, const VerifyFailure& failure, const Demanded& demanded) {
    if (demanded.elsewhere.empty() || !is_about_anchors(failure)) return cause.hint;
    if (demanded.is_candidate)
        return "{elsewhere}, also configured, verifies this chain. If the server has not moved to its new authority "
               "yet, wait until it has, and do not add the old one to the candidate. If it has moved, the candidate "
               "lacks that authority.";
    return "{elsewhere}, also configured, verifies this chain. This file alone does once the server has a certificate "
           "of one of its authorities.";
}

using When = AlertCause::When;
constexpr char refuses_ours[] = "The server refuses the client certificate {client_certificate} (sslcert).";
constexpr char renew_ours[] = "Renew the client certificate, and name the new one in sslcert and its key in sslkey.";
constexpr char reissue_ours[] =
    "Have sslcert issued by an authority that the server trusts (in PostgreSQL, ssl_ca_file), with the intermediates "
    "behind it in the same file.";
constexpr char see_log[] =
    "The server's log says why. See that sslcert is for clients, not revoked, and of an authority and a kind that the "
    "server takes.";

constexpr AlertCause alerts[] = {
    {SSL_AD_UNRECOGNIZED_NAME, When::name_sent,
     R"(The server has no certificate for the name "{sent_name}" that it was sent (SNI).)",
     "Send a name that the server knows: set ssl_sni to it, or ssl_server_name if its certificate is for that name as "
     "well. PostgreSQL 19 has its names in pg_hosts.conf."},
    {SSL_AD_UNRECOGNIZED_NAME, When::no_name_sent, "The server wants a name (SNI), and none was sent.",
     "Connect by a name that the server knows, or set ssl_sni to it: an address is never sent. PostgreSQL 19 has its "
     "names in pg_hosts.conf."},
    {SSL_AD_CERTIFICATE_EXPIRED, When::has_certificate, refuses_ours, renew_ours},
    {SSL_AD_UNKNOWN_CA, When::has_certificate, refuses_ours, reissue_ours},
    {SSL_AD_BAD_CERTIFICATE, When::has_certificate, refuses_ours, see_log},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, When::has_certificate, refuses_ours, see_log},
    {SSL_AD_CERTIFICATE_REVOKED, When::has_certificate, refuses_ours, see_log},
    {SSL_AD_CERTIFICATE_UNKNOWN, When::has_certificate, refuses_ours, see_log},
    {SSL_AD_CERTIFICATE_REQUIRED, When::has_no_certificate, "The server wants a client certificate, and none is set.",
     "Set sslcert and sslkey."},
    {SSL_AD_CERTIFICATE_REQUIRED, When::has_certificate,
     "The server wants a client certificate, and did not get {client_certificate} (sslcert).",
     "It was of no kind that the server asked for: see its key type and its signature."},
};

bool applies(When when, const std::string& sent_name, const std::string& client_certificate) {
    switch (when) {
        case When::name_sent: return !sent_name.empty();
        case When::no_name_sent: return sent_name.empty();
        case When::has_certificate: return !client_certificate.empty();
        case When::has_no_certificate: return client_certificate.empty();
    }
    return false;
}

using Words = std::map<std::string_view, std::string>;

/// In one pass: what is put in is not looked at again, whatever braces a certificate may hold.
std::string filled(std::string_view text, const Words& words) {
    std::string out;
    while (!text.empty()) {
        const std::size_t open = std::min(text.find('{'), text.size());
        out += text.substr(0, open);
        text.remove_prefix(open);
        if (text.empty()) break;
        const std::size_t close = text.find('}');
        out += words.at(text.substr(1, close - 1));
        text.remove_prefix(close + 1);
    }
    return out;
}

std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
    return out;
}

std::string quoted(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += (out.empty() ? "\"" : ", \"") + item + "\"";
    return out;
}

}  // namespace

const Cause* cause_of(const VerifyFailure& failure, const Demanded& demanded) {
    for (const Cause& cause : table()) {
        const bool is_its_code = std::find(cause.codes.begin(), cause.codes.end(), failure.code) != cause.codes.end();
        if (is_its_code && (cause.when == nullptr || cause.when(failure, demanded))) return &cause;
    }
    return nullptr;
}

Advice advise(const VerifyFailure& failure, const Demanded& demanded, std::chrono::system_clock::time_point now) {
    const Cause* const cause = cause_of(failure, demanded);
    if (!cause) return {};
    const Words words = {
        {"anchors", demanded.anchors},
        {"asked", demanded.name},
        {"certificate", failure.certificate},
        {"common_name", failure.common_name},
        {"elsewhere", demanded.elsewhere},
        {"issuer", failure.issuer},
        {"key", failure.key},
        {"level", std::to_string(failure.security_level)},
        {"names", joined(first_names(failure.leaf.sans))},
        {"not_after", to_rfc3339(failure.not_after)},
        {"not_before", to_rfc3339(failure.not_before)},
        {"now", to_rfc3339(now)},
        {"sent", quoted(failure.sent)},
        {"sha256", failure.leaf.sha256},
        {"signature", failure.signature},
    };
    return {.sentence = filled(cause->sentence, words), .hint = filled(hint_of(*cause, failure, demanded), words)};
}

Advice advise_alert(int alert, const std::string& sent_name, const std::string& client_certificate) {
    for (const AlertCause& cause : alerts) {
        if (cause.alert != alert || !applies(cause.when, sent_name, client_certificate)) continue;
        const Words words = {{"sent_name", sent_name}, {"client_certificate", client_certificate}};
        return {.sentence = filled(cause.sentence, words), .hint = filled(cause.hint, words)};
    }
    return {};
}

std::span<const Cause> causes() { return table(); }
std::span<const AlertCause> alert_causes() { return alerts; }

}  // namespace tls
