#include "tls/key_pair.hpp"

#include <utility>

#include "config/file.hpp"
#include "tls/chain.hpp"
#include "tls/passphrase.hpp"

namespace tls {
namespace {

using config::FileKind;
using Diagnostics = std::vector<config::Diagnostic>;

/// nullptr: there is none; `why` says so, as the rest of a sentence.
KeyPtr open(const PemBlock& block, const config::Certificate& files, std::string& why) {
    if (!is_encrypted(block)) {
        KeyPtr key = open_key(block, {}, why);
        if (!key) why = "holds no usable private key in PEM format (-----BEGIN PRIVATE KEY-----): " + why;
        return key;
    }
    if (files.ssl_passphrase_command.empty()) {
        why =
            "is encrypted, and there is no ssl_passphrase_command that gives its pass phrase; or decrypt it with "
            "openssl pkey -in " +
            files.key_file.path + " -out NEW";
        return nullptr;
    }
    const PassPhrase given = ask_passphrase(files.ssl_passphrase_command);
    if (!given.error.empty()) {
        why = "is encrypted, and ssl_passphrase_command gives no pass phrase: it " + given.error;
        return nullptr;
    }
    KeyPtr key = open_key(block, protocol::as_text(given.text), why);
    if (!key) why = "is encrypted, and cannot be opened with the output of ssl_passphrase_command: " + why;
    return key;
}

KeyPtr load_key(const config::Certificate& files, Diagnostics& errors) {
    const config::File& file = files.key_file;
    const auto bytes = config::read_file(file, FileKind::private_key, errors);
    if (!bytes) return nullptr;
    const PemContents contents = read_pem(*bytes);
    std::string why;
    KeyPtr key;
    if (!contents.keys.empty()) {
        key = open(contents.keys.front(), files, why);  // as OpenSSL, which takes the first
    } else if (contents.broken) {
        why = "holds no usable private key in PEM format (-----BEGIN PRIVATE KEY-----): " + to_string(*contents.broken);
    } else if (key = open_der_key(*bytes); !key) {
        const bool is_pem = !contents.certificates.empty() || !contents.crls.empty() || !contents.others.empty();
        why = is_pem ? why_none(contents, file.path, PemWanted::private_key)
                     : why_no_pem(*bytes, file.path, PemWanted::private_key);
        if (!contents.skipped.empty()) why += "; " + to_string(contents.skipped.front());
    }
    if (!key) errors.push_back({file.origin, config::quoted(file, FileKind::private_key) + " " + why});
    return key;
}

}  // namespace

LoadedKeyPair load_key_pair_and_facts(const config::Certificate& files, Diagnostics& errors, Diagnostics& warnings) {
    // Both files are read before any verdict, so that the operator sees everything that is wrong at
    // once.
    LoadedBundle loaded = load_bundle(files.cert_file, errors, warnings);
    LoadedKeyPair result{.pair = {}, .bundle = std::move(loaded.bundle)};
    KeyPtr key = load_key(files, errors);
    if (loaded.certificates.empty() || !key) return result;

    Chain chain = sort_chain(std::move(loaded.certificates), *key);
    if (!chain.leaf) {
        errors.push_back({files.key_file.origin, config::quoted(files.key_file, FileKind::private_key) +
                                                     " does not match " +
                                                     config::quoted(files.cert_file, FileKind::certificate) +
                                                     ": none of its certificates has been issued for this key"});
        return result;
    }
    for (const std::string& finding : chain.findings)
        warnings.push_back(
            {files.cert_file.origin, config::quoted(files.cert_file, FileKind::certificate) + ": " + finding});
    result.pair = {.leaf = std::move(chain.leaf), .chain = std::move(chain.issuers), .key = std::move(key)};
    return result;
}

KeyPair load_key_pair(const config::Certificate& files, Diagnostics& errors, Diagnostics& warnings) {
    return load_key_pair_and_facts(files, errors, warnings).pair;
}

void warn_of_dates(const X509& leaf, const config::File& file, Diagnostics& warnings) {
    if (X509_cmp_current_time(X509_get0_notAfter(&leaf)) < 0)
        warnings.push_back({file.origin, "certificate " + file.path + " has expired"});
    if (X509_cmp_current_time(X509_get0_notBefore(&leaf)) > 0)
        warnings.push_back({file.origin, "certificate " + file.path + " is not valid yet: see this host's clock"});
}

}  // namespace tls
